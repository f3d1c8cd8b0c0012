"""Makes a quantized folder of weights from a float one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.nn.layers.linear import Linear
from mlx.utils import tree_flatten

from harness.contract import Refused, Site
from models import families, weights
from models.quantized import Range, leaves, pack, put, simulated
from models.variants.quantize import calibrating, methods
from models.variants.quantize.calibrating import Calibration
from models.variants.quantize.choosing import Choice, choose


def quantize(base: Path, folder: Path, options: Mapping[str, Any], site: Site) -> None:
    config, method = weights.read_config(base), options.get("method", "round")
    _refuse_what_cannot_be(config, method)
    family = families.family(base)
    network = family.network(base)
    choice = choose(network, options)
    made: dict[str, Any] = {"quantize": dict(options), "left_in_float": choice.left}
    ranges: dict[str, Range] = {}
    examples = None
    if "data" in options:
        examples = calibrating.calibration(family, base, site.root, options)
        made["calibration"] = examples.made()
        ranges = _ranges(network, choice, examples, options.get("activations"))
    if examples is None or method == "round":
        put(network, _rounded(network, choice))
    else:
        network, made["kl"] = _tuned(lambda: family.network(base), choice, examples, options, config)
        if not made["kl"][method] <= made["kl"]["round"]:
            site.say(f"  {method} does no better than rounding here: KL {made['kl'][method]:.4f}")
    packed = leaves(network)
    put(network, {path: simulated(packed[path], inputs) for path, inputs in ranges.items()})
    if ranges:
        made["activations"] = {"simulated": True, "layers": len(ranges)}
    _refuse_what_is_not_finite(network)
    weights.save(network, {**config, **_written(config, network, choice, ranges, made)}, folder, base)


def _refuse_what_cannot_be(config: Mapping[str, Any], method: str) -> None:
    if "quantization" in config or "quantization_config" in config:
        raise Refused("it is quantized already; start `from:` the model in float that it was made of")
    if "architecture" in config and method != "round":
        raise Refused(f"{method} is for language models, and this is a {config['architecture']}; leave `method` out")


def _rounded(network: Any, choice: Choice) -> dict[str, Any]:
    found = leaves(network)
    return {path: pack(found[path], how) for path, how in choice.layers.items()}


def _ranges(network: Any, choice: Choice, examples: Calibration, how: Mapping[str, Any] | None) -> dict[str, Range]:
    """What the layers to be packed take in, where that is to be rounded, too: all but tables, which take in words."""
    if how is None:
        return {}
    found = leaves(network)
    linear = [path for path in choice.layers if isinstance(found[path], Linear)]
    batches = calibrating.alike(calibrating.inputs(examples.study, examples.chosen))
    return calibrating.observed(network, batches, linear, how)


def _tuned(
    network: Callable[[], Any],
    choice: Choice,
    examples: Calibration,
    options: Mapping[str, Any],
    config: Mapping[str, Any],
) -> tuple[Any, dict[str, Any]]:
    """A network packed by a method, and how far from the float one it is on examples kept from the method.

    One of eight is kept; of fewer than eight none, and the figure flatters.
    """
    method = options["method"]
    held = examples.chosen[7::8]
    fitted = [index for index in examples.chosen if index not in set(held)]
    shown, asked = (calibrating.alike(calibrating.inputs(examples.study, some)) for some in (fitted, held or fitted))
    teacher, tuned = network(), network()
    put(tuned, _rounded(tuned, choice))
    figures = {"round": methods.divergence(teacher, tuned, asked)}
    if method == "dwq":
        methods.dwq(tuned, teacher, calibrating.lessons(examples.study, fitted), options)
    else:
        tuned = network()
        if method == "gptq":
            methods.gptq(tuned, choice, shown)
        else:
            methods.awq(tuned, config["model_type"], choice, shown)
    figures[method] = methods.divergence(teacher, tuned, asked)
    return tuned, {**figures, "held_out": len(held)}


def _refuse_what_is_not_finite(network: Any) -> None:
    parameters: dict[str, Any] = dict(tree_flatten(network.parameters()))
    for name, value in parameters.items():
        if mx.issubdtype(value.dtype, mx.floating) and not mx.all(mx.isfinite(value)).item():
            raise Refused(f"{name} came out with numbers that are not finite; calibrate on other examples")


def _written(
    config: Mapping[str, Any], network: Any, choice: Choice, ranges: Mapping[str, Range], made: Mapping[str, Any]
) -> dict[str, Any]:
    """What config.json gains: in mlx-lm's own words where it has any."""
    written: dict[str, Any] = {"quantization": choice.written(network), "made": [*config.get("made", []), made]}
    if choice.widths:
        written["padded"] = {path: list(widths) for path, widths in choice.widths.items()}
    if ranges:
        bits = next(iter(ranges.values())).bits
        layers = {path: [inputs.low, inputs.high] for path, inputs in ranges.items()}
        written["activations"] = {"bits": bits, "layers": layers}
    return written
