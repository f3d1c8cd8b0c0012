"""Specs to a Plan: models declared, lists and matrices expanded, cases read, rooms asked for their objections."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness import rooms
from harness.contract import Check, Site, SpecFile
from harness.contract import Part as Role
from harness.ledger import FILE as OUTCOMES
from harness.spec import envelope
from harness.spec.cases import Found, inline_cases, read_cases
from harness.spec.document import Document, merged
from harness.spec.faults import Fault, SpecFaults, Spot, meant
from harness.spec.models import Known, Models, learned_among
from harness.spec.part import Part, digest_of_env
from harness.spec.places import resolve, shown
from harness.spec.policy import Names, Policy, circle_among
from harness.spec.recorded import recorded
from harness.spec.shape import shape_faults
from harness.spec.substitute import Substitution
from harness.spec.text import Map, Seq, bare, find

MATRIX = 10_000
_TOGETHER = 100_000
"""Cases of a check without a model that are measured in one go: all of them."""
_OWN = ("name", "kind", "about", "model", "cases", "matrix", "timeout", "after")


def plan_spec(path: Path, site: Site) -> Part:
    """One spec file's part of the plan, or SpecFaults with everything that is wrong in it."""
    return _Planner(Document(path, site.root), site).part()


def plan_over(path: Path, site: Site, parts: Sequence[Part]) -> Part:
    """The part of a file that has no checks of its own, and stands over those of others."""
    return _Planner(Document(path, site.root), site).over(parts)


