"""Whether a claim about one candidate was shown: by which method, with which bounds."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp, inf, log1p, nextafter
from typing import NamedTuple

from evaluators.ab.language import Claim
from harness.statistics import means, paired, ranks, resampling
from harness.statistics.estimate import Decision, Estimate

Within = tuple[float, float]


class Sample(NamedTuple):
    """What a candidate scored above the baseline, case by case."""

    differences: list[float]
    clusters: list[str] | None = None
    within: Within | None = None
    """The least and the greatest difference there can be."""

    @property
    def n(self) -> int:
        return len(self.differences)

    @property
    def gained(self) -> int:
        return sum(difference > 0 for difference in self.differences)

    @property
    def lost(self) -> int:
        return sum(difference < 0 for difference in self.differences)


class Ruled(NamedTuple):
    decision: Decision
    estimate: Estimate


def decide(claim: Claim, sample: Sample, alpha: float, method: str) -> Ruled:
    """The claim at alpha, one-sided unless it is `different`, by a method that fits it."""
    if method in ("exact", "mcnemar", "mcnemar_exact", "tango"):
        return _counted(claim, sample, alpha, method)
    if method in ("sign_flip", "wilcoxon"):
        return _tested(claim, sample, alpha, method)
    return _averaged(claim, sample, alpha, sample.within if method == "bounded" else None)


# ------------------------------------------------------------------------------------ counted pairs


def _counted(claim: Claim, sample: Sample, alpha: float, method: str) -> Ruled:
    gained, lost, n = sample.gained, sample.lost, sample.n
    if claim.word == "noninferior" and method == "exact":
        return Ruled(*paired.noninferior_share(gained, lost, n, claim.margin, alpha))
    if claim.word == "equivalent" and method == "exact":
        return Ruled(*paired.equivalent_share(gained, lost, n, claim.margin, alpha))
    if claim.word == "different" and method in ("mcnemar", "exact"):
        how = "mid-p" if method == "mcnemar" else "exact"
        return Ruled(*paired.different_share(gained, lost, n, alpha, method=how))  # type: ignore[arg-type]
    if method == "tango":
        return _enough(claim, sample, alpha, _tango(claim, gained, lost, n, alpha))
    if claim.word == "different":
        return _exactly_different(gained, lost, n, alpha)
    if method == "exact":
        return _enough(claim, sample, alpha, Ruled(*paired.superior_share(gained, lost, n, alpha)))
    return _enough(claim, sample, alpha, _mcnemar(claim, gained, lost, n, alpha, exact=method == "mcnemar_exact"))


def _enough(claim: Claim, sample: Sample, alpha: float, ruled: Ruled) -> Ruled:
    """One-sided, some methods would claim a difference from three or four pairs; as many as the exact conditional test
    takes are asked for.
    """
    discordant = sample.gained + sample.lost
    least = paired.least_discordant(alpha, exact=True, alternative="greater")
    if claim.word != "superior" or discordant >= least:
        return ruled
    found = ruled.estimate
    p = max(found.p or 0.0, min(1.0, 0.5**discordant))
    reason = f"{discordant} of the pairs {'differs' if discordant == 1 else 'differ'}, and {least} have to"
    reason += " before any result shows a difference"
    interval = agreed(claim, "inconclusive", found.interval)
    return Ruled("inconclusive", found._replace(p=p, interval=interval, reason=reason))


def _tango(claim: Claim, gained: int, lost: int, n: int, alpha: float) -> Ruled:
    low, high = paired.tango(gained, lost, n, 1 - alpha)
    above = paired.p_above(gained, lost, n, -claim.margin)
    p = max(above, paired.p_above(lost, gained, n, -claim.margin)) if claim.word == "equivalent" else above
    decision = _by_bounds(claim, (low, high))
    method = f"Tango, one-sided {1 - alpha:.4g}"
    return Ruled(decision, Estimate((gained - lost) / n, (low, high), p, method, n, n))


def _mcnemar(claim: Claim, gained: int, lost: int, n: int, alpha: float, *, exact: bool) -> Ruled:
    """One-sided; what only one of the test and the score would claim is not claimed, so that p and bounds agree."""

    def p_of(more: int, fewer: int) -> float:
        tested = paired.mcnemar(more, fewer, n, exact=exact, alternative="greater").p
        return max(tested or 0.0, paired.p_above(more, fewer, n, 0.0))

    p, contrary = p_of(gained, lost), p_of(lost, gained)
    decision: Decision = "pass" if p < alpha else "fail" if contrary < alpha else "inconclusive"
    interval = agreed(claim, decision, paired.tango(gained, lost, n, 1 - alpha))
    method = f"McNemar {'exact' if exact else 'mid-p'}; Tango, one-sided {1 - alpha:.4g}"
    return Ruled(decision, Estimate((gained - lost) / n, interval, p, method, n, n))


def _exactly_different(gained: int, lost: int, n: int, alpha: float) -> Ruled:
    found = paired.mcnemar(gained, lost, n, exact=True, confidence=1 - alpha)
    scored = min(1.0, 2 * paired.p_above(max(gained, lost), min(gained, lost), n, 0.0))
    p = max(found.p or 0.0, scored)
    decision: Decision = "pass" if p < alpha else "inconclusive"
    least = paired.least_discordant(alpha, exact=True)
    few = f"{gained + lost} of the pairs differ, and {least} have to before any result shows a difference"
    reason = few if gained + lost < least else ""
    interval = agreed(Claim("different"), decision, found.interval)
    return Ruled(decision, found._replace(p=p, interval=interval, reason=reason, effective_n=n))


# ------------------------------------------------------------------------------------------ numbers


def _averaged(claim: Claim, sample: Sample, alpha: float, within: Within | None) -> Ruled:
    values, clusters = sample.differences, sample.clusters
    if claim.word == "noninferior":
        return Ruled(*means.noninferior_mean(values, claim.margin, alpha, clusters, within))
    if claim.word == "equivalent":
        return Ruled(*means.equivalent_mean(values, claim.margin, alpha, clusters, within))
    if claim.word == "superior":
        return Ruled(*means.superior_mean(values, 0.0, alpha, clusters, within))
    return Ruled(*means.different_mean(values, alpha, clusters, within))


def _tested(claim: Claim, sample: Sample, alpha: float, method: str) -> Ruled:
    """By a test of signs or of signed ranks, which knows no margin."""
    one_sided = claim.word == "superior"

    def test(alternative: ranks.Alternative) -> Estimate:
        confidence = 1 - 2 * alpha if one_sided else 1 - alpha
        if method == "wilcoxon":
            return ranks.wilcoxon(sample.differences, confidence, alternative)
        return resampling.sign_flip(sample.differences, confidence, sample.clusters, alternative)

    found = test("greater" if one_sided else "two-sided")
    p = 1.0 if found.p is None else found.p
    decision: Decision = "pass" if p < alpha else "inconclusive"
    if one_sided and decision != "pass" and (test("less").p or 1.0) < alpha:
        decision = "fail"
    needed = ranks.needed_pairs(alpha, "greater" if one_sided else "two-sided")
    reason = found.reason if found.effective_n == 0 else ""
    if decision == "inconclusive" and 0 < found.effective_n < needed:
        what = "differences that are not 0" if sample.clusters is None else "clusters that differ"
        reason = f"{found.effective_n:g} {what} can show nothing: {needed} can"
    return Ruled(decision, found._replace(p=p, interval=agreed(claim, decision, found.interval), reason=reason))


# ------------------------------------------------------------------------------------ what they share


def bars_of(claim: Claim) -> tuple[float, float] | tuple[float]:
    """What the difference has to be above, and of an equivalence also below."""
    if claim.word == "equivalent":
        return -claim.margin, claim.margin
    return (-claim.margin if claim.word == "noninferior" else 0.0,)


def _by_bounds(claim: Claim, interval: tuple[float, float]) -> Decision:
    return means.ruling(claim.word, interval, claim.margin)  # type: ignore[arg-type]


def agreed(claim: Claim, decision: Decision, interval: tuple[float, float] | None) -> tuple[float, float] | None:
    """Bounds on the side of the bar on which the test is: of two methods one may hold it where the other does not."""
    if interval is None or _by_bounds(claim, interval) == decision:
        return interval
    low, high = interval
    bar = bars_of(claim)[0]
    if decision == "inconclusive":
        return min(low, bar), max(high, bar)
    if decision == "fail" or (claim.word == "different" and low + high < 0):
        return low, min(high, nextafter(bar, -inf))
    return max(low, nextafter(bar, inf)), high


def needed_n(claim: Claim, sample: Sample, ruled: Ruled, alpha: float, method: str) -> int | None:
    """How many cases would decide, if things go on as they went; None where no number would, or it can't be told."""
    if ruled.decision != "inconclusive" or sample.n == 0:
        return None
    found = _needed_pairs(claim, sample, alpha, method) if method in _COUNTING else _needed_numbers(claim, ruled)
    return None if found is None or found > _MOST else max(found, sample.n + 1)


