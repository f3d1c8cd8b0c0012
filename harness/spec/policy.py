"""What `certificate:` says: criteria, waivers and how long it holds, with the checks that they name found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from harness.contract import Check, Criterion, Waiver
from harness.spec import envelope
from harness.spec.document import Document
from harness.spec.faults import Fault, Spot, meant
from harness.spec.part import Part, today
from harness.spec.shape import shape_faults
from harness.spec.substitute import Substitution
from harness.spec.text import Map, find

_SECONDS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}


class Names:
    """The checks that names stand for: a name alone stands for each of `digits[int8]`, `digits[sparse]`."""

    def __init__(self, checks: Iterable[Check], parts: Sequence[Part] = (), folder: Path | None = None) -> None:
        self.checks = list(checks)
        self.folder = folder
        """Of a file that stands over specs: there a name may say whose check it is, as in `lenet5::digits`."""
        self.specs = {name: part.spec.path for part in parts for name in self._names_of(part)}

    def _names_of(self, part: Part) -> list[str]:
        path = Path(part.spec.path)
        short = path.relative_to(self.folder or Path())
        return [part.spec.name, path.as_posix(), short.as_posix(), short.with_suffix("").as_posix()]

    def found(self, name: str, at: Spot, faults: list[Fault]) -> list[str]:
        """The ids of the checks of this name; where there is none, or it can't be told whose, that is a fault."""
        whose, mark, own = name.rpartition("::")
        among = self.checks
        if mark and self.folder is not None and whose in self.specs:
            among = [check for check in among if _spec_of(check) == self.specs[whose]]
        elif mark:
            own = ""
        ids = [check.id for check in among if own in (check.name, _bare(check), "*" * bool(mark)) or check.id == name]
        if not ids and not faults:
            faults.append(Fault(at, "unknown-check", f"there is no check `{name}`", meant(name, self._known())))
        files = list(dict.fromkeys(id.partition("::")[0] for id in ids))
        if len(files) > 1:
            short = next(short for short, path in self.specs.items() if path == files[0])
            what = f"{files[0]} and {files[1]} both have a check `{name}`"
            faults.append(Fault(at, "ambiguous", what, f"say whose: `{short}::{name}`"))
        return ids

    def _known(self) -> set[str]:
        return {check.name for check in self.checks} | {_bare(check) for check in self.checks}


def _bare(check: Check) -> str:
    return check.name.partition("[")[0]


def _spec_of(check: Check) -> str:
    return check.id.partition("::")[0]


def circle_among(after: Mapping[str, Sequence[str]]) -> list[str]:
    """Ids that stand on each other in a circle, from the first to the first again; empty where there is none."""
    done: set[str] = set()
    for start in after:
        path: dict[str, None] = {}
        waiting = [(start, iter(after[start]))]
        path[start] = None
        while waiting:
            id, rest = waiting[-1]
            following = next(rest, None)
            if following is None:
                waiting.pop()
                del path[id]
                done.add(id)
            elif following in path:
                ids = list(path)
                return [*ids[ids.index(following) :], following]
            elif following not in done:
                path[following] = None
                waiting.append((following, iter(after[following])))
    return []


