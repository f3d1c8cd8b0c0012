"""A model with the weights of least magnitude gone: single ones set to zero, or whole channels taken out.

models:
  sparse: {from: base, prune: {sparsity: 0.8, finetune: {epochs: 3}}}
  narrow: {from: base, prune: {sparsity: 0.8, how: structured, finetune: {epochs: 4, teacher: true}}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contract import Objection, Refused, Site
from models.data import learned

if TYPE_CHECKING:
    from models.families import Family

__all__ = ["SCHEMA", "VERSION", "faults", "learned", "make"]

SCHEMA = {
    "properties": {
        "prune": {
            "type": "object",
            "description": "take out the weights of least magnitude",
            "properties": {
                "sparsity": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "exclusiveMaximum": 1,
                    "description": "a share above 0 and below 1 that goes: of the weights that may be pruned, or with"
                    " how: structured of all parameters",
                },
                "how": {
                    "enum": ["unstructured", "structured"],
                    "description": "unstructured, single weights set to zero; or structured, whole channels taken out",
                },
                "scope": {
                    "enum": ["global", "layer"],
                    "description": "global, the least of all layers together go; or layer, each layer gives its share",
                },
                "by": {"enum": ["magnitude"], "description": "magnitude, what decides which go"},
                "keep": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                    "description": "a list of the layers left alone; * stands for any part of a name",
                },
                "finetune": {
                    "type": "object",
                    "description": "how what is left learns to do without; no fine-tuning unless told",
                    "properties": {
                        "epochs": {
                            "type": "integer",
                            "minimum": 1,
                            "maximum": 10_000,
                            "description": "how often each example is seen, 3 unless told",
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
                            "description": "the whole number that decides the order of the examples, 0 unless told",
                        },
                        "teacher": {
                            "type": "boolean",
                            "description": "true where the model it is made from has half a say beside the labels",
                        },
                    },
                    "additionalProperties": False,
                },
                "data": {
                    "type": "string",
                    "format": "file",
                    "description": "a .jsonl file of examples to fine-tune on, where the zoo has none of its own",
                },
            },
            "required": ["sparsity"],
            "additionalProperties": False,
        }
    }
}
VERSION = 2
SOFT, SHARE = 2.0, 0.5
"""A teacher's temperature in fine-tuning, and its say beside the labels'."""


def faults(options: Mapping[str, Any]) -> Iterator[Objection]:
    if "data" in options and "finetune" not in options:
        yield Objection(
            ("prune", "data"),
            "unused",
            "nothing is learned from `data` without fine-tuning",
            "add `finetune: {epochs: 3}`, or leave `data` out",
        )
    for at, pattern in enumerate(options.get("keep", ())):
        if not pattern.strip("*"):
            yield Objection(
                ("prune", "keep", at), "nothing-left", f"`{pattern}` spares every layer", "name those to leave alone"
            )


def make(base: Path, folder: Path, options: Mapping[str, Any], site: Site) -> None:
    from models import weights
    from models.families import family_of

    config = weights.read_config(base)
    if config.get("quantization") or config.get("quantization_config"):
        raise Refused("a quantized model can't be pruned, its weights are packed: prune first, then quantize")
    family = family_of(config, base.name)
    if options.get("how") == "structured":
        network, config, figures = _narrowed(base, config, family, options)
        taught = _finetuned(network, base, family, options, site)
    else:
        network, figures, taught = _zeroed(base, family, options, site)
    site.say("  " + ", ".join(f"{name} {value:.6g}" for name, value in figures.items() if type(value) in (int, float)))
    made = {"prune": dict(options), **figures, **taught}
    weights.save(network, {**config, "made": [*config.get("made", ()), made]}, folder, base)


def _zeroed(
    base: Path, family: Family, options: Mapping[str, Any], site: Site
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The network with its least weights at zero, counted at the end of everything; and what it learned."""
    from models.variants.prune.single import counted, refuse_unmet, zero_smallest

    network, spared = family.network(base), options.get("keep", ())
    refuse_unmet(network, spared)
    zero_smallest(network, options["sparsity"], layerwise=options.get("scope") == "layer", spared=spared)
    taught = _finetuned(network, base, family, options, site)
    return network, counted(network, spared), taught


def _narrowed(
    base: Path, config: Mapping[str, Any], family: Family, options: Mapping[str, Any]
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A network with fewer channels, its config, and what became of it."""
    from mlx.utils import tree_flatten

    from models.variants.prune.single import refuse_unmet
    from models.variants.prune.whole import chosen, cut, size

    network = family.network(base)
    refuse_unmet(network, options.get("keep", ()))
    offered, before = family.channels(network), size(network)
    layerwise, spared = options.get("scope") == "layer", options.get("keep", ())
    kept = chosen(network, offered, options["sparsity"], layerwise=layerwise, spared=spared)
    cut(network, offered, kept)
    config = family.narrowed(config, network)
    smaller = family.blank(config)
    smaller.load_weights(tree_flatten(network.parameters()))
    smaller.eval()
    after, widths = size(smaller), {name: len(channels) for name, channels in kept.items()}
    figures = {"sparsity": 1 - after / before, "parameters": after, "parameters_before": before, "widths": widths}
    return smaller, config, figures


def _finetuned(network: Any, base: Path, family: Family, options: Mapping[str, Any], site: Site) -> dict[str, Any]:
    """Let what is left learn; what is zero stays zero, by an earlier pruning, too."""
    if "finetune" not in options:
        return {}
    from models.data import CalibrationDataset
    from models.training import fit, in_float32, known, labelled, softened
    from models.variants.prune.single import held_at_zero

    data, told = site.root / options["data"] if "data" in options else None, options["finetune"]
    study, teacher = family.study(base, data), family.network(base) if told.get("teacher") else None
    if teacher is None and not known(study).any():
        raise Refused("no example has an `expect` to learn from: add some, or `teacher: true` to `finetune`")
    with in_float32(network):
        figures = fit(
            network,
            study,
            epochs=told.get("epochs", 3),
            batch=told.get("batch", 32),
            rate=told.get("rate", 2e-3),
            seed=told.get("seed", 0),
            loss=labelled if teacher is None else softened(teacher, SOFT, SHARE),
            say=site.say,
            keep=held_at_zero(network),
        )
    return {"finetuned": figures if data is None else {**figures, "data": CalibrationDataset(data).digest}}
