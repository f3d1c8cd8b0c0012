"""Specs to a Plan: models declared, lists and matrices expanded, cases read, rooms asked for their objections."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from harness import rooms
from harness.codec import digest_of
from harness.contract import Check, Criterion, Declared, Site, SpecFile
from harness.spec import envelope
from harness.spec.cases import Found, inline_cases, read_cases
from harness.spec.document import Document, merged
from harness.spec.faults import Fault, SpecFaults, Spot, meant
from harness.spec.part import Part, digest_of_env
from harness.spec.places import resolve, shown
from harness.spec.shape import shape_faults
from harness.spec.substitute import Substitution
from harness.spec.text import Map, bare, find

MATRIX = 10_000
_SECONDS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}
_OWN = ("name", "kind", "about", "model", "cases", "matrix", "timeout")


def plan_spec(path: Path, site: Site) -> Part:
    """One spec file's part of the plan, or SpecFaults with everything that is wrong in it."""
    return _Planner(Document(path, site.root), site).part()


class _Planner:
    def __init__(self, document: Document, site: Site) -> None:
        self.document = document
        self.site = site
        self.faults = document.faults
        self.env: dict[str, str] = {}
        self.models: dict[str, tuple[Declared, int]] = {}
        self.files: dict[tuple[str, ...], list[Found]] = {}
        self.checks: dict[str, Check] = {}

    def part(self) -> Part:
        document = self.document
        top = Substitution({}, self.faults, self.env)
        about = top.fill(document.about, document.top, skip=("include", "models", "checks", "defaults", "certificate"))
        self.faults += shape_faults(
            about.get("about", ""), envelope.TOP["properties"]["about"], find(about, ("about",), document.top)
        )
        for name, declaration in document.models.items():
            self.model(name, top.fill(declaration, document.models.values_at[name]), document.models.keys_at[name])
        self.defaults()
        for raw, spot in zip(document.checks, document.checks.items_at, strict=True):
            for check in self.expanded(raw, spot):
                if check.id in self.checks:
                    self.fault(
                        find(raw, ("name",), spot),
                        "duplicate-name",
                        f"`{check.name}` is a {check.kind} check at {self.checks[check.id].at} too",
                        "rename one",
                    )
                else:
                    self.checks[check.id] = check
        criteria = self.criteria(top)
        if not document.checks and not self.faults:
            self.fault(document.top, "no-checks", "the spec has no check", "write `checks:` with at least one")
        notes = () if self.faults else tuple(self.notes())
        if self.faults:
            raise SpecFaults(self.faults)
        expires = about.get("certificate", {}).get("expires")
        return Part(
            spec=SpecFile(
                path=document.name,
                name=about.get("name", Path(document.name).stem),
                about=about.get("about", ""),
                expires=float(expires[:-1]) * _SECONDS[expires[-1]] if expires else None,
            ),
            files=document.files,
            env={name: digest_of_env(value) for name, value in self.env.items()},
            models={self.key(name): declared for name, (declared, _) in self.models.items()},
            checks=tuple(self.checks.values()),
            criteria=tuple(criteria.values()),
            notes=notes,
        )

    def fault(self, spot: Spot, code: str, what: str, instead: str = "") -> None:
        self.faults.append(Fault(spot, code, what, instead))

    @contextmanager
    def asking(self, spot: Spot, room: str) -> Iterator[None]:
        """What a room raises while it is asked about a spec is a fault of that spec's line, and no traceback."""
        try:
            yield
        except Exception as error:
            self.fault(spot, "room", f"`{room}` can't make sense of this: {type(error).__name__}: {error}")

    def key(self, model: str) -> str:
        return f"{self.document.name}::{model}"

    # ---------------------------------------------------------------------------------------- models

    def model(self, name: str, declaration: Map, spot: Spot) -> None:
        hows = rooms.names(rooms.SOURCES)
        chosen = [key for key in declaration if key in hows]
        if not chosen:
            odd = next((key for key in declaration if meant(key, hows).startswith("did")), None)
            instead = meant(odd, hows) if odd else f"name one of {', '.join(f'`{how}`' for how in hows)}"
            self.fault(
                declaration.keys_at[odd] if odd else spot, "source", f"the model `{name}` has no source", instead
            )
            return
        if len(chosen) > 1:
            words = " or ".join(f"`{how}`" for how in chosen)
            self.fault(
                declaration.keys_at[chosen[1]],
                "source",
                f"the model `{name}` has {len(chosen)} sources",
                f"keep {words}",
            )
            return
        how = chosen[0]
        schema = envelope.model_schema(how)
        shape = shape_faults(declaration, schema, declaration.spot)
        self.faults += shape
        if shape:
            return
        before = len(self.faults)
        options = self.with_files({k: bare(v) for k, v in declaration.items()}, declaration, schema)
        room = rooms.source(how)
        batch = options.pop("batch", room.BATCH)
        recipe: Any = None
        with self.asking(spot, how):
            for said in rooms.optional(room, "faults", options, self.site, default=()):
                self.fault(find(declaration, said.path, declaration.spot), said.code, said.what, said.instead)
            if len(self.faults) == before:
                recipe = rooms.optional(room, "recipe", options, self.site, default=options)
        if len(self.faults) > before:
            return
        files = [self.document.files.get(str(value)) for value in options.values()]
        recipe = digest_of([how, recipe, files])
        self.models[name] = (Declared(name=name, how=how, options=options, recipe=recipe, at=spot.short), batch)

    def with_files(self, options: dict[str, Any], written: Map, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The options with each path resolved from the root, and its file among those that the plan stands on."""
        for key, part in schema["properties"].items():
            form = part.get("format")
            if form in ("file", "folder") and key in options:
                try:
                    path = resolve(options[key], written.values_at[key], self.site.root, folder=form == "folder")
                    options[key] = shown(path, self.site.root)
                    for file in [path] if form == "file" else sorted(path.iterdir()):
                        if file.is_file():
                            self.document.load(file, shown(file, self.site.root))
                except SpecFaults as stop:
                    self.faults.extend(stop.faults)
        return options

    # ---------------------------------------------------------------------------------------- checks

    def defaults(self) -> None:
        kinds = rooms.names(rooms.EVALUATORS)
        defaults = self.document.defaults
        for kind, options in list(defaults.items()):
            if kind not in kinds:
                self.fault(defaults.keys_at[kind], "unknown-kind", f"`{kind}` is not a kind", meant(kind, kinds))
                continue
            known = envelope.check_schema(kind)["properties"].keys() - {"name", "kind"}
            strange = [key for key in options if key not in known]
            for key in strange:
                self.fault(
                    options.keys_at[key], "unknown-key", f"`{key}` is not an option of {kind}", meant(key, known)
                )
            defaults[kind] = options.without(*strange)

    def expanded(self, raw: Map, spot: Spot) -> Iterator[Check]:
        kind = raw.get("kind")
        kinds = rooms.names(rooms.EVALUATORS)
        if not isinstance(kind, str) or kind not in kinds:
            if kind is None:
                odd = next((key for key in raw if meant(key, ["kind"]).startswith("did")), None)
                self.fault(
                    raw.keys_at[odd] if odd else spot,
                    "missing-key",
                    "the check has no `kind`",
                    f"write `kind:` with one of {', '.join(kinds)}",
                )
            else:
                self.fault(
                    find(raw, ("kind",), spot), "unknown-kind", f"`{kind}` is not a kind", meant(str(kind), kinds)
                )
            return
        defaults = self.document.defaults.get(kind)
        check = merged(defaults, raw) if isinstance(defaults, Map) else raw
        schema = envelope.check_schema(kind)
        matrix = Substitution({}, self.faults, self.env).fill(check.get("matrix", Map(spot)), spot)
        shape = (
            shape_faults(matrix, envelope.COMMON["matrix"], find(check, ("matrix",), spot)) if "matrix" in check else []
        )
        self.faults += shape
        if shape:
            return
        if (many := math.prod(map(len, matrix.values()))) > MATRIX:
            self.fault(
                find(check, ("matrix",), spot), "matrix", f"the matrix makes {many:,} checks", f"at most {MATRIX:,}"
            )
            return
        for values in itertools.product(*matrix.values()):
            chosen = dict(zip(matrix, values, strict=True))
            filled = Substitution(chosen, self.faults, self.env).fill(
                check, spot, skip=("cases",) if isinstance(check.get("cases"), list) else ()
            )
            shape = shape_faults(_without_cases(filled), _loosened(schema, filled), spot)
            self.faults += shape
            if not shape:
                yield from self.over_models(filled, spot, [_label(v) for v in values])

    def over_models(self, check: Map, spot: Spot, labels: list[str]) -> Iterator[Check]:
        models = check.get("model", "")
        many = isinstance(models, list)
        for index, model in enumerate(models if many else [models]):
            at = find(check, ("model", index) if many else ("model",), spot)
            if model and model not in self.models:
                if model not in self.document.models and not self.document.lacks_fragments:
                    self.fault(
                        at,
                        "unknown-model",
                        f"there is no model `{model}`",
                        meant(model, self.document.models) or "declare it under `models:`",
                    )
                continue
            made = self.check(check, spot, model, [model, *labels] if many else labels)
            if made:
                yield made

    def check(self, written: Map, spot: Spot, model: str, labels: list[str]) -> Check | None:
        kind, name = written["kind"], written["name"]
        if labels:
            name += f"[{'-'.join(labels)}]"
        before = len(self.faults)
        found = self.cases(written, spot)
        draft = Check(
            id=f"{self.document.name}::{kind}::{name}",
            name=name,
            kind=kind,
            at=find(written, ("name",), spot).short,
            about=written.get("about", ""),
            model=self.key(model) if model else "",
            options={key: bare(value) for key, value in written.items() if key not in _OWN},
            cases=tuple(case for case, _ in found),
            batch=self.models[model][1] if model else 1,
            timeout=float(written.get("timeout", 300)),
        )
        if len(self.faults) > before:
            return None
        with self.asking(spot, kind):
            for said in rooms.objections(draft):
                path = said.path
                case = path[1] if path[:1] == ("cases",) and len(path) > 1 else None
                at = found[case].spot if isinstance(case, int) else find(written, path, spot)
                self.fault(at, said.code, said.what, said.instead)
            if len(self.faults) == before:
                draft = msgspec.structs.replace(draft, cases=tuple(rooms.evaluator(kind).expand(draft)))
        return draft if len(self.faults) == before else None

    def cases(self, written: Map, spot: Spot) -> list[Found]:
        """The cases that a check names; each file and each list is read once."""
        cases = written.get("cases")
        if cases is None:
            return []
        at = written.values_at["cases"]
        key = (cases, at.page.name) if isinstance(cases, str) else (str(id(cases)),)
        if key not in self.files:
            self.files[key] = []
            try:
                if isinstance(cases, str):
                    path = resolve(cases, at, self.site.root)
                    name = shown(path, self.site.root)
                    self.files[key] = read_cases(self.document.load(path, name), name, self.faults)
                else:
                    self.files[key] = inline_cases(cases, self.faults)
            except SpecFaults as stop:
                self.faults.extend(f for f in stop.faults if f not in self.faults)
        return self.files[key]

    # --------------------------------------------------------------------------------------- the rest

    def criteria(self, top: Substitution) -> dict[str, Criterion]:
        criteria: dict[str, Criterion] = {}
        for raw, spot in zip(self.document.criteria, self.document.criteria.items_at, strict=True):
            if shape_faults(raw, envelope.CRITERION, spot):
                continue  # it was told of when the document was read
            criterion = self.criterion(top.fill(raw, spot), spot)
            if criterion and criterion.id in criteria:
                self.fault(
                    find(raw, ("id",), spot),
                    "duplicate-name",
                    f"`{criterion.id}` is a criterion at {criteria[criterion.id].at} too",
                    "rename one",
                )
            elif criterion:
                criteria[criterion.id] = criterion
        return criteria

    def criterion(self, raw: Map, spot: Spot) -> Criterion | None:
        shape = shape_faults(raw, envelope.CRITERION, spot)
        self.faults += shape
        if shape:
            return None
        needs: list[str] = []
        for index, need in enumerate(raw["needs"]):
            found = [check.id for check in self.checks.values() if need in (check.name, check.name.partition("[")[0])]
            if not found:
                names = {check.name for check in self.checks.values()} | {
                    check.name.partition("[")[0] for check in self.checks.values()
                }
                if not self.faults:
                    self.fault(
                        find(raw, ("needs", index), spot),
                        "unknown-check",
                        f"there is no check `{need}`",
                        meant(need, names),
                    )
                return None
            needs += found
        return Criterion(id=raw["id"], needs=tuple(dict.fromkeys(needs)), why=raw.get("why", ""), at=spot.short)

    def notes(self) -> Iterator[str]:
        """What model sources want a reviewer to know, given the cases that each model will be asked."""
        for name, (declared, _) in self.models.items():
            ids = {case.id for check in self.checks.values() if check.model == self.key(name) for case in check.cases}
            with self.asking(self.document.models.keys_at[name], declared.how):
                room = rooms.source(declared.how)
                yield from rooms.optional(room, "remarks", declared.options, self.site, ids, default=())


def _label(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "".join(c if c.isalnum() or c in "_.+-" else "_" for c in text)


def _without_cases(check: Map) -> Map:
    """Inline cases are read by the case reader, whose faults say more than a schema's."""
    return check.without("cases") if isinstance(check.get("cases"), list) else check


def _loosened(schema: dict[str, Any], check: Map) -> dict[str, Any]:
    return (
        {**schema, "required": [key for key in schema["required"] if key != "cases"]}
        if isinstance(check.get("cases"), list)
        else schema
    )
