"""Passwords, keys and tokens in files, found by detect-secrets' own plugins; none of them is tried out.

secrets: {paths: [..], exclude: ["tests/data/**"], without: [HexHighEntropyString]}
"""

from __future__ import annotations

import codecs
import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NoReturn

from evaluators.security import files as reading
from evaluators.security.finding import Confidence, Finding, Look, Missing, Scanned, Severity, identify_secret

_REVOKE = "revoke it, make a new one, and keep that in the environment or a secret store"
_RULES: Mapping[str, tuple[str, Severity, Confidence]] = {
    "ArtifactoryDetector": ("credentials of Artifactory", "high", "high"),
    "AWSKeyDetector": ("an AWS access key", "critical", "high"),
    "AzureStorageKeyDetector": ("a key of an Azure storage account", "critical", "high"),
    "Base64HighEntropyString": ("a random string in base64, which may be a secret", "low", "low"),
    "BasicAuthDetector": ("a name and a password in an address", "high", "medium"),
    "CloudantDetector": ("credentials of Cloudant", "high", "high"),
    "DiscordBotTokenDetector": ("a token of a Discord bot", "high", "high"),
    "GitHubTokenDetector": ("a GitHub token", "critical", "high"),
    "GitLabTokenDetector": ("a GitLab token", "critical", "high"),
    "HexHighEntropyString": ("a random string of hexadecimal digits, which may be a secret", "low", "low"),
    "IbmCloudIamDetector": ("an IBM Cloud key", "high", "medium"),
    "IbmCosHmacDetector": ("credentials of IBM's object storage", "high", "medium"),
    "IPPublicDetector": ("a public address of a machine", "low", "medium"),
    "JwtTokenDetector": ("a JSON web token", "high", "high"),
    "KeywordDetector": ("a value with a name like `password`", "medium", "medium"),
    "MailchimpDetector": ("a Mailchimp key", "high", "high"),
    "NpmDetector": ("an npm token", "critical", "high"),
    "OpenAIDetector": ("an OpenAI key", "high", "high"),
    "PrivateKeyDetector": ("a private key", "critical", "high"),
    "PypiTokenDetector": ("a PyPI token", "critical", "high"),
    "SendGridDetector": ("a SendGrid key", "high", "high"),
    "SlackDetector": ("a Slack token or webhook", "high", "high"),
    "SoftlayerDetector": ("credentials of SoftLayer", "high", "medium"),
    "SquareOAuthDetector": ("a secret of Square", "high", "high"),
    "StripeDetector": ("a Stripe key", "critical", "high"),
    "TelegramBotTokenDetector": ("a token of a Telegram bot", "high", "high"),
    "TwilioKeyDetector": ("a Twilio key", "high", "high"),
}
SCHEMA = {
    "properties": {
        "paths": reading.PATHS,
        "exclude": reading.EXCLUDE,
        "without": {
            "type": "array",
            "items": {"enum": sorted(_RULES)},
            "description": "a list of rules that are not looked for, such as HexHighEntropyString",
        },
        "largest": {
            "type": "integer",
            "minimum": 1,
            "description": "the bytes of the largest text that is looked into; 5242880 unless told",
        },
    },
    "required": ["paths"],
}
LARGEST = 5 << 20
_HEAD = 8192
_FILTERS = (
    "detect_secrets.filters.allowlist.is_line_allowlisted",
    "detect_secrets.filters.heuristic.is_indirect_reference",
    "detect_secrets.filters.heuristic.is_likely_id_string",
    "detect_secrets.filters.heuristic.is_not_alphanumeric_string",
    "detect_secrets.filters.heuristic.is_potential_uuid",
    "detect_secrets.filters.heuristic.is_prefixed_with_dollar_sign",
    "detect_secrets.filters.heuristic.is_sequential_string",
    "detect_secrets.filters.heuristic.is_templated_secret",
)
_LIMITS = {"Base64HighEntropyString": 4.5, "HexHighEntropyString": 3.0}
_MARKS = ("allowlist", "whitelist")
_RANDOM = ("Base64HighEntropyString", "HexHighEntropyString")
"""Rules that lock files are full of findings of."""
_SECONDS = 5.0
"""Of the processor's time, that one look at a file may take."""
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
"""The longer ones first: UTF-32's begins as UTF-16's does."""
_WIDE = (
    ("utf-32-le", 4, (0,)), ("utf-32-be", 4, (3,)), ("utf-16-le", 2, (0,)), ("utf-16-be", 2, (1,)),
)  # fmt: skip
"""Of each encoding: the bytes of a character, and which of them are no NUL in a text of mostly Latin letters."""
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b")
_MOST_CONTROLS = 0.05
"""The share of such bytes from which on what has NULs is no text."""