_COUNTING = ("exact", "mcnemar", "mcnemar_exact", "tango")
_MOST = 1_000_000
"""More cases than this are no advice."""


def _needed_pairs(claim: Claim, sample: Sample, alpha: float, method: str) -> int | None:
    gained, lost, n = sample.gained, sample.lost, sample.n
    two_sided = claim.word == "different"
    how: paired.Method = "score" if method == "tango" else "exact" if method == "exact" else "mid-p"
    confidence = 1 - alpha / 2 if two_sided else 1 - alpha
    found = [paired.deciding_pairs(gained, lost, n, bar, confidence, how) for bar in bars_of(claim)]
    if any(each is None for each in found):
        return None
    many = max(filter(None, found))  # of two bars the nearer one decides
    if claim.margin or not gained + lost:
        return many
    exact, alternative = (method != "mcnemar", "two-sided") if two_sided else (True, "greater")
    least = paired.least_discordant(alpha, exact=exact, alternative=alternative)  # type: ignore[arg-type]
    return max(many, ceil(least * n / (gained + lost)))


def _needed_numbers(claim: Claim, ruled: Ruled) -> int | None:
    """From how an interval narrows with the root of n."""
    found = ruled.estimate
    if found.interval is None or found.estimate is None:
        return None
    low, high = found.interval
    factors: list[float] = []
    for bar in bars_of(claim):
        gap = found.estimate - bar
        if abs(gap) * 1e6 <= high - low:
            return None
        factors.append(((found.estimate - low if gap > 0 else high - found.estimate) / gap) ** 2)
    return ceil(found.n * max(factors))


