"""What a scanner finds, and the words that all scanners share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec import Struct

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
"""The least first."""
Confidence = Literal["low", "medium", "high"]
_SLOW = 20_000
"""Rounds of a digest that is to be slow."""
CONFIDENCES: tuple[Confidence, ...] = ("low", "medium", "high")


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a scanner objects to."""

    rule: str
    severity: Severity
    path: str
    """From the project's root, with slashes; or a package, as `name==version`."""
    line: int = 0
    """From 1; 0 where it concerns the whole file."""
    what: str
    """What it is, in a sentence, without the secret itself."""
    fix: str = ""
    """What to do about it."""
    confidence: Confidence = "high"
    id: str = ""
    """Stays the same when lines above it move: see `identify`, by which it is made of `what` where there is none."""

    @property
    def at(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


class Scanned(Struct):
    """What came of a scan."""

    findings: list[Finding]
    unread: list[tuple[str, str]] = []
    """The paths that could not be read or parsed, each with why."""
    excused: int = 0
    """How many findings a mark in the scanned file itself excuses, such as `# nosec`."""
    skipped: int = 0
    """How many files were passed over, such as binary ones where texts are looked into."""


class Missing(Exception):
    """The scanner is not installed, and its words say how it is."""


class Unavailable(Exception):
    """What the scanner needs can't be had here, such as advisories: the check is unsupported."""


class Look(Struct, frozen=True, kw_only=True):
    """What a scanner may know of the outside."""

    model_folder: Path | None = None
    """The weights of the check's model, where it has a folder."""
    offline: bool = True
    """Whether the network must not be used."""


class Scanner(Protocol):
    """A room of security: a module that looks at files. An outside package offers one as `hallmark.scanners`.

    Optional names: `faults(options)` yields Objections at plan time, their paths below the scanner's own key;
    `besides(options, look)` is text on what else decides what it finds beside its version, its options and the files,
    such as the day, and None where nothing tells, so that it is scanned each time.
    """

    SCHEMA: Mapping[str, Any]
    """Schema of its options: an object, each with a description."""

    def rules(self) -> Mapping[str, str]:
        """What it can find, by rule: known before anything is scanned, and cheap to tell."""

    def version(self) -> str:
        """Its name and version, such as `bandit 1.8.6`; Missing where it is not installed."""

    def subjects(self, options: Mapping[str, Any], root: Path, look: Look) -> list[Path]:
        """The files that it will read, sorted."""

    def scan(self, options: Mapping[str, Any], root: Path, files: Sequence[Path], look: Look) -> Scanned:
        """What it finds there. Runs in a process of its own, with a limit on its time and memory."""


def identify(rule: str, path: str, text: str) -> str:
    """A finding's id: the same wherever in the file its line stands, and however that is indented."""
    told = "\0".join([rule, path, " ".join(text.split())])
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def identify_secret(rule: str, path: str, text: str) -> str:
    """An id that is slow to make, so that nobody guesses a secret by it: a baseline may be read by anybody."""
    salt = f"{rule}\0{path}".encode("utf-8", "surrogatepass")
    return hashlib.pbkdf2_hmac("sha256", text.encode("utf-8", "surrogatepass"), salt, _SLOW)[:8].hex()


def at_least(severity: str, bar: str) -> bool:
    return rank(severity) >= rank(bar)


def rank(severity: str) -> int:
    """Its place among the severities, the least being 0."""
    return list[str](SEVERITIES).index(severity)