def rules() -> dict[str, str]:
    return {rule: what for rule, (what, _, _) in _RULES.items()}


def version() -> str:
    try:
        return f"detect-secrets {installed('detect-secrets')}"
    except PackageNotFoundError:
        raise Missing("detect-secrets is not installed; pip install 'mlx-hallmark[security]'") from None


def subjects(options: Mapping[str, Any], root: Path, look: Look) -> list[Path]:
    return reading.walk(root, options["paths"], options.get("exclude", ()))


def scan(options: Mapping[str, Any], root: Path, files: Sequence[Path], look: Look) -> Scanned:
    from detect_secrets.settings import transient_settings

    version()
    settings = {
        "plugins_used": _plugins(options.get("without", ())),
        "filters_used": [{"path": path} for path in _FILTERS],
    }
    scanned = Scanned(findings=[])
    marked: list[Path] = []
    with tempfile.TemporaryDirectory() as folder, transient_settings(settings):
        for path in files:
            try:
                _look_into(path, root, Path(folder), options.get("largest", LARGEST), scanned, marked)
            except reading.Unreadable as why:
                scanned.unread.append((reading.shown(path, root), str(why)))
    with transient_settings(settings):
        scanned.excused = sum(map(_excused, marked))
    return scanned


def _plugins(without: Sequence[str]) -> list[dict[str, Any]]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    plugins: Mapping[str, type] = get_mapping_from_secret_type_to_class()
    names = sorted(plugin.__name__ for plugin in plugins.values())
    return [
        {"name": name} | ({"limit": _LIMITS[name]} if name in _LIMITS else {}) for name in names if name not in without
    ]


def _look_into(path: Path, root: Path, folder: Path, largest: int, scanned: Scanned, marked: list[Path]) -> None:
    from detect_secrets.filters.heuristic import is_lock_file

    head = reading.head(path, _HEAD)
    encoding = _encoding(head)
    if not encoding:
        scanned.skipped += 1
        return
    try:
        data = reading.read(path, largest)
    except reading.Unreadable:
        if b"\0" in head and encoding == "utf-8-sig":  # weights begin with a text
            scanned.skipped += 1
            return
        raise
    text = _text(data, encoding)
    if any(mark in text for mark in _MARKS):
        marked.append(path)
    lines, locks = _lines(text), is_lock_file(path.name)
    found = {
        (min(each.line_number, len(lines)), rule, each.secret_value or "")
        for each, rule in _typed(_found(_as_text(path, data, text, folder)))
        if not (locks and rule in _RANDOM) and not _is_marked(path, lines, each.line_number)
    }
    name = reading.shown(path, root)
    scanned.findings += [_finding(name, line, rule, secret) for line, rule, secret in sorted(found)]