class Policy:
    """A spec's `certificate:`, read; what is wrong with it is among the document's faults."""

    def __init__(self, document: Document, top: Substitution, names: Names) -> None:
        self._document = document
        self._faults = document.faults
        self._top = top
        self._names = names
        self.seconds, self.ends = self._holds()
        self.criteria = tuple(self._criteria().values())
        self.waivers = tuple(self._waivers())

    def _fault(self, at: Spot, code: str, what: str, instead: str = "") -> None:
        self._faults.append(Fault(at, code, what, instead))

    def _holds(self) -> tuple[float | None, str]:
        """The seconds that it holds, or its last day."""
        certificate = self._document.about.get("certificate", {})
        if not isinstance(certificate, Map) or not isinstance(certificate.get("expires"), str):
            return None, ""
        at = certificate.values_at["expires"]
        said = self._top.fill(certificate, at, skip=("criteria", "waivers"))["expires"]
        if shape_faults(said, envelope.TOP["properties"]["certificate"]["properties"]["expires"], at):
            return None, ""  # it was told of when the document was read
        if said[-1] in _SECONDS:
            return float(said[:-1]) * _SECONDS[said[-1]], ""
        return None, self._day(said, at, "the certificate would end")

    def _day(self, said: str, at: Spot, ends: str) -> str:
        try:
            date.fromisoformat(said)
        except ValueError:
            self._fault(at, "date", f"`{said}` is no day", 'write it as "2027-01-31"')
            return ""
        if said < today():
            self._fault(at, "past", f"{ends} on {said}, which is over", "name a day that is still to come")
        return said

    def _criteria(self) -> dict[str, Criterion]:
        found: dict[str, Criterion] = {}
        rows = list(zip(self._document.criteria, self._document.criteria.items_at, strict=True))
        for raw, spot in rows:
            if shape_faults(raw, envelope.CRITERION, spot):
                return {}  # it was told of when the document was read
            criterion = self._criterion(self._top.fill(raw, spot), spot)
            if criterion and criterion.id in found:
                what = f"`{criterion.id}` is a criterion at {found[criterion.id].at} too"
                self._fault(find(raw, ("id",), spot), "duplicate-name", what, "rename one")
            elif criterion:
                found[criterion.id] = criterion
        self._weigh(rows)
        return found

    def _criterion(self, raw: Map, spot: Spot) -> Criterion | None:
        shape = shape_faults(raw, envelope.CRITERION, spot)
        self._faults += shape
        if shape:
            return None
        needs: dict[str, None] = {}
        for index, need in enumerate(raw["needs"]):
            needs |= dict.fromkeys(self._names.found(need, find(raw, ("needs", index), spot), self._faults))
        return Criterion(
            id=raw["id"],
            needs=tuple(needs),
            why=raw.get("why", ""),
            at=spot.short,
            weight=None if raw.get("weight") is None else float(raw["weight"]),
            spec=self._document.name,
        )

    def _weigh(self, rows: Sequence[tuple[Map, Spot]]) -> None:
        """Weights are given to all criteria or to none, and add up to a whole."""
        weighed = [(raw, spot) for raw, spot in rows if "weight" in raw]
        if not weighed:
            return
        bare = next(((raw, spot) for raw, spot in rows if "weight" not in raw), None)
        if bare is not None:
            what = f"`{bare[0]['id']}` has no weight, and `{weighed[0][0]['id']}` has one"
            self._fault(bare[1], "weights", what, "give each criterion one, or none")
            return
        if not all(isinstance(raw["weight"], int | float) for raw, _ in weighed):
            return
        whole = sum(raw["weight"] for raw, _ in weighed)
        if not any(abs(whole - target) <= 1e-6 * target for target in (1, 100)):
            raw, spot = weighed[-1]
            at = find(raw, ("weight",), spot)
            self._fault(at, "weights", f"the weights add up to {whole:g}", "have them add up to 1, or to 100")

    def _waivers(self) -> Iterable[Waiver]:
        told: dict[str, str] = {}
        for raw, spot in zip(self._document.waivers, self._document.waivers.items_at, strict=True):
            if shape_faults(raw, envelope.WAIVER, spot):
                continue  # it was told of when the document was read
            filled = self._top.fill(raw, spot)
            if shape := shape_faults(filled, envelope.WAIVER, spot):
                self._faults += shape
                continue
            many = isinstance(filled["check"], list)
            ids: dict[str, None] = {}
            for index, name in enumerate(filled["check"] if many else [filled["check"]]):
                at = find(raw, ("check", index) if many else ("check",), spot)
                ids |= dict.fromkeys(self._names.found(name, at, self._faults))
            for id in ids:
                if id in told:
                    what = f"`{id.rpartition('::')[2]}` is waived at {told[id]} too"
                    self._fault(find(raw, ("check",), spot), "duplicate-name", what, "keep one")
                told[id] = spot.short
            until = self._day(filled["until"], find(raw, ("until",), spot), "the waiver ended")
            who, why = (" ".join(filled[key].split()) for key in ("who", "why"))
            for key, said in (("who", who), ("why", why)):
                if not any(character.isalnum() for character in said):
                    what = f"`{key}` says nothing that can be read"
                    self._fault(find(raw, (key,), spot), "wrong-value", what, "write it in words")
            yield Waiver(checks=tuple(ids), who=who, why=why, until=until, at=spot.short)
