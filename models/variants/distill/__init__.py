"""A smaller model that learns what the model it is made from says: that one is its teacher.

models:
  student: {from: base, distill: {student: {conv: [5, 3], dense: []}, epochs: 20, rate: 0.005}}
  control: {from: base, distill: {student: {conv: [5, 3], dense: []}, share: 0, labels: 120, epochs: 250, rate: 0.005}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contract import Objection, Refused, Site
from models.data import learned

if TYPE_CHECKING:
    from models.families import Family
    from models.training import Study

__all__ = ["SCHEMA", "VERSION", "faults", "learned", "make"]

SCHEMA = {
    "properties": {
        "distill": {
            "type": "object",
            "description": "teach a smaller model what this one says",
            "properties": {
                "student": {
                    "type": "object",
                    "description": "the fields of the student's config.json that differ from its teacher's",
                },
                "temperature": {
                    "type": "number",
                    "minimum": 0.1,
                    "maximum": 100,
                    "description": "how far both their answers are softened before they are compared, 4 unless told",
                },
                "share": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 1,
                    "description": "the teacher's say beside the labels', 1 unless told; with 0 there are only labels",
                },
                "labels": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "how many examples, drawn by the seed, show their labels; all unless told",
                },
                "unlabelled": {
                    "type": "boolean",
                    "description": "whether the teacher tells of the examples without labels, too; true unless told",
                },
                "epochs": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 10_000,
                    "description": "how often each example is seen, 20 unless told",
                },
                "rate": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 1,
                    "description": "the learning rate it starts from, 0.002 unless told",
                },
                "batch": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 4096,
                    "description": "how many examples are learned from at once, 32 unless told",
                },
                "seed": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 2**32 - 1,
                    "description": "the whole number that decides the student's first weights, and the order, 0 unless"
                    " told",
                },
                "data": {
                    "type": "string",
                    "format": "file",
                    "description": "a .jsonl file of examples to learn from, where the zoo has none of its own",
                },
            },
            "required": ["student"],
            "additionalProperties": False,
        }
    }
}
VERSION = 1
FIXED = ("architecture", "model_type", "vocab_size", "made", "quantization", "quantization_config", "padded")
"""What a student shares with its teacher, or never has."""
PACKED = ("quantization", "quantization_config", "padded", "activations")


def faults(options: Mapping[str, Any]) -> Iterator[Objection]:
    for field in FIXED:
        if field in options["student"]:
            yield Objection(
                ("distill", "student", field), "fixed", f"a student's `{field}` is its teacher's", "leave it out"
            )
    share, labels = options.get("share", 1.0), options.get("labels")
    if share == 0 and options.get("unlabelled"):
        yield Objection(
            ("distill", "unlabelled"),
            "nothing-learned",
            "with `share: 0` the teacher says nothing of the examples without labels",
            "raise `share`, or leave `unlabelled` out",
        )
    if labels == 0 and (share == 0 or options.get("unlabelled") is False):
        yield Objection(
            ("distill", "labels"),
            "nothing-learned",
            "without any label, and without a teacher's word on the rest, there is nothing to learn",
            "show some labels, or raise `share` and use what is `unlabelled`",
        )


def make(base: Path, folder: Path, options: Mapping[str, Any], site: Site) -> None:
    import mlx.core as mx

    from models import weights
    from models.families import family_of

    before = weights.read_config(base)
    family = family_of(before, base.name)
    config = _config(before, options["student"])
    study = family.study(base, site.root / options["data"] if "data" in options else None)
    student = _fresh(family, config, study, options.get("seed", 0))
    figures = _taught(student, family.network(base), study, options, site)
    if "data" in options:
        from models.data import CalibrationDataset

        figures["data"] = CalibrationDataset(site.root / options["data"]).digest
    footprint = weights.footprint(base)
    student.set_dtype(getattr(mx, footprint["dtype"], mx.float32))
    teacher = {"digest": weights.digest(base), "parameters": footprint["parameters"]}
    made = {"distill": dict(options), "teacher": teacher, **figures}
    weights.save(student, {**config, "made": [*before.get("made", ()), made]}, folder, base)


def _config(before: Mapping[str, Any], student: Mapping[str, Any]) -> dict[str, Any]:
    config = {key: value for key, value in before.items() if key not in PACKED}
    if odd := sorted(student.keys() - config.keys()):
        had = ", ".join(f"`{key}`" for key in sorted(config.keys() - set(FIXED)))
        raise Refused(f"`student` has `{odd[0]}`, which the config of its teacher lacks; it has {had}")
    return {**config, **student}


def _fresh(family: Family, config: Mapping[str, Any], study: Study, seed: int) -> Any:
    """A student that has learned nothing yet, and can take an example in."""
    import mlx.core as mx
    import numpy as np

    mx.random.seed(seed)
    try:
        student = family.blank(config)
        student.set_dtype(mx.float32)
        mx.eval(student.parameters(), student(study.batch(np.arange(1), None).inputs))
    except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        raise Refused(f"`student` gives no network that works: {error}") from error
    return student


def _taught(student: Any, teacher: Any, study: Study, options: Mapping[str, Any], site: Site) -> dict[str, Any]:
    from mlx.utils import tree_flatten

    from models.training import fit, labelled, softened
    from models.variants.distill.showing import shown

    share, seed = options.get("share", 1.0), options.get("seed", 0)
    part = shown(study, options.get("labels"), rest=share > 0 and options.get("unlabelled", True), seed=seed)
    figures = fit(
        student,
        part,
        epochs=options.get("epochs", 20),
        batch=options.get("batch", 32),
        rate=options.get("rate", 2e-3),
        seed=seed,
        loss=softened(teacher, options.get("temperature", 4.0), share) if share else labelled,
        say=site.say,
    )
    labels, parameters = part.labels() if share < 1 else 0, dict(tree_flatten(student.parameters()))
    size = sum(value.size for value in parameters.values())
    return {"parameters": size, "labels": labels, "unlabelled": len(part) - labels, **figures}
