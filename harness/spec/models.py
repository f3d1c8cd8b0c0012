"""The models that a spec declares: by the source that opens them, or `from:` another and what is done to it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from harness import rooms
from harness.codec import asked, digest_of
from harness.contract import Case, Declared, Refused, Site, Step
from harness.provenance import installed
from harness.spec import envelope
from harness.spec.document import Document
from harness.spec.faults import Fault, SpecFaults, Spot, listed, meant
from harness.spec.places import resolve, shown
from harness.spec.shape import shape_faults
from harness.spec.substitute import Substitution
from harness.spec.text import Map, Seq, bare, find

_DEEP = 64


class Known(NamedTuple):
    """A model that was declared without fault."""

    declared: Declared
    weights: str
    """Digest of what decides its weights, whatever decides how it is asked."""
    learned: Mapping[str, frozenset[str]]
    """What it learned from, step by step: digests of inputs that no check may ask of it."""


class Models:
    def __init__(self, document: Document, top: Substitution, site: Site) -> None:
        self.document = document
        self.top = top
        self.site = site
        self.faults = document.faults
        self.known: dict[str, Known] = {}
        self.recipes: list[tuple[str, dict[str, Any], str]] = []
        """What each source said decides its model: a plan that is kept holds only while it says so."""
        self._asked: list[str] = []
        """The models that are being read, each for the sake of the one before it."""
        self._read: set[str] = set()

    def read_all(self) -> None:
        for name in self.document.models:
            self._read_one(name)

    def _read_one(self, name: str) -> Known | None:
        """The model of this name; read on first asking, so that models may stand in any order."""
        if name not in self._read:
            self._read.add(name)
            self._asked.append(name)
            written = self.top.fill(self.document.models[name], self.document.models.values_at[name])
            known = self._declaration(name, written, self.document.models.keys_at[name])
            self._asked.pop()
            if known is not None:
                self.known[name] = known
        return self.known.get(name)

    def _fault(self, spot: Spot, code: str, what: str, instead: str = "") -> None:
        self.faults.append(Fault(spot, code, what, instead))

    @contextmanager
    def asking(self, spot: Spot, room: str) -> Iterator[None]:
        """What a room raises while it is asked about a spec is a fault of that spec's line, and no traceback."""
        try:
            yield
        except Refused as error:
            self._fault(spot, "room", str(error))
        except Exception as error:
            self._fault(spot, "room", f"`{room}` can't make sense of this: {type(error).__name__}: {error}")

    def other(self, name: Any, at: Spot) -> Known | None:
        """A model that another declaration, written at `at`, names."""
        models = self.document.models
        if not isinstance(name, str) or name not in models:
            if not self.document.lacks_fragments:
                self._fault(at, "unknown-model", f"there is no model `{name}`", meant(str(name), models))
            return None
        if name in self._asked:
            circle = [*self._asked[self._asked.index(name) :], name]
            way = " -> ".join(f"`{each}`" for each in circle)
            self._fault(at, "circle", f"the model comes from itself: {way}", "start from a model that has a source")
            return None
        if len(self._asked) > _DEEP:
            self._fault(at, "deep", f"the model has more than {_DEEP} models before it", "start from a nearer one")
            return None
        return self._read_one(name)

    # ------------------------------------------------------------------------------ with a source

    def _declaration(self, name: str, written: Map, spot: Spot) -> Known | None:
        if "from" in written:
            return self._made(name, written, spot)
        how = self._source(name, written, spot)
        if how is None or not self._fits(written, envelope.model_schema(how)):
            return None
        before = len(self.faults)
        digests: dict[str, str] = {}
        options = self._resolved(written, envelope.model_schema(how), written.spot, digests)
        room = rooms.source(how)
        batch = options.pop("batch", room.BATCH)
        if len(self.faults) > before:
            return None
        recipe: Any = None
        weights, serving = _parted(options, room)
        with self.asking(spot, how):
            for said in rooms.optional(room, "faults", options, self.site, default=()):
                self._fault(find(written, said.path, written.spot), said.code, said.what, said.instead)
            if len(self.faults) == before:
                recipe = rooms.recipe(how, weights, self.site)
        if len(self.faults) > before:
            return None
        said = digest_of(recipe)
        self.recipes.append((how, weights, said))
        recipe = digest_of([how, recipe, list(digests.values())])
        declared = Declared(
            name=name, how=how, options=options, said=said, recipe=_served(recipe, serving), at=spot.short, batch=batch
        )
        return Known(declared, recipe, {})

    def _source(self, name: str, written: Map, spot: Spot) -> str | None:
        hows = rooms.names(rooms.SOURCES)
        chosen = [key for key in written if key in hows]
        if len(chosen) == 1:
            return chosen[0]
        if len(chosen) > 1:
            words = " or ".join(f"`{how}`" for how in chosen)
            self._fault(
                written.keys_at[chosen[1]], "source", f"the model `{name}` has {len(chosen)} sources", f"keep {words}"
            )
            return None
        whats = rooms.names(rooms.VARIANTS)
        variant = next((key for key in written if key in whats), None)
        if variant:
            said = f"the model `{name}` has a `{variant}`, and nothing that it is done to"
            self._fault(written.keys_at[variant], "source", said, "write `from:` with the name of a model")
            return None
        near = [*hows, "from"]
        odd = next((key for key in written if meant(key, near).startswith("did")), None)
        instead = meant(odd, near) if odd else f"name one of {listed(hows)}, or `from` a model"
        self._fault(written.keys_at[odd] if odd else spot, "source", f"the model `{name}` has no source", instead)
        return None

    def _fits(self, written: Map, schema: Mapping[str, Any]) -> bool:
        shape = shape_faults(written, schema, written.spot)
        self.faults += shape
        return not shape

    # ----------------------------------------------------------------------------- from another model

    def _made(self, name: str, written: Map, spot: Spot) -> Known | None:
        base = self.other(written["from"], written.values_at["from"])
        whats = rooms.names(rooms.VARIANTS)
        chosen = [key for key in written if key in whats]
        if len(chosen) > 1:
            said = f"the model `{name}` takes {len(chosen)} steps at once"
            self._fault(
                written.keys_at[chosen[1]], "source", said, "give each step a model of its own, one `from` the other"
            )
            return None
        if base is None:
            return None
        room = rooms.source(base.declared.how)
        if not hasattr(room, "open_folder"):
            said = f"`{written['from']}` has no weights here to make a variant of: `{base.declared.how}` only asks"
            self._fault(written.values_at["from"], "source", said, "start from a model whose weights are here")
            return None
        what = chosen[0] if chosen else None
        schema = envelope.made_schema(base.declared.how, what)
        strange = [key for key in written if key not in schema["properties"]]
        for key in strange:
            known = [*schema["properties"], *(whats if what is None else ())]
            self._fault(written.keys_at[key], "unknown-key", f"`{key}` is not a key here", meant(key, known))
        if strange or not self._fits(written, schema):
            return None
        before = len(self.faults)
        digests: dict[str, str] = {}
        options = self._resolved(written, schema, written.spot, digests)
        learned = dict(base.learned)
        if len(self.faults) > before:
            return None
        step = self._step(what, options, base.weights, digests, learned, written) if what else None
        if len(self.faults) > before:
            return None
        steps = (*base.declared.steps, *((step,) if step else ()))
        weights, serving = _parted(base.declared.options, room)
        recipe = step.recipe if step else base.weights
        own = {key: _over(serving.get(key), options[key]) for key in getattr(room, "SERVING", ()) if key in options}
        serving |= own
        with self.asking(spot, base.declared.how):
            for said in rooms.optional(room, "faults", {**weights, **serving}, self.site, default=()) if own else ():
                if said.path[0] in own:
                    self._fault(find(written, said.path, written.spot), said.code, said.what, said.instead)
        declared = msgspec.structs.replace(
            base.declared,
            name=name,
            options={**weights, **serving},
            steps=steps,
            base=written["from"],
            recipe=_served(recipe, serving),
            at=spot.short,
            batch=options.get("batch", base.declared.batch),
        )
        return Known(declared, recipe, learned)

    def _step(
        self,
        what: str,
        options: dict[str, Any],
        weights: str,
        files: dict[str, str],
        learned: dict[str, frozenset[str]],
        written: Map,
    ) -> Step:
        room: Any = rooms.variant(what)
        before = len(self.faults)
        with self.asking(written.keys_at[what], what):
            for said in rooms.optional(room, "faults", options[what], default=()):
                self._fault(find(written, said.path, written.spot), said.code, said.what, said.instead)
            if len(self.faults) == before:
                inputs = rooms.optional(room, "learned", options[what], self.site, default=())
                learned[f"`{what}` at {written.keys_at[what]}"] = frozenset(map(asked, inputs))
        stands_on = [weights, list(files.values())]
        recipe = digest_of([stands_on, what, room.VERSION, options[what], installed("mlx"), installed("mlx-lm")])
        return Step(what=what, options=options[what], files=files, recipe=recipe)

    # -------------------------------------------------------------------------------------- files

    def _resolved(self, value: Any, schema: Mapping[str, Any], at: Spot, digests: dict[str, str]) -> Any:
        """The value with each path in it resolved from the root, its file among those that the plan stands on, and each
        model that it names in that name's place."""
        if isinstance(value, Map):
            parts = schema.get("properties", {})
            return {k: self._resolved(v, parts.get(k, {}), value.values_at[k], digests) for k, v in value.items()}
        if isinstance(value, Seq):
            items = schema.get("items", {})
            return [self._resolved(v, items, spot, digests) for v, spot in zip(value, value.items_at, strict=True)]
        form = schema.get("format")
        if not isinstance(value, str) or form not in ("file", "folder", "folder-or-id", "model"):
            return bare(value)
        if form == "model":
            known = self.other(value, at)
            return None if known is None else msgspec.to_builtins(known.declared)
        try:
            return self._path(value, form, at, digests)
        except SpecFaults as stop:
            self.faults.extend(stop.faults)
            return value

    def _path(self, value: str, form: str, at: Spot, digests: dict[str, str]) -> str:
        root = self.site.root
        if form == "folder-or-id" and "\0" not in value:
            if not value.startswith((".", "/", "~")) and not os.path.isdir((root / at.page.name).parent / value):
                return value
            return f"./{shown(resolve(value, at, root, folder=True, there=False), root)}"
        path = resolve(value, at, root, folder=form == "folder")
        for file in [path] if form == "file" else sorted(path.iterdir()):
            if file.is_file():
                self.document.load(file, shown(file, root))
                digests[shown(file, root)] = self.document.files[shown(file, root)]
        return shown(path, root)


def _parted(options: Mapping[str, Any], room: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What decides the weights, and what decides how they are asked."""
    keys = getattr(room, "SERVING", ())
    return {k: v for k, v in options.items() if k not in keys}, {k: v for k, v in options.items() if k in keys}


def _over(base: Any, own: Any) -> Any:
    """What a model says of how it is asked, over what the one it was made from said."""
    return {**base, **own} if isinstance(base, dict) and isinstance(own, dict) else own


def _served(recipe: str, serving: Mapping[str, Any]) -> str:
    return digest_of([recipe, serving]) if serving else recipe


def learned_among(known: Known, cases: Iterable[Case]) -> Iterator[tuple[str, list[str]]]:
    """The steps of a model that learned from some of these cases, and which."""
    by_case = {case.id: asked(case.input) for case in cases} if known.learned else {}
    for step, inputs in known.learned.items():
        if found := [id for id, digest in by_case.items() if digest in inputs]:
            yield step, found
