"""A spec file with its fragments: read, included, merged, with the marks of wherever each part was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.codec import digest
from harness.spec.envelope import TOP
from harness.spec.faults import Fault, Page, SpecFaults, Spot, refusal
from harness.spec.places import read_file, resolve, shown
from harness.spec.shape import shape_faults
from harness.spec.text import Map, Seq, read_yaml

_DEEP = 16


class Document:
    """What a spec says, its includes merged in."""

    def __init__(self, path: Path, root: Path) -> None:
        self.root = root
        self.name = shown(path, root)
        self.faults: list[Fault] = []
        self.files: dict[str, str] = {}
        self.lacks_fragments = False
        """Whether a fragment could not be read: what seems undeclared may be declared there."""
        self.top = Spot(Page(self.name, ""), 1, 1)
        if "::" in self.name:
            raise refusal(self.top, "name", "a spec's file name may not hold `::`, which parts ids", "rename the file")
        self.about = Map(self.top)
        self.models = Map(self.top)
        self.defaults = Map(self.top)
        self.checks = Seq(self.top)
        self.criteria = Seq(self.top)
        self.waivers = Seq(self.top)
        self._read(path, self.name, ())

    def load(self, path: Path, name: str) -> bytes:
        data = read_file(path, name)
        self.files[name] = digest(data)
        return data

    def load_if_there(self, path: Path, name: str) -> bytes | None:
        """The file; where it is not there yet, that is noted: what is planned without it holds until it is."""
        if path.exists():
            return self.load(path, name)
        self.files[name] = ""
        return None

    def _read(self, path: Path, name: str, within: tuple[str, ...]) -> None:
        top = Spot(Page(name, ""), 1, 1)
        before = len(self.faults)
        document = read_yaml(self.load(path, name), name, self.faults)
        if document is None:
            self.faults.append(Fault(top, "empty", "the spec is empty", "start it with `hallmark: 1`"))
            return
        if not isinstance(document, Map):
            self.faults.append(Fault(top, "wrong-type", "a spec is a mapping", "start it with `hallmark: 1`"))
            return
        misread = {(f.spot.page.name, f.spot.line) for f in self.faults[before:]}
        shapes = shape_faults(document, TOP, document.spot)
        self.faults += [f for f in shapes if (f.spot.page.name, f.spot.line) not in misread]
        if any(f.spot.page.name == name and f.code in ("wrong-type", "missing-key") for f in shapes):
            raise SpecFaults(self.faults)
        self._include(document, (*within, name))
        self._merge(document, top=not within)

    def _include(self, document: Map, within: tuple[str, ...]) -> None:
        includes = document.get("include", ())
        for raw, spot in zip(includes, getattr(includes, "items_at", ()), strict=True):
            try:
                path = resolve(raw, spot, self.root)
                name = shown(path, self.root)
                if not path.name.startswith("_"):
                    raise refusal(
                        spot,
                        "include",
                        f"`{raw}` is not a fragment",
                        "name it with a leading `_`, so that it is not collected itself",
                    )
                if name in within:
                    raise refusal(spot, "include", f"`{raw}` includes itself", "break the circle")
                if len(within) > _DEEP:
                    raise refusal(spot, "include", f"includes are nested more than {_DEEP} deep", "flatten them")
                if name not in self.files:
                    self._read(path, name, within)
            except SpecFaults as stop:
                self.lacks_fragments = True
                self.faults.extend(f for f in stop.faults if f not in self.faults)

    def _refuse_what_is_the_specs_own(self, fragment: Map) -> None:
        certificate = fragment.get("certificate", Map(fragment.spot))
        own = ("expires", "error_rate", "across", "looks", "waivers")
        for key, holder in (("numerics", fragment), *((key, certificate) for key in own)):
            if key in holder:
                what = f"`{key}` is the spec's own to say, and a fragment's goes unheard"
                self.faults.append(Fault(holder.keys_at[key], "fragment", what, "write it in the spec"))

    def _merge(self, document: Map, *, top: bool) -> None:
        """Fragments come first; what stands nearer to the spec wins."""
        if top:
            self.about = document
        else:
            self._refuse_what_is_the_specs_own(document)
        for name in document.get("models", ()):
            models = document["models"]
            if name in self.models:
                self.faults.append(
                    Fault(
                        models.keys_at[name],
                        "duplicate-key",
                        f"the model `{name}` is declared at {self.models.keys_at[name].short} too",
                        "rename one",
                    )
                )
            else:
                self.models.take(models, name)
        self.defaults = merged(self.defaults, document["defaults"]) if "defaults" in document else self.defaults
        _append(self.checks, document.get("checks"))
        certificate = document.get("certificate", {})
        _append(self.criteria, certificate.get("criteria"))
        _append(self.waivers, certificate.get("waivers") if top else None)


def _append(into: Seq, items: Seq | None) -> None:
    for item, spot in zip(items or (), getattr(items, "items_at", ()), strict=True):
        into.put(item, spot)


def merged(low: Map, high: Map) -> Map:
    """`high` over `low`, mapping by mapping, each part with its own marks."""
    made = Map(high.spot)
    for key in low:
        made.take(low, key)
    for key, value in high.items():
        below: Any = made.get(key)
        if isinstance(value, Map) and isinstance(below, Map):
            made.put(key, merged(below, value), high.keys_at[key], high.values_at[key])
        else:
            made.take(high, key)
    return made