def _lines(text: str) -> list[str]:
    """Its lines as detect-secrets counts them: Python's own splitlines knows more ends of lines than an editor does."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def _found(place: Path) -> list[Any]:
    """What is in a file: in its lines as they stand, and in what its parsers of YAML and of settings make of them.

    A file that is built to be more than such a parser can take still has lines.
    """
    with place.open(encoding="utf-8", errors="replace") as file:
        lines = file.readlines()
        try:
            found = _in_time(partial(_in_lines, place, lines))
        except _Late:
            raise reading.Unreadable("it can't be looked into: it took too long") from None
        except Exception as why:
            raise reading.Unreadable(f"it can't be looked into: {type(why).__name__}") from None
        seen = {(each.type, each.secret_value) for each in found}
        for eager in (False, True):
            file.seek(0)
            with suppress(Exception, _Late):
                parsed = _in_time(partial(_parsed, place, file, eager))
                found += [each for each in parsed if (each.type, each.secret_value) not in seen]
    return found


def _parsed(place: Path, file: Any, eager: bool) -> list[Any]:
    from detect_secrets.transformers import get_transformed_file

    return _in_lines(place, get_transformed_file(file, use_eager_transformers=eager) or [])


def _in_lines(place: Path, lines: list[str]) -> list[Any]:
    from detect_secrets.core.scan import _process_line_based_plugins

    return list(_process_line_based_plugins(lines=list(enumerate(lines, start=1)), filename=os.fspath(place)))


class _Late(BaseException):
    """Raised within what takes too long."""


def _in_time(look: Callable[[], list[Any]]) -> list[Any]:
    def ring(number: int, frame: object) -> NoReturn:
        raise _Late

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
    try:
        return look()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _is_marked(path: Path, lines: list[str], number: int) -> bool:
    """Whether its line says that it may be; a file that reads as settings is scanned without its remarks, too."""
    from detect_secrets.filters.allowlist import is_line_allowlisted
    from detect_secrets.util.code_snippet import get_code_snippet

    if not 0 < number <= len(lines):
        return False
    context = get_code_snippet(lines, number)
    return bool(is_line_allowlisted(os.fspath(path), lines[number - 1], context))


def _typed(found: Iterable[Any]) -> Iterator[tuple[Any, str]]:
    """What was found, each with the plugin that found it."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    plugins: Mapping[str, type] = get_mapping_from_secret_type_to_class()
    by_type = {kind: plugin.__name__ for kind, plugin in plugins.items()}
    for each in found:
        yield each, by_type.get(each.type, each.type)


def _finding(path: str, line: int, rule: str, secret: str) -> Finding:
    what, severity, confidence = _RULES.get(rule, (f"what looks like a secret: {rule}", "medium", "medium"))
    return Finding(
        rule=rule, severity=severity, confidence=confidence, path=path, line=line, what=what, fix=_REVOKE,
        id=identify_secret(rule, path, secret),
    )  # fmt: skip


def _encoding(head: bytes) -> str:
    """What a text is written in, by its first bytes; nothing where it is no text."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    if b"\0" not in head:
        return "utf-8-sig"
    for name, width, full in _WIDE:
        if _is_wide(head[: len(head) // width * width], width, full):
            return name
    controls = sum(each in _CONTROLS for each in head)
    return "utf-8-sig" if controls <= _MOST_CONTROLS * len(head) else ""


def _is_wide(head: bytes, width: int, full: Sequence[int]) -> bool:
    """Whether its NULs stand where those of characters that are so wide do."""
    if not head:
        return False
    shares = [head[at::width].count(0) * width / len(head) for at in range(width)]
    return all(share <= 0.02 if at in full else share >= 0.5 for at, share in enumerate(shares))


def _text(data: bytes, encoding: str) -> str:
    """A text in whatever it is encoded; what is no UTF is read byte by byte, so that nothing of it is passed over."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("latin-1") if encoding == "utf-8-sig" else data.decode(encoding, "replace")
    return text.replace("\0", " ")


def _as_text(path: Path, data: bytes, text: str, folder: Path) -> Path:
    """A file that detect-secrets reads: itself, or a copy where it is encoded or named otherwise."""
    from detect_secrets.filters.heuristic import is_non_text_file

    plain = data == text.encode("utf-8", "surrogatepass")
    if plain and not is_non_text_file(os.fspath(path)):
        return path
    return _copy(folder, path.name[-60:] + (".txt" if is_non_text_file(os.fspath(path)) else ""), text)


def _copy(folder: Path, name: str, text: str) -> Path:
    copy = folder / name
    copy.write_text(text, "utf-8", "replace", newline="")
    return copy


def _excused(path: Path) -> int:
    """How many findings a mark in their line excuses."""
    from detect_secrets.core.scan import scan_for_allowlisted_secrets_in_file

    return len({(each.line_number, each.secret_hash) for each in scan_for_allowlisted_secrets_in_file(os.fspath(path))})
