"""What GitHub shows of a run besides its log: annotations at the lines that asked, and the job's summary."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from harness.contract import Certificate, CheckResult
from harness.spec.faults import visible

SUMMARY = "summary.md"

MOST = 10
"""Annotations of one level that GitHub shows of a step."""
MOST_BYTES = 1024 * 1024
"""Of a step's summary: GitHub refuses all of it where it is more."""
_MESSAGE = 2_000
_TITLE = 200
_LEAST = 1_000
"""Bytes for which it is worth while to begin."""
_ORDER = ("error", "fail", "inconclusive", "unsupported", "pass")


def annotations(certificate: Certificate, prefix: str = "") -> list[str]:
    """The workflow commands that tell of a run, the worst first.

    `prefix` is the path of the project's root in the repository, where that is another folder.
    """
    results = {result.id: result for result in certificate.checks}
    errors = list(_errors(certificate, results, prefix))
    warnings = list(_warnings(certificate.checks, prefix))
    notices = [
        _command("notice", w.at, prefix, f"{_name(w.check, results)}: waived", f"by {w.who} until {w.until}: {w.why}")
        for w in certificate.waivers
        if w.used
    ]
    return [
        *_some(errors, "error", "do not pass"),
        *_some(warnings, "warning", "are not decided, or can't be measured here"),
        *_some(notices, "notice", "are waived"),
    ]


def tell_github(
    certificate: Certificate,
    folder: Path,
    environ: Mapping[str, str],
    write: Callable[[str], object],
    root: Path | None = None,
) -> list[str]:
    """Annotate the job that runs this, if GitHub runs it, and add to its summary: what could not be done is returned.

    `folder` is the run's, `root` the project's; `write` writes a line of the log, from its start.
    """
    if environ.get("GITHUB_ACTIONS") != "true":
        return []
    for line in annotations(certificate, _prefix(environ, root)):
        write(line)
    named = environ.get("GITHUB_STEP_SUMMARY")
    if not named:
        return []
    try:
        return _append((folder / SUMMARY).read_bytes(), Path(named))
    except (OSError, ValueError) as error:
        return [f"the job's summary could not be written: {getattr(error, 'strerror', None) or error}"]


# --------------------------------------------------------------------------------------- annotations


def _errors(certificate: Certificate, results: Mapping[str, CheckResult], prefix: str) -> Iterator[str]:
    if certificate.status != "certified" and (certificate.status != "blocked" or not certificate.blockers):
        yield _command("error", "", prefix, f"Hallmark: {certificate.status}", certificate.reason)

    def rank(check: str) -> int:
        return _ORDER.index(results[check].verdict) if check in results else 0

    for blocker in sorted(certificate.blockers, key=lambda blocker: rank(blocker.check)):
        result = results.get(blocker.check)
        said = [blocker.reason, *([result.advice] if result and result.advice else []), f"again: {blocker.reproduce}"]
        title = f"{result.name}: {result.verdict}" if result else f"{blocker.check}: blocks"
        yield _command("error", blocker.at, prefix, title, "\n".join(said))


def _warnings(checks: Iterable[CheckResult], prefix: str) -> Iterator[str]:
    found = [each for each in checks if each.verdict in ("inconclusive", "unsupported") and not each.waived]
    for result in sorted(found, key=lambda each: _ORDER.index(each.verdict)):
        said = [result.reason, *([result.advice] if result.advice else [])]
        yield _command("warning", result.at, prefix, f"{result.name}: {result.verdict}", "\n".join(said))


def _name(check: str, results: Mapping[str, CheckResult]) -> str:
    return results[check].name if check in results else check


def _some(told: Sequence[str], level: str, what: str) -> Sequence[str]:
    """As many as are shown; the last of them tells of the others."""
    if len(told) <= MOST:
        return told
    more = f"{len(told) - MOST + 1} more {what}: the job's summary and the report have them all"
    return [*told[: MOST - 1], _command(level, "", "", "Hallmark", more)]


def _command(level: str, at: str, prefix: str, title: str, message: str) -> str:
    known = {**_place(at, prefix), "title": _cut(visible(title.replace("\n", " ")), _TITLE)}
    properties = ",".join(f"{key}={_property(value)}" for key, value in known.items())
    return f"::{level} {properties}::{_data(_cut(visible(message), _MESSAGE))}"


def _place(at: str, prefix: str) -> dict[str, str]:
    """`path:line` as GitHub has places, from the root of the repository; nothing where that is no file of it."""
    path, _, number = at.rpartition(":")
    if not number.isascii() or not number.isdigit():
        path, number = at, ""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        return {}
    place = {"file": visible(str(PurePosixPath(prefix, path)))}
    return {**place, "line": number} if number else place


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _prefix(environ: Mapping[str, str], root: Path | None) -> str:
    workspace = environ.get("GITHUB_WORKSPACE")
    if root is None or not workspace:
        return ""
    try:
        return root.resolve().relative_to(Path(workspace).resolve()).as_posix()
    except (OSError, ValueError):
        return ""


# ------------------------------------------------------------------------------------------- summary


def _append(text: bytes, summary: Path) -> list[str]:
    """Add to a step's summary what there is room for."""
    if summary.exists() and not summary.is_file():
        raise ValueError("it is no file")
    with summary.open("ab") as file:
        room = MOST_BYTES - file.tell() - 1
        shown = _within(text, room)
        if shown:
            file.write((b"\n" if file.tell() else b"") + shown)
    if shown == text:
        return []
    return [f"the job's summary has no room for {'all of ' * bool(shown)}{SUMMARY}: it lies in the run's folder"]


def _within(text: bytes, room: int) -> bytes:
    """The first lines, as many as there is room for, and what says that there are more."""
    if len(text) <= room:
        return text
    more = f"\n\n*There is no more room here: the run's `{SUMMARY}` has it all.*\n".encode()
    fold, folded = b"<details>", b"\n\n</details>"
    kept = text[: max(0, room - len(more) - len(folded))].rpartition(b"\n")[0]
    if len(kept) < _LEAST:
        return b""
    return kept + folded * (kept.count(fold) - kept.count(folded.strip())) + more
