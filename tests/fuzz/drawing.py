"""Values that a JSON Schema allows, drawn by dice; a room that comes later is drawn from as those that are here."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from random import Random
from typing import Any

from tests.fuzz.tree import Pairs, grown

WORDS = ("a", "b", "label", "text", "one", "digits", "x", "sum", "hello", "repeat", "p95", "B603", "**/*.py")
_PATTERNED = ("a", "1", "12h", "90d", "2099-12-31", "2098-01-31", "30s", "500ms", "2m", "lenet5", "x1", "80%", "a.b")
ANYTHING: tuple[Any, ...] = (
    *("x", "hello", 1, 2.5, True, None, [1, 2], {"label": 3}, {"text": "2"}),
    {"messages": [{"role": "user", "content": "hello"}]},
    {"type": "object", "required": ["a"]},
    {"type": "string", "pattern": "^a+$"},
)
FILES: Mapping[str, tuple[str, ...]] = {
    "file": ("data/lessons.jsonl", "data/answers.jsonl", "data/cases.jsonl"),
    "folder": ("data/folder", "data"),
    "folder-or-id": ("org/name", "data/folder", "./nowhere"),
    "place": ("data", "data/cases.jsonl", "data/_shared.yaml"),
    "record": ("data/kept.json", "kept", "data"),
}
CASES = ("data/cases.jsonl", "data/cases.json", "data/cases.yaml", "data/cases.csv", "data/many.jsonl")


class Drawing:
    """Draws from one schema, whose parts may refer to each other."""

    def __init__(self, schema: Mapping[str, Any], dice: Random) -> None:
        self.whole = schema
        self.dice = dice

    def spec(self) -> Pairs:
        """A spec of the shape that the language asks for, whose names stand for something where they can."""
        dice, parts = self.dice, self.whole["$defs"]
        hows = [name for name in parts if name.startswith("model_") and name != "model_again"]
        models = Pairs([["m", Pairs([["echo", Pairs()]])], ["base", Pairs([["zoo", "llama"], ["seed", 0]])]])
        for index in range(dice.randint(0, 3)):
            models.append([f"n{index}", self.value(parts[dice.choice(hows)], 1)])
        whats = [name for name in parts if name.startswith("variant_")]
        for index in range(dice.randint(0, 2)):
            made = self.value(parts[dice.choice(whats)], 1)
            made.put("from", dice.choice(("base", "base", "m", "n0", "v0")))
            models.append([f"v{index}", made])
        names = [name for name, _ in models]
        kinds = [name for name in parts if name.startswith("check_")]
        checks = [self.check(parts[dice.choice(kinds)], f"c{index}", names) for index in range(dice.randint(1, 5))]
        spec = Pairs([["hallmark", 1], ["models", models], ["checks", checks]])
        for key in ("name", "about", "numerics", "defaults", "certificate"):
            if dice.random() < 0.3:
                spec.insert(dice.randint(1, len(spec)), [key, self.value(self.whole["properties"][key], 2)])
        certificate = spec.get("certificate")
        for row in certificate.get("criteria") or () if isinstance(certificate, Pairs) else ():
            row.put("needs", [dice.choice(checks).get("name")])
        for row in certificate.get("waivers") or () if isinstance(certificate, Pairs) else ():
            row.put("check", dice.choice(checks).get("name"))
        if dice.random() < 0.2:
            spec.insert(1, ["include", ["data/_shared.yaml"]])
        return spec

    def check(self, schema: Mapping[str, Any], name: str, models: list[str]) -> Pairs:
        dice, check = self.dice, self.value(schema, 1)
        check.put("name", name)
        if dice.random() < 0.9:
            check.put("model", dice.choice(models))
        if dice.random() < 0.7:
            check.put("cases", dice.choice(CASES) if dice.random() < 0.4 else self.cases())
        for key, value in check:
            if key in ("baseline", "candidate", "against", "draft", "teacher") and isinstance(value, str):
                check.put(key, dice.choice(models))
        if isinstance(check.get("after"), list):
            check.put("after", [f"c{dice.randrange(5)}"])
        dice.shuffle(check)
        return check

    def cases(self) -> list[Any]:
        rows = []
        for index in range(self.dice.choice((1, 2, 3, 30))):
            row = Pairs([["id", f"k{index}"], ["input", self.anything()], ["expect", self.anything()]])
            if self.dice.random() < 0.2:
                row.append(["tags", ["sum"]])
            rows.append(row)
        return rows

    def anything(self) -> Any:
        return grown(self.dice.choice(ANYTHING))

    def value(self, schema: Mapping[str, Any], depth: int = 0) -> Any:
        dice = self.dice
        if "$ref" in schema:
            return self.value(self.whole["$defs"][schema["$ref"].rpartition("/")[2]], depth)
        if "const" in schema:
            return grown(schema["const"])
        if "enum" in schema:
            return grown(dice.choice(schema["enum"]))
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self.value(dice.choice(schema[key]), depth)
        kind = schema.get("type")
        kind = dice.choice(kind) if isinstance(kind, list) else kind
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else None
        match kind:
            case "object":
                return self.mapping(schema, depth)
            case "array":
                least = schema.get("minItems", 0)
                many = dice.randint(least, min(schema.get("maxItems", least + 3), least + 3))
                items = [self.value(schema.get("items", {}), depth + 1) for _ in range(many)]
                return [item for i, item in enumerate(items) if item not in items[:i]]
            case "string":
                return self.text(schema)
            case "integer" | "number":
                return self.number(schema, whole=kind == "integer")
            case "boolean":
                return dice.random() < 0.5
            case "null":
                return None
            case _:
                return self.anything()

    def mapping(self, schema: Mapping[str, Any], depth: int) -> Pairs:
        known, required = schema.get("properties", {}), schema.get("required", ())
        chance = 0.5 if depth < 2 else 0.3
        made = Pairs()
        for key, part in known.items():
            if key in required or (depth < 7 and self.dice.random() < chance / (1 + len(known) / 12)):
                made.append([key, self.value(part, depth + 1)])
        rest = schema.get("additionalProperties")
        if isinstance(rest, Mapping) and depth < 7:
            names = self.dice.sample(("a", "b", "sum", "spare"), self.dice.randint(0, 2))
            made += [[name, self.value(rest, depth + 1)] for name in names]
        if not made and schema.get("minProperties") and known:
            key = self.dice.choice(list(known))
            made.append([key, self.value(known[key], depth + 1)])
        return made

    def text(self, schema: Mapping[str, Any]) -> str:
        if schema.get("format") in FILES:
            return self.dice.choice(FILES[schema["format"]])
        if schema.get("format") == "model":
            return self.dice.choice(("base", "m"))
        if "pattern" in schema:
            fitting = [each for each in _PATTERNED if re.search(schema["pattern"], each)]
            return self.dice.choice(fitting or WORDS)
        if self.dice.random() < 0.1:
            return (
                "".join(self.dice.choices(string.printable[:94] + " é漢{}", k=self.dice.randint(1, 30))).strip() or "a"
            )
        return self.dice.choice(WORDS)

    def number(self, schema: Mapping[str, Any], *, whole: bool) -> float | int:
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        high = schema.get("maximum", schema.get("exclusiveMaximum", max(low, 0) * 2 + 10))
        if whole or (isinstance(low, int) and high - low > 4 and self.dice.random() < 0.5):
            least = int(low) + ("exclusiveMinimum" in schema)
            return self.dice.randint(least, max(least, min(int(high), least + self.dice.choice((1, 5, 100)))))
        return round(low + (high - low) * self.dice.choice((0.01, 0.05, 0.1, 0.25, 0.5, 0.9)), 6)
