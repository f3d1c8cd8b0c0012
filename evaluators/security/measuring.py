"""The scans of a check, each made once a worker, and not again while nothing that it looks at has changed."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from evaluators.security import language, running
from evaluators.security.files import Unreadable
from evaluators.security.finding import Look, Missing, Scanned, Unavailable
from evaluators.security.judging import Ran
from harness.contract import Check, Measuring, Refused

OFFLINE = "HALLMARK_OFFLINE"
"""Set to anything but 0, no scanner uses the network."""


_OF_MODELS = ("model_files", "templates")
"""Scanners that look at the model's folder, too: without it, they have not seen what the check is about."""


class Session:
    """The scans of one check on one worker."""

    def __init__(self, check: Check) -> None:
        self._done: dict[str, Ran] = {}
        self._folder: list[Path | None] = []

    def ran(self, check: Check, name: str, bench: Measuring) -> Ran:
        if name not in self._done:
            self._done[name] = self._run(check, name, bench)
        return self._done[name]

    def _run(self, check: Check, name: str, bench: Measuring) -> Ran:
        on = datetime.now(UTC).date().isoformat()
        try:
            with bench.lasting(2 * check.timeout + 60):  # another worker may be at the same scan
                ran = _ran(check, name, bench, self._look(check, name, bench))
            ran.on = on
            return ran
        except Unavailable as why:
            return Ran(on=on, unavailable=f"{name}: {why}")
        except (Missing, Unreadable, running.Failed, Refused) as why:
            return Ran(on=on, error=f"{name}: {why}")
        except Exception as error:  # a scanner may be anybody's
            return Ran(on=on, error=f"{name}: {type(error).__name__}: {error}")

    def _look(self, check: Check, name: str, bench: Measuring) -> Look:
        if not self._folder:
            self._folder.append(_model_folder(check, bench))
        if check.model and self._folder[0] is None and name in _OF_MODELS:
            raise Unavailable(f"the model `{check.model}` has no folder that could be scanned")
        return Look(model_folder=self._folder[0], offline=os.environ.get(OFFLINE, "0") not in ("", "0"))


def _model_folder(check: Check, bench: Measuring) -> Path | None:
    """The weights of the check's model, where its source has a folder of them."""
    if not check.model:
        return None
    try:
        return bench.weights()
    except Refused:
        return None


class _NotKept(Exception):
    """What came of a scan that is to be made again."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def _ran(check: Check, name: str, bench: Measuring, look: Look) -> Ran:
    room, options, root = language.module(name), language.options_of(check, name), bench.root()
    version = room.version()
    files = room.subjects(options, root, look)
    if not files:
        raise Unreadable("there is nothing to scan; a scan of nothing shows nothing")
    request = running.Request(
        module=language.where(name),
        options=options,
        root=str(root),
        files=[os.fspath(path) for path in files],
        model_folder=str(look.model_folder or ""),
        offline=look.offline,
        memory=check.options.get("memory", language.MEMORY),
    )

    more = running.besides(room, options, look)
    key = running.key_of(room, options, root, files)

    def make() -> bytes:
        scanned = running.scan(request, check.timeout)
        if running.key_of(room, options, root, files) != key:
            raise running.Failed("what it looks at was changed meanwhile; run it again")
        data = msgspec.json.encode(scanned)
        if scanned.unread:  # another time it may be read
            raise _NotKept(data)
        return data

    try:
        data = make() if more is None else bench.kept(f"{key} {more}", make)
    except _NotKept as made:
        data = made.data
    return Ran(
        scanner=version,
        files=len(files),
        skipped=getattr(files, "skipped", 0),
        tree=key,
        scanned=msgspec.json.decode(data, type=Scanned),
    )
