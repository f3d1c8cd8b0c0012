"""Teaches an adapter, has it written, and measures whether what was written says what was learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import mlx.core as mx

from harness.contract import Refused, Site
from models import families, weights
from models.data import CalibrationDataset
from models.language.folder import installed
from models.training import fit, in_float32, labelled
from models.variants.lora import fusing, writing
from models.variants.lora.measuring import Apart, Sample, Whole
from models.variants.lora.placing import learned, place
from models.variants.lora.plan import Recipe

LIMIT = 1e-3
"""Nats that what is written may be from what was learned, the mean over all places of the lessons."""
HALF = 1e-2
"""The same where weights are in half precision: those that an adapter is folded into are rounded once more."""
SHARE = 0.25
"""And however little was learned, no more than this share of it may be lost."""
NOISE = 1e-6
"""Nats of which nothing is a loss."""


def adapt(base: Path, folder: Path, options: Mapping[str, Any], site: Site) -> None:
    config, recipe = weights.read_config(base), Recipe(**options)
    installed()
    _refuse_what_cannot_be(base, config, options)
    family, data = families.family(base), CalibrationDataset(site.root / recipe.data)
    network, study = family.network(base), family.study(base, data.path)
    study = study if recipe.mask_prompt else Whole(study)
    parameters = _parameters(network)
    adapted = place(network, recipe, config)
    sample = Sample(study, recipe.batch)
    figures = _teach(network, study, recipe, sample, site.say)
    trained = sum(value.size for value in learned(network).values())
    made = {
        "lora": dict(options),
        "layers": len(adapted),
        "trained": trained,
        "share": trained / parameters,
        "lessons": {"digest": data.digest, "examples": len(data.examples)},
        "loss": figures,
    }
    taught = writing.Taught(base, config, recipe, network, adapted)
    said = writing.fused(taught, folder) if recipe.fuse else writing.apart(taught, folder)
    moved = sample.divergence(network, writing.untaught(taught))
    lost = sample.divergence(network, family.network(folder))
    _refuse_what_is_lost(lost, moved, fusing.dtype(network))
    made |= {"kl": {"learned": moved.mean, "lost": lost.mean, "lost_at_worst": lost.worst, "examples": len(sample)}}
    writing.say(folder, {**said, "made": [*config.get("made", []), made]})


def _refuse_what_cannot_be(base: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    if weights.adapter(base) is not None:
        raise Refused("it has an adapter beside its weights already; write `fuse: true` where that is made")
    if config.get("activations"):
        raise Refused("it rounds what its layers take in, and nothing can be learned through that; learn first")
    if "architecture" in config and not options.get("fuse"):
        raise Refused(f"a {config['architecture']} can't keep an adapter beside its weights; write `fuse: true`")
    if "architecture" in config and "mask_prompt" in options:
        raise Refused(f"a {config['architecture']} is not prompted; leave `mask_prompt` out")


def _parameters(network: Any) -> int:
    """All the parameters of a network, those that are packed counted as they are meant."""
    from mlx_lm.utils import get_total_parameters

    count: Callable[[Any], int] = get_total_parameters
    return count(network)


def _teach(network: Any, study: Any, recipe: Recipe, sample: Sample, say: Callable[[str], None]) -> dict[str, float]:
    """What it made of the lessons before, on average in its last epoch, and after."""
    before = sample.loss(network)
    with in_float32(network) if fusing.dtype(network) == mx.float16 else nullcontext():  # else gradients would be 0
        last = fit(
            network,
            study,
            epochs=recipe.epochs,
            batch=recipe.batch,
            rate=recipe.rate,
            seed=recipe.seed,
            loss=labelled,
            say=say,
        )
    after = sample.loss(network)
    if after >= before:
        say(f"  it learned nothing: loss {before:.4f} before, {after:.4f} after; try another `rate`")
    return {"before": before, "last_epoch": last["loss"], "after": after}


def _refuse_what_is_lost(lost: Apart, learned: Apart, dtype: mx.Dtype) -> None:
    """An adapter that is written must say what it has learned."""
    limit = LIMIT if dtype == mx.float32 else HALF
    if not lost.mean <= limit:  # nor where it is no number
        raise Refused(
            f"fused, it says something else than its adapter: KL {lost.mean:.2g} nats, beyond {limit:.2g};"
            " leave `fuse` out"
        )
    if not lost.mean <= max(NOISE, SHARE * learned.mean):
        raise Refused(
            f"what it learned is too little for weights in {str(dtype).removeprefix('mlx.core.')}: of a KL of"
            f" {learned.mean:.2g} nats {lost.mean:.2g} are lost; leave `fuse` out, learn more, or `cast: float32` first"
        )