class _Planner:
    def __init__(self, document: Document, site: Site) -> None:
        self.document = document
        self.site = site
        self.faults = document.faults
        self.env: dict[str, str] = {}
        self.top = Substitution({}, self.faults, self.env)
        self.models = Models(document, self.top, site)
        self.files: dict[tuple[str, ...], list[Found]] = {}
        self.checks: dict[str, Check] = {}
        self.afters: dict[str, tuple[Map, Spot]] = {}
        self.runs: dict[str, str] = {}
        self.remarks: dict[str, None] = {}

    def part(self) -> Part:
        document, top = self.document, self.top
        about = self.about(("include", "models", "checks", "defaults", "certificate"))
        self.models.read_all()
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
        self.stages()
        policy = Policy(document, top, Names(self.checks.values()))
        self.error_budget(about)
        if not document.checks and not self.faults:
            at = document.about.keys_at.get("checks", document.top)
            self.fault(at, "no-checks", "the spec has no check", "write `checks:` with at least one")
        notes = () if self.faults else tuple(self.notes())
        if self.faults:
            raise SpecFaults(self.faults)
        certificate = about.get("certificate", {})
        return Part(
            spec=SpecFile(
                path=document.name,
                name=about.get("name", Path(document.name).stem),
                about=about.get("about", ""),
                numerics=about.get("numerics"),
                expires=policy.seconds,
                ends=policy.ends,
                error_rate=certificate.get("error_rate"),
                spends=certificate.get("looks") == "spend",
            ),
            files=document.files,
            env={name: digest_of_env(value) for name, value in self.env.items()},
            recipes=self.models.recipes,
            models={self.key(name): known.declared for name, known in self.models.known.items()},
            checks=tuple(self.checks.values()),
            criteria=policy.criteria,
            waivers=policy.waivers,
            notes=notes,
            runs=self.runs,
        )

    def over(self, parts: Sequence[Part]) -> Part:
        document, top = self.document, self.top
        about = self.about(("include", "certificate"))
        for key in ("models", "defaults", "numerics"):
            if key in document.about:
                what = f"`{key}` does nothing in a file without checks"
                self.fault(document.about.keys_at[key], "no-effect", what, "write it in the specs")
        self.error_budget(top.fill(document.about, document.top))
        folder = Path(document.name).parent
        below = [part for part in parts if folder in Path(part.spec.path).parents]
        if not below and not self.faults:
            what = "no spec beside it or below it is run, and it has no checks of its own"
            self.fault(document.top, "no-checks", what, f"run its whole folder: hallmark run {folder}")
        policy = Policy(document, top, Names((check for part in below for check in part.checks), below, folder))
        if self.faults:
            raise SpecFaults(self.faults)
        return Part(
            spec=SpecFile(
                path=document.name,
                name=about.get("name", Path(document.name).stem),
                about=about.get("about", ""),
                expires=policy.seconds,
                ends=policy.ends,
                over=True,
            ),
            files=document.files,
            env={name: digest_of_env(value) for name, value in self.env.items()},
            recipes=[],
            models={},
            checks=(),
            criteria=policy.criteria,
            waivers=policy.waivers,
            notes=(),
        )

    def about(self, skip: tuple[str, ...]) -> Map:
        """What the spec says of itself, with the variables in it filled in."""
        about: Map = self.top.fill(self.document.about, self.document.top, skip=skip)
        schema, at = envelope.TOP["properties"]["about"], find(about, ("about",), self.document.top)
        self.faults += shape_faults(about.get("about", ""), schema, at)
        return about

    def fault(self, spot: Spot, code: str, what: str, instead: str = "") -> None:
        self.faults.append(Fault(spot, code, what, instead))

    def key(self, model: str) -> str:
        return f"{self.document.name}::{model}"

    def error_budget(self, about: Map) -> None:
        certificate = about.get("certificate", {})
        if "error_rate" in certificate and not self.document.checks:
            at = find(about, ("certificate", "error_rate"), self.document.top)
            self.fault(at, "no-effect", "an error rate is kept among the claims of one spec", "write it in the specs")
            return
        for key, does in (("across", "is kept"), ("looks", "is spent")):
            if key in certificate and "error_rate" not in certificate and certificate[key] != "count":
                at = find(about, ("certificate", key), self.document.top)
                self.fault(
                    at, "no-effect", f"no error rate is given that {does} so", "write `error_rate: 0.05` beside it"
                )
        rate, share = certificate.get("error_rate"), 0.5 if certificate.get("looks") == "spend" else 1.0
        for check in self.checks.values() if isinstance(rate, float) else ():
            least = rooms.optional(rooms.evaluator(check.kind), "least_p", check, default=0.0)
            if least > rate * share:
                what = (
                    f"`{check.name}` stops at a p of {least:.4g}, and its part of the error rate is {rate * share:.4g}"
                )
                at = find(about, ("certificate", "error_rate"), self.document.top)
                self.fault(at, "never", what, f"give it a `confidence` above {1 - rate * share:.4g}")

    def stages(self) -> None:
        """What each check stands on; a circle is told at the first of its checks."""
        names = Names(self.checks.values())
        for id, (written, spot) in self.afters.items():
            found: dict[str, None] = {}
            for index, name in enumerate(written["after"]):
                at = find(written, ("after", index), spot)
                found |= dict.fromkeys(names.found(name, at, self.faults))
            self.checks[id] = msgspec.structs.replace(self.checks[id], after=tuple(found))
        if circle := circle_among({id: check.after for id, check in self.checks.items()}):
            written, spot = self.afters[circle[0]]
            said = " stands on ".join(f"`{self.checks[id].name}`" for id in circle)
            self.fault(find(written, ("after",), spot), "circle", said, "break the circle")

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
        if shape or self.twice(check, matrix, spot):
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

    def twice(self, check: Map, matrix: Map, spot: Spot) -> bool:
        """Whether two values of a matrix make the same name, which is told at the second."""
        before = len(self.faults)
        for key, values in matrix.items():
            first: dict[str, Any] = {}
            for index, value in enumerate(values):
                label = _label(value)
                if label in first:
                    at = find(check, ("matrix", key, index), spot)
                    what = f"`{value}` and the `{first[label]}` before it make two checks of one name, `[{label}]`"
                    self.fault(at, "duplicate-name", what, "keep one")
                first.setdefault(label, value)
        return len(self.faults) > before

    def over_models(self, check: Map, spot: Spot, labels: list[str]) -> Iterator[Check]:
        """A check for each of its models, beside the models of its other roles."""
        found = len(self.faults)
        parts = rooms.cast(check["kind"], check)
        now = [part for part in parts.values() if not part.run]
        there = [self.is_model(part.model, find(check, part.path, spot)) for part in now]
        if not all(there) or len(self.faults) > found:
            return
        models = check.get("model", "")
        many = isinstance(models, list)
        for index, model in enumerate(models if many else [models]):
            at = find(check, ("model", index) if many else ("model",), spot)
            if "model" not in check or self.is_model(model, at):
                others = {role: self.then(part, model, check, spot) for role, part in parts.items()}
                there_are = {role: part for role, part in others.items() if part is not None}
                chosen = {"": Role(model, ("model",)), **there_are}
                made = self.check(check, spot, chosen, [model, *labels] if many else labels)
                if made:
                    if "after" in check:
                        self.afters[made.id] = check, spot
                    yield made

    def then(self, part: Role, own: str, check: Map, spot: Spot) -> Role | None:
        """A model's part in a check, its model found in the run that is meant; None where there is none yet."""
        if not part.run:
            return part
        at = find(check, part.path, spot)
        try:
            found = recorded(part.run, part.model or own, at, self.document, self.site, self.runs)
        except SpecFaults as stop:
            self.faults += [fault for fault in stop.faults if fault not in self.faults]
            return None
        if found is None:
            said = f"{check['name']}: nothing of {self.document.name} is certified yet, so it is held against nothing"
            self.remarks[said] = None
            return None
        self.models.known[found.name] = Known(found.declared, found.declared.recipe, {})
        return msgspec.structs.replace(part, model=found.name)

    def is_model(self, name: str, at: Spot) -> bool:
        document = self.document
        if name not in document.models and not document.lacks_fragments:
            what = meant(name, document.models) or "declare it under `models:`"
            self.fault(at, "unknown-model", f"there is no model `{name}`", what)
        return name in self.models.known

    def check(self, written: Map, spot: Spot, parts: Mapping[str, Role], labels: list[str]) -> Check | None:
        kind, name, model = written["kind"], written["name"], parts[""].model
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
            others={role: self.key(part.model) for role, part in parts.items() if role},
            prompts={role: part.prompt for role, part in parts.items() if part.prompt},
            options={key: self.option(kind, written, key) for key in written if key not in _OWN},
            cases=tuple(case for case, _ in found),
            batch=rooms.batch(kind, self.models.known[model].declared.batch) if model else _TOGETHER,
            timeout=float(written.get("timeout", 300)),
        )
        self.unlearned(written, spot, dict.fromkeys(part.model for part in parts.values() if part.model), draft)
        if len(self.faults) > before:
            return None
        with self.models.asking(spot, kind):
            for said in rooms.objections(draft):
                path = said.path
                case = path[1] if path[:1] == ("cases",) and len(path) > 1 else None
                at = found[case].spot if isinstance(case, int) else find(written, path, spot)
                self.fault(at, said.code, said.what, said.instead)
            if len(self.faults) == before:
                draft = msgspec.structs.replace(draft, cases=tuple(rooms.evaluator(kind).expand(draft)))
        return draft if len(self.faults) == before else None

    def option(self, kind: str, written: Map, key: str) -> Any:
        """An option as its room will have it: of a record, what the room makes of its bytes."""
        schema = envelope.check_schema(kind)["properties"].get(key, {})
        at, root = written.values_at[key], self.site.root
        if schema.get("format") != "record":
            return self.placed(written[key], schema, at)
        try:
            path = resolve(written[key], at, root, there=False, folder=None)
            path = path / OUTCOMES if path.is_dir() else path
            data = self.document.load_if_there(path, shown(path, root))
        except SpecFaults as stop:
            self.faults.extend(stop.faults)
            return None
        with self.models.asking(at, kind):
            return rooms.optional(rooms.evaluator(kind), "recall", key, shown(path, root), data)

    def placed(self, value: Any, schema: Mapping[str, Any], at: Spot) -> Any:
        """An option with each `place` in it, a file or a folder that is there, told from the root."""
        if isinstance(value, Map):
            parts = schema.get("properties", {})
            return {k: self.placed(v, parts.get(k, {}), value.values_at[k]) for k, v in value.items()}
        if isinstance(value, Seq):
            return [
                self.placed(v, schema.get("items", {}), spot) for v, spot in zip(value, value.items_at, strict=True)
            ]
        if not isinstance(value, str) or schema.get("format") != "place":
            return bare(value)
        try:
            return shown(resolve(value, at, self.site.root, folder=None), self.site.root)
        except SpecFaults as stop:
            self.faults.extend(stop.faults)
            return value

    def unlearned(self, written: Map, spot: Spot, models: Iterable[str], check: Check) -> None:
        """No model is asked what it learned from: a check that asks it would measure memory."""
        for model in models:
            for step, ids in learned_among(self.models.known[model], check.cases):
                many = f"{len(ids)} of the {len(check.cases)} cases are" if len(ids) > 1 else "a case is"
                what = f"{many} among what {step} made `{model}` from: `{ids[0]}`" + " first" * (len(ids) > 1)
                self.fault(find(written, ("cases",), spot), "learned", what, "take them out of one of the two")

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

    def notes(self) -> Iterator[str]:
        """What model sources want a reviewer to know, given the cases that each model will be asked."""
        yield from self.remarks
        for name in self.document.models:
            known = self.models.known[name]
            declared, key = known.declared, self.key(name)
            asked = [check for check in self.checks.values() if key in (check.model, *check.others.values())]
            ids = {case.id for check in asked for case in check.cases if case.asks}
            with self.models.asking(self.document.models.keys_at[name], declared.how):
                room = rooms.source(declared.how)
                yield from rooms.optional(room, "remarks", declared.options, self.site, ids, default=())
            for step, inputs in known.learned.items():
                if inputs and ids:
                    none = f"none of which is written as one of the {len(ids)} cases that it is asked"
                    yield f"{name}: {step} learned from {len(inputs)} inputs, {none}"


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
