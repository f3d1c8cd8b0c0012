"""A proposal as a file, which another person may read, cut down and apply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from harness.codec import to_pretty_json
from harness.ledger import FILE as OUTCOMES
from harness.ledger import PLAN
from harness.pages import Run
from harness.patches.changes import Change

FORM = "hallmark/golden-patch/1"


class Patch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Literal["hallmark/golden-patch/1"]
    run: str
    plan: str
    """Digest of the run's plan."""
    outcomes: str
    files: dict[str, str]
    """Digests of the files that it would change, as the run read them."""
    changes: tuple[Change, ...]


class NotThis(Exception):
    """Why a patch can't be applied."""


def patch_of(run: Run, changes: Sequence[Change]) -> bytes:
    begin = run.record.begin
    files = {change.file: run.plan.files.get(change.file, "") for change in changes}
    return to_pretty_json(
        Patch(
            schema="hallmark/golden-patch/1",
            run=begin.run if begin else "",
            plan=run.digests[PLAN],
            outcomes=run.digests[OUTCOMES],
            files=files,
            changes=tuple(changes),
        )
    )


def changes_of(data: bytes, run: Run, proposed: Sequence[Change]) -> list[Change]:
    """The changes of a patch, each of which this very run proposes; NotThis where it is not for this run."""
    try:
        patch = msgspec.json.decode(data, type=Patch)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotThis(f"it is no patch: {error}; `hallmark golden update --patch FILE` writes one") from None
    if (patch.plan, patch.outcomes) != (run.digests[PLAN], run.digests[OUTCOMES]):
        raise NotThis(
            f"it was made of another run, {patch.run}; name that run: `hallmark golden update runs/{patch.run}`"
        )
    for name, digest in patch.files.items():
        if run.plan.files.get(name) != digest:
            raise NotThis(f"{name} is not as the run read it")
    known = {change.same(): change for change in proposed}
    found: dict[bytes, Change] = {}
    for number, change in enumerate(patch.changes, 1):
        mine = known.get(change.same())
        if mine is None or change.kind != mine.kind or change.file not in patch.files:
            raise NotThis(f"its change {number}, of `{change.case}`, is none that the run proposes")
        found[change.same()] = mine
    return list(found.values())
