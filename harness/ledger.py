"""The record of a run: one JSON object a line, only ever appended to, by one writer."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from harness.contract import Outcome, Previous, Setting, by_case, is_flaky

FILE = "outcomes.jsonl"
PLAN = "plan.json"
CERTIFIED = "certified"


def certified_as(spec: str) -> str:
    """What the last run that certified a spec is called, beside the runs."""
    return f"{CERTIFIED}/{spec.replace('/', '--')}"


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="begin"):
    run: str
    started: str
    plan: str
    """Digest of plan.json."""
    machine: dict[str, Any]
    looks: dict[str, int] = {}
    """How often the same was asked before, by check, as far as the runs beside this one tell."""
    broken: dict[str, list[str]] = {}
    """What was changed, by check, of what had been promised before anyone looked."""
    earlier: dict[str, dict[str, list[float]]] = {}
    """What earlier runs on the same machine figured, by check and figure, the oldest first."""
    lock: dict[str, Any] | None = None
    """The lock that the run refers to, whole, where there is one."""
    judges: dict[str, str] = {}
    """Digest of what judges, by kind, where there is a lock to hold it against."""
    previous: Previous | None = None


class Remark(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="remark"):
    """Something a reviewer should know; `voids` where nothing may be certified because of it."""

    text: str
    voids: bool = False


class End(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="end"):
    finished: str
    seconds: float
    stopped: str | None = None


class Resumed(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="resumed"):
    """That a run which had been cut short was taken up again."""

    at: str


Line = Begin | Setting | Outcome | Remark | Resumed | End
_decoder = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder()


_SYNC = 1.0
"""Seconds of records that the death of the machine may take, at most; the writer's takes none."""


class Busy(OSError):
    """Another process writes this record."""


class Ledger:
    """The writer's side, of which a record has one at a time.

    What `append` returned from survives the writer's death; after a second, or after `close`, the machine's.
    """

    def __init__(self, path: Path, *, again: bool = False) -> None:
        self._file = path.open("r+b" if again else "xb", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise Busy(errno.EBUSY, "another process writes this run") from None
        self.torn = self._mend() if again else 0
        """Bytes of a last line that its writer did not live to end."""
        self._synced = time.monotonic()

    def _mend(self) -> int:
        """Cut a torn last line off; what was acknowledged ended with its line."""
        data = self._file.readall()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            self._file.truncate(whole)
        self._file.seek(whole)
        return len(data) - whole

    def append(self, lines: Iterable[Line]) -> None:
        data = _encoder.encode_lines(list(lines))
        whole = self._file.tell()
        try:
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError:
            self._file.seek(whole)
            self._file.truncate()  # no half line, whatever comes after
            raise
        if time.monotonic() - self._synced > _SYNC:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def close(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()


class Damaged(Exception):
    """A record that can't be what Hallmark wrote."""


class Record:
    """The reader's side: everything that was recorded, the first outcome of each case."""

    def __init__(self, data: bytes) -> None:
        self.begin: Begin | None = None
        self.end: End | None = None
        self.resumed: list[str] = []
        self.spent = 0.0
        """Seconds that it took before it was taken up again, as far as it lived to tell."""
        self.settings: dict[str, Setting] = {}
        self.remarks: list[Remark] = []
        self.checks: dict[str, dict[str, Outcome]] = {}
        self.torn = bool(data) and not data.endswith(b"\n")
        lines = data.split(b"\n")[:-1]
        outcomes: dict[str, list[Outcome]] = {}
        for number, text in enumerate(lines, 1):
            try:
                line = _decoder.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise Damaged(f"line {number}: {error}") from None
            if isinstance(line, Outcome):
                outcomes.setdefault(line.check, []).append(line)
            elif isinstance(line, Setting):
                self.settings.setdefault(line.id, line)
            elif isinstance(line, Remark):
                self.remarks.append(line)
            elif isinstance(line, Begin):
                self.begin = self.begin or line
            elif isinstance(line, Resumed):
                self.resumed.append(line.at)
                self.spent, self.end = (self.end.seconds if self.end else self.spent), None
            else:
                self.end = line
        self.checks = {check: by_case(found) for check, found in outcomes.items()}
        self.flaky = {
            check: flaky
            for check, found in outcomes.items()
            if (flaky := [each.case for each in found if is_flaky(each) and self.checks[check][each.case].tries > 1])
        }
        """By check, the cases that were measured again since what carries the model had failed."""
