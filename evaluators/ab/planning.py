"""What is wrong with an A/B check before anything runs. Nothing here imports numpy or scipy."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log, log1p
from typing import NamedTuple

from msgspec import UNSET

from evaluators.ab.experiment import experiment_faults
from evaluators.ab.language import (
    CANDIDATE,
    Arm,
    Claim,
    alpha_of,
    arms_of,
    claim_of,
    is_clustered,
    is_paired,
    is_uneven,
    method_of,
    metric_of,
    reach_of,
    repeats_of,
    text_of,
    within_of,
)
from evaluators.comparison import comparison_faults
from harness.codec import FIELD, posed
from harness.contract import Check, NotPlain, Objection
from harness.statistics import means, paired, ranks

_MARGINS = ("noninferior", "equivalent")
_ZERO = ("superior", "different")
_NO_MARGIN = "it asks whether the difference is 0, and knows no margin"
_NO_CLUSTERS = "cases in clusters, or asked repeatedly, tell less than as many independent pairs"
_SPENT = 1e-6
"""What the exact test spends of alpha beforehand, at most."""
_FINEST = 1e-9
"""Of a margin on its scale, and of an alpha: below it there is nothing that any number of cases could show."""


def faults(check: Check) -> Iterator[Objection]:
    yield from _arm_faults(check)
    metrics = list(_metric_faults(check))
    yield from metrics
    bars = list(_bar_faults(check))
    yield from bars
    yield from _case_faults(check)
    methods = list(_method_faults(check))
    yield from methods
    if not (metrics or bars or methods):
        yield from _too_few(check)
    yield from experiment_faults(check)


# --------------------------------------------------------------------------------------------- arms


def _arm_faults(check: Check) -> Iterator[Objection]:
    baseline, candidates = arms_of(check.options)
    seen: set[str] = set()
    for arm in candidates:
        if arm.name in seen:
            what = f"`{arm.name}` is a candidate already: against itself it would count twice"
            yield Objection(arm.path, CANDIDATE, what, "name each candidate once")
        seen.add(arm.name)
    if "prompts" in check.options:
        yield from _prompt_faults(check, [baseline, *candidates])
    elif "model" in check.others:
        what = "`model` is for checks that hold prompts against each other"
        yield Objection(("model",), "model", what, "write `prompts:` too, or name models in `baseline` and `candidate`")


def _prompt_faults(check: Check, arms: list[Arm]) -> Iterator[Objection]:
    prompts = check.options["prompts"]
    if not check.model:
        yield Objection(("prompts",), "prompts", "prompts are put to one model", "name it in `model:`")
    for arm in arms:
        if arm.name not in prompts:
            known = ", ".join(f"`{name}`" for name in prompts)
            yield Objection(arm.path, "prompts", f"there is no prompt `{arm.name}`", f"known here: {known}")
    for name, prompt in prompts.items():
        path = ("prompts", name) if isinstance(prompt, str) else ("prompts", name, "text")
        if not FIELD.search(text_of(prompt)):
            what = f"the prompt `{name}` has no field: every case would ask the same"
            yield Objection(path, "prompts", what, "put the input into it, as {input}")
    for role, prompt in check.prompts.items():
        for index, case in enumerate(check.cases):
            try:
                posed(prompt, case.input)
            except NotPlain as error:
                name = next(arm.name for arm in arms if arm.role == role)
                what = f"the case `{case.id}` can't be put into the prompt `{name}`: {error}"
                yield Objection(("cases", index), "prompts", what, "mend the prompt, or the input")
                break


# ------------------------------------------------------------------------------- the metric, the bar


def _metric_faults(check: Check) -> Iterator[Objection]:
    metric = metric_of(check).word
    if metric == "correct":
        yield from comparison_faults(check)
    elif "compare" in check.options:
        yield Objection(("compare",), "metric", f"by `{metric}` nothing is compared", "remove `compare`, or `metric`")
    if metric == "likelihood":
        for index, case in enumerate(check.cases):
            if case.expect is UNSET:
                what = f"the case `{case.id}` has no `expect`, whose likelihood is to be told"
                yield Objection(("cases", index), "no-expectation", what, "write what a good answer is")
    if metric in ("likelihood", "latency") and repeats_of(check) > 1:
        what = {
            "likelihood": "a likelihood is computed, not drawn: asking again tells nothing new",
            "latency": "the times of a batch are taken together: repeats are no further observations",
        }[metric]
        yield Objection(("repeats",), "repeats", what, "remove `repeats`")
    yield from _within_faults(check, metric)


def _within_faults(check: Check, metric: str) -> Iterator[Objection]:
    if "within" not in check.options:
        return
    low, high = check.options["within"]
    if metric == "correct":
        yield Objection(("within",), "within", "`correct` is 0 or 1 by itself", "remove `within`")
    elif metric == "latency":
        yield Objection(("within",), "within", "a time has no upper end", "remove `within`")
    elif not low < high:
        what = f"a scale from {low:g} to {high:g} has no room"
        yield Objection(("within",), "within", what, "write the lower end first, such as [0, 1]")


def _bar_faults(check: Check) -> Iterator[Objection]:
    claim, metric = claim_of(check), metric_of(check).word
    if alpha_of(check) < _FINEST:
        what = "a confidence so close to 1 is more than any number of cases could give"
        yield Objection(("confidence",), "confidence", what, "write one such as 0.95, or 0.999")
    if claim.word not in _MARGINS:
        return
    path = ("claim", claim.word, "margin")
    if not claim.margin > 0:
        said = "no margin" if claim.margin == 0 else "the wrong sign"
        what = f"a margin of {claim.margin:g} is {said}: it says how much worse is still good enough"
        yield Objection(path, "margin", what, "write it above 0, such as 0.02; to ask for better, claim `superior`")
        return
    reach = None if metric == "latency" else reach_of(check)
    if reach is not None and reach > 0 and claim.margin >= reach:
        what = f"no two scores are further apart than {reach:g}: a margin of {claim.margin:g} asks nothing"
        yield Objection(path, "margin", what, f"write it below {reach:g}")
    if claim.margin < _FINEST * (reach or 1.0):
        what = f"a margin of {claim.margin:g} is finer than any number of cases could show"
        yield Objection(path, "margin", what, "write how much worse is still good enough, such as 0.02")


def _case_faults(check: Check) -> Iterator[Objection]:
    if not check.cases:
        yield Objection(("cases",), "no-cases", "there is no case to compare by", "write at least one")
    if any(case.weight != 1 for case in check.cases):
        yield Objection(("cases",), "weight", "cases with weights are no pairs of equals", "remove the weights")
    strata = check.options.get("strata")
    if strata is not None and check.cases and not strata_of(check):
        what = "no case has a tag" if strata == "tags" else f"no case has a tag that starts with `{strata}`"
        yield Objection(("strata",), "strata", what, "tag the cases, or remove `strata`")


def strata_of(check: Check) -> list[str]:
    """The tags that results are told by."""
    asked = check.options.get("strata")
    if asked is None:
        return []
    tags = {tag for case in check.cases for tag in case.tags}
    return sorted(tag for tag in tags if asked == "tags" or tag.startswith(asked))


# -------------------------------------------------------------------------------------- the method


def _method_faults(check: Check) -> Iterator[Objection]:
    """A method that is wrong for the claim, the metric or the cases is refused, with the reason."""
    if check.options.get("peek"):
        yield from _peek_faults(check)
        return
    forced = check.options.get("method", "auto")
    if forced == "auto":
        return
    why = _unfit(check, forced)
    if why:
        yield Objection(("method",), "method", f"`{forced}` can't decide this: {why}", "write `auto`, or another")


def _unfit(check: Check, method: str) -> str:
    claim, metric = claim_of(check).word, metric_of(check).word
    if method in ("exact", "mcnemar", "mcnemar_exact", "tango"):
        if metric != "correct":
            return "it counts cases met by one and not by the other, and this metric is a number"
        if not is_paired(check):
            return _NO_CLUSTERS
        if method in ("mcnemar", "mcnemar_exact") and claim in _MARGINS:
            return _NO_MARGIN
        return "Tango's bounds are for a margin, or for `superior`" if (method, claim) == ("tango", "different") else ""
    if method in ("sign_flip", "wilcoxon") and claim in _MARGINS:
        return _NO_MARGIN
    if method in ("t", "wilcoxon") and metric == "correct":
        which = "a t interval collapses where few differ" if method == "t" else "most differences are ties"
        return f"of what is only right or wrong {which}"
    if method == "wilcoxon" and is_clustered(check):
        return "cases in clusters tell less than as many independent ones"
    return _unbounded(check) if method == "bounded" else ""


def _unbounded(check: Check) -> str:
    if is_uneven(check):
        return "the clusters are of several sizes, and it bounds the mean of their means, not of the cases"
    if metric_of(check).word == "latency":
        return "times have no upper end"
    return "" if within_of(check) else "the ends of the score's scale are not known, which `within:` would tell"


def _peek_faults(check: Check) -> Iterator[Objection]:
    metric = metric_of(check).word
    if check.options.get("method", "auto") != "auto":
        what = "whoever looks as cases come needs bounds made for that, and those are chosen by the data"
        yield Objection(("method",), "method", what, "remove `method`, or `peek`")
    if is_clustered(check):
        what = "looking as cases come is for independent ones, and these come in clusters"
        yield Objection(("peek",), "peek", what, "remove `peek`, or the clusters")
    if metric == "latency":
        what = "times of a batch are taken together: there is nothing to look at after every case"
        yield Objection(("peek",), "peek", what, "remove `peek`")


# ----------------------------------------------------------------------------------- enough of them


class Units(NamedTuple):
    """What counts as one independent observation."""

    many: int
    word: str


def units_of(check: Check) -> Units:
    if metric_of(check).word == "latency":
        return Units(check.batches(), "batch")
    if is_clustered(check):
        return Units(len({case.cluster or f"\0{case.id}" for case in check.cases}), "cluster")
    return Units(len(check.cases), "case")


def _too_few(check: Check) -> Iterator[Objection]:
    """Fewer cases than any outcome could decide; for a margin: even if nothing differed."""
    units, claim = units_of(check), claim_of(check)
    least, why = _least(check)
    if not check.cases or units.many >= least:
        return
    many = f"{units.many} {units.word if units.many == 1 else _several(units.word)}"
    margin = f"a margin of {claim.margin:g}" if claim.word in _MARGINS else f"`{claim.word}`"
    what = f"{many} can never show {margin} with a confidence of {1 - alpha_of(check):g}{why}"
    path = ("claim", claim.word, "margin") if claim.word in _MARGINS else ("claim",)
    if claim.word in _MARGINS and method_of(check) == "exact":  # now that it is refused, scipy may be loaded
        confidence = 1 - alpha_of(check) / len(arms_of(check.options)[1])
        while not paired.shown("exact", 0, 0, least, -claim.margin, confidence):
            least += max(1, least // 200)
    yield Objection(path, "too-few", what, f"collect at least {least}")


def _several(word: str) -> str:
    return "batches" if word == "batch" else f"{word}s"


def _least(check: Check) -> tuple[int, str]:
    """The fewest that could show the claim, and what has to be true of them."""
    claim, method = claim_of(check), method_of(check)
    alpha = alpha_of(check) / len(arms_of(check.options)[1])
    same, reach = ", even if nothing differs", reach_of(check) or 1.0
    if check.options.get("peek"):
        return _least_of_looks(check, claim, alpha), same if claim.word in _MARGINS else ""
    if method == "t":
        return means.TELLING, ", unless the ends of the score's scale are known"
    if method == "tango" and claim.word in _MARGINS:
        return paired.least_pairs(claim.margin, 1 - alpha), same
    if claim.word in _MARGINS:
        return least_alike(claim.margin / reach, alpha), same
    one_sided = claim.word == "superior"
    if method == "bounded":
        return ceil(log(alpha if one_sided else alpha / 2) / log(0.5) - 1e-9), ""
    if method in ("sign_flip", "wilcoxon"):
        return ranks.needed_pairs(alpha, "greater" if one_sided else "two-sided"), ""
    return least_discordant(check, alpha), ""


def _least_of_looks(check: Check, claim: Claim, alpha: float) -> int:
    """A floor: no bet on what comes next wins more than the odds give, however well it goes."""
    if within_of(check) is None:
        return 30
    if claim.word in _MARGINS:
        return least_alike(claim.margin / (reach_of(check) or 1.0), alpha)
    return ceil(log(alpha if claim.word == "superior" else alpha / 2) / log(0.5) - 1e-9) + 1


def least_alike(share: float, alpha: float) -> int:
    """The fewest, none of which differs, that bound a loss by this share of the scale.

    Of the exact test a floor: at an alpha below .05 it takes up to a tenth more.
    """
    return ceil(log(alpha - min(_SPENT, alpha / 100)) / log1p(-share) - 1e-9)


def least_discordant(check: Check, alpha: float) -> int:
    """The fewest pairs that must differ before a difference is claimed: by the mid-p only of a two-sided claim.

    One-sided, the mid-p and the exact unconditional test would claim something from three or four; we ask for as many
    as the exact conditional test.
    """
    if claim_of(check).word == "superior":
        return paired.least_discordant(alpha, exact=True, alternative="greater")
    return paired.least_discordant(alpha, exact=method_of(check) != "mcnemar")