def margin_of_ratio(claim: Claim) -> Claim:
    """A margin of 0.1 of a ratio, on the scale of its logarithm."""
    return claim._replace(margin=log1p(claim.margin))


def saved(value: float) -> float:
    """From the logarithm of how many times faster, the share of time that is saved: below 0 where it takes longer."""
    return 1 - exp(-max(-700.0, min(700.0, value)))


def shown_as_time(found: Estimate) -> Estimate:
    interval = None if found.interval is None else (saved(found.interval[0]), saved(found.interval[1]))
    return found._replace(estimate=None if found.estimate is None else saved(found.estimate), interval=interval)


def fails_anyway(claim: Claim, sample: Sample, lacking: Sequence[str], alpha: float, method: str) -> bool:
    """Whether the contrary is shown even had all cases that are lacking come out as well for the claim as they could.

    `lacking` is the cluster of each. Only of methods to which a better case can't do harm.
    """
    if sample.within is None or method not in ("exact", "tango", "bounded"):
        return False
    below = sum(sample.differences) < 0
    best = sample.within[1] if claim.word != "equivalent" or below else sample.within[0]
    clusters = None if sample.clusters is None else [*sample.clusters, *lacking]
    filled = Sample([*sample.differences, *[best] * len(lacking)], clusters, sample.within)
    decision, found = decide(claim, filled, alpha, method)
    return decision == "fail" and found.estimate is not None and (found.estimate < 0) == below


def holm_alphas(ps: Sequence[float | None], alpha: float) -> list[float]:
    """The level at which each of several claims is decided: Holm's where it is shown, else what is safe for all."""
    many = len(ps)
    levels = [alpha / many] * many
    ranked = sorted((p, at) for at, p in enumerate(ps) if p is not None)
    for rank, (p, at) in enumerate(ranked):
        if p >= alpha / (many - rank):
            break
        levels[at] = alpha / (many - rank)
    return levels
