"""What stands below a card's front matter, in Markdown that no text of a stranger can shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from harness.contract import Certificate, CheckResult, Pages
from reports.inert import file_of, inert

_SHAPES = re.compile(r"[&<>`*_\[\]{}|~$@#\\\"]|:(?=//)|(?<=www)\.|^[-+=]|^\d+(?=[.)](?:\s|$))", re.IGNORECASE)
_WORST = ("error", "fail", "inconclusive", "unsupported", "pass")
_MOST = 200
"""Checks in the table; the certificate has all."""


def prose(text: object) -> str:
    """Text that stays text in any Markdown: what could shape it is written as numbers of signs."""
    return _SHAPES.sub(lambda match: "".join(f"&#{ord(sign)};" for sign in match[0]), inert(text))


def code(text: object) -> str:
    """Text to be copied, between more backticks than stand in it."""
    shown = inert(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    blank = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{blank}{shown}{blank}{fence}" if shown else ""


def number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def span(result: CheckResult) -> str:
    """An estimate with its interval."""
    if result.estimate is None:
        return "not measured"
    if result.interval is None:
        return number(result.estimate)
    low, high = result.interval
    between = "exactly" if low == high else f"between {number(low)} and {number(high)}"
    if low == high:
        return f"{between} {number(result.estimate)}"
    return f"{number(result.estimate)}, {between}"


def names_of(pages: Pages) -> dict[str, str]:
    """The models that checks are about, by key: their names, with their specs where a name is not enough."""
    keys = list(dict.fromkeys(check.model for check in pages.plan.checks if check.model))
    known = {key: pages.plan.models[key].name if key in pages.plan.models else key for key in keys}
    many = Counter(known.values())
    return {key: key if many[name] > 1 else name for key, name in known.items()}


def written(pages: Pages) -> str:
    certificate = pages.certificate
    names = names_of(pages)
    title = ", ".join(list(names.values())[:5]) or ", ".join(spec.name for spec in pages.plan.specs) or "a run"
    blocks = [
        f"# {prose(title)}",
        f"**Hallmark: {certificate.status}.** {prose(certificate.reason)}",
        _meaning(certificate),
        _list(_facts(certificate)),
        *_part("What holds it up", _blockers(certificate)),
        *_part("Criteria", _criteria(certificate)),
        *_part("Waived", _waivers(certificate)),
        *_part("Limits", _limits(certificate)),
        *_part("Checks", _checks(certificate, names)),
        *_part("Models", _models(pages, names)),
        *_part("Data", _data(pages)),
        *_part("How to verify this", _verifying(pages)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _meaning(certificate: Certificate) -> str:
    return {
        "certified": "What is told below was shown on the cases below, and nothing beyond that.",
        "blocked": "**This is not certified:** something was shown not to be as it must.",
        "inconclusive": "**This is not certified:** what was measured does not decide it.",
        "incomplete": "**This is not certified:** not everything that was planned was measured as it was planned.",
    }[certificate.status]


def _facts(certificate: Certificate) -> Iterator[str]:
    run = certificate.run
    yield f"Run {code(run.id)}, {prose(run.finished or 'not finished')}, by Hallmark {prose(run.hallmark)}"
    yield f"{run.measured:,} of {run.planned:,} cases measured"
    yield f"Score: {prose(certificate.score_meaning or f'{number(certificate.score)} of 100')}"
    if certificate.expires:
        yield f"Holds until {prose(certificate.expires)}"
    if (locked := certificate.locked) is not None:
        moved = len(locked.moved) + len(locked.unlocked)
        kept = "and nothing moved since" if not moved else f"and {moved} moved since or not locked"
        yield f"The bar was locked before the run ({prose(locked.at)}), {kept}: lock {code(locked.digest)}"


def _blockers(certificate: Certificate) -> str:
    return _list(
        f"{prose(each.check)}: {prose(each.reason)} ({prose(each.at)}); shown again by {code(each.reproduce)}"
        for each in certificate.blockers
    )


def _criteria(certificate: Certificate) -> str:
    rows = [
        (prose(each.id), prose(each.why), each.verdict + ", waived" * each.waived, number(each.weight))
        for each in certificate.criteria
    ]
    return _table(("Criterion", "Why", "Verdict", "Weight"), rows)


def _waivers(certificate: Certificate) -> str:
    return _list(
        f"{prose(each.check)}, until {prose(each.until)}, by {prose(each.who)}: {prose(each.why)}"
        for each in certificate.waivers
        if each.used
    )


def _limits(certificate: Certificate) -> str:
    """What was not shown."""
    known = [
        f"{prose(result.name)}: {result.verdict}: {prose(result.reason)}"
        for result in certificate.checks
        if result.verdict in ("inconclusive", "unsupported")
    ]
    moved = certificate.locked.moved if certificate.locked else ()
    bars = [f"{prose(each.check)}: {prose(each.what)} was {prose(each.was)}, is {prose(each.now)}" for each in moved]
    return _list([*known, *bars, *map(prose, certificate.notes), *map(prose, certificate.recommendations)])


def _checks(certificate: Certificate, names: dict[str, str]) -> str:
    worst = sorted(certificate.checks, key=lambda result: (result.waived, _WORST.index(result.verdict)))
    rows = [
        (
            prose(result.name),
            prose(result.kind),
            prose(names.get(result.model, result.model) if result.model else ""),
            result.verdict + ", waived" * result.waived,
            span(result),
            prose(result.method),
            f"{result.n:,}",
        )
        for result in worst[:_MOST]
    ]
    more = f"\n\nAnd {len(worst) - _MOST:,} more, on the certificate." if len(worst) > _MOST else ""
    return _table(("Check", "Kind", "Model", "Verdict", "Estimate", "By", "n"), rows) + more


def _models(pages: Pages, names: dict[str, str]) -> str:
    known = pages.certificate.provenance["models"]
    rows = []
    for key, name in names.items():
        if key in known:
            digests = "<br>".join(map(prose, known[key]["digests"]))
            rows.append((prose(name), prose(known[key]["how"]), digests, prose(known[key]["recipe"])))
    return _table(("Model", "Made by", "Digest", "Recipe"), rows)


def _data(pages: Pages) -> str:
    return _table(
        ("File", "Digest"), [(prose(file_of(path)), prose(digest)) for path, digest in pages.plan.files.items()]
    )


def _verifying(pages: Pages) -> str:
    digests = pages.certificate.provenance["record"].items()
    said = "Whoever has the run's folder, or its `report.html`, which carries the record, can recompute all of this:"
    commands = f"pip install mlx-hallmark=={pages.plan.hallmark}\nhallmark verify report.html"
    block = "\n".join("    " + inert(line) for line in commands.splitlines())
    return f"{said}\n\n{block}\n\nThe record has these digests:\n\n" + _list(
        f"{prose(name)}: {code(digest)}" for name, digest in digests
    )


def _part(title: str, text: str) -> Iterator[str]:
    if text:
        yield f"## {title}"
        yield text


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
