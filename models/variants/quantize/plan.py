"""What may be written under `quantize:`, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.contract import Objection

DEFAULTS = {"affine": (4, 64), "mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}
"""Bits and group size of each mode; of all but affine the only ones."""
BITS = (2, 3, 4, 5, 6, 8)
GROUPS = (32, 64, 128)

_BITS = {"type": "integer", "description": "bits a weight: 2, 3, 4, 5, 6 or 8"}
_GROUP = {"type": "integer", "description": "how many weights share a scale: 32, 64 or 128"}
_MODE = {"enum": list(DEFAULTS), "description": "how a group is stored: affine, or a microscaling format"}

SCHEMA: Mapping[str, Any] = {
    "properties": {
        "quantize": {
            "type": "object",
            "description": "how its weights are packed, such as {bits: 4, group_size: 64}",
            "additionalProperties": False,
            "properties": {
                "bits": _BITS,
                "group_size": _GROUP,
                "mode": _MODE,
                "pad": {
                    "type": "boolean",
                    "description": "true to widen layers that groups do not divide by zeros",
                },
                "layers": {
                    "type": "object",
                    "description": "layers to pack otherwise, by path or pattern (*, ?), or false to leave in float",
                    "additionalProperties": {
                        "anyOf": [
                            {"const": False},
                            {
                                "type": "object",
                                "properties": {"bits": _BITS, "group_size": _GROUP, "mode": _MODE},
                                "additionalProperties": False,
                                "minProperties": 1,
                            },
                        ],
                        "description": "false, or {bits, group_size, mode}",
                    },
                },
                "method": {
                    "enum": ["round", "gptq", "awq", "dwq"],
                    "description": "how packed weights are chosen: by rounding, or for what a language model says",
                },
                "data": {
                    "type": "string",
                    "format": "file",
                    "description": "a .jsonl file of examples to calibrate on, none of which a check asks",
                },
                "samples": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "how many of the examples, all unless told",
                },
                "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1, "description": "0 unless told"},
                "epochs": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "how often dwq goes over the examples, 4 unless told",
                },
                "rate": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 1,
                    "description": "dwq's learning rate, 3e-5 unless told",
                },
                "activations": {
                    "type": "object",
                    "description": "rounds what the packed layers take in, too; simulated in floating point",
                    "additionalProperties": False,
                    "required": ["bits"],
                    "properties": {
                        "bits": {"type": "integer", "minimum": 2, "maximum": 16, "description": "bits of an input"},
                        "percentile": {
                            "type": "number",
                            "exclusiveMinimum": 50,
                            "maximum": 100,
                            "description": "the share of inputs that a range holds, in percent; 100, all, unless told",
                        },
                    },
                },
            },
        }
    }
}


def packing_of(options: Mapping[str, Any], default: Mapping[str, Any] | None = None) -> tuple[int, int, str]:
    """Bits, group size and mode as options give them, or as the mode or `default` has them."""
    given = {**(default or {}), **options}
    mode = given.get("mode", "affine")
    bits, group_size = DEFAULTS[mode]
    return given.get("bits", bits), given.get("group_size", group_size), mode


def faults(options: Mapping[str, Any]) -> Iterator[Objection]:
    """What does not go together, told before anything is made."""
    yield from _packing_faults(options, {}, ("quantize",))
    for pattern, own in options.get("layers", {}).items():
        if own is not False:
            yield from _packing_faults(own, options, ("quantize", "layers", pattern))
    yield from _method_faults(options)
    yield from _data_faults(options)


def _packing_faults(own: Mapping[str, Any], whole: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Objection]:
    """A layer that names a mode has that mode's own bits and groups unless it gives them."""
    default = {} if "mode" in own else {key: whole[key] for key in ("bits", "group_size", "mode") if key in whole}
    bits, group_size, mode = packing_of(own, default)
    if mode == "affine":
        if bits not in BITS:
            yield _odd((*path, "bits"), f"affine has no {bits} bits", "write 2, 3, 4, 5, 6 or 8")
        if group_size not in GROUPS:
            yield _odd((*path, "group_size"), f"affine has no groups of {group_size}", "write 32, 64 or 128")
        return
    for key, value, only in zip(("bits", "group_size"), (bits, group_size), DEFAULTS[mode], strict=True):
        if value != only:
            other = "" if key not in default else ", or `mode: affine`"
            yield _odd((*path, key), f"{mode} has `{key}: {only}` only, not {value}", f"leave it out{other}")


def _method_faults(options: Mapping[str, Any]) -> Iterator[Objection]:
    method = options.get("method", "round")
    bits, _, mode = packing_of(options)
    at = ("quantize", "method")
    if method != "round" and mode != "affine":
        yield _odd(at, f"{method} packs in mode affine only", f"leave out `mode: {mode}` or `method: {method}`")
    elif method == "gptq" and bits not in (2, 4, 8):
        yield _odd(at, f"gptq has no {bits} bits", "write `bits:` 2, 4 or 8, or `method: awq`")
    elif method == "dwq" and bits > 6:
        yield _odd(at, "dwq learns scales below 8 bits only", "write fewer `bits:`, or leave `method: dwq` out")
    if options.get("pad") and method in ("gptq", "awq"):
        yield _odd(("quantize", "pad"), f"{method} does not pad", "leave `pad` out, or those layers by `layers:`")
    if options.get("layers") and method == "awq":
        said = "awq scales the layers of a block together, all of one packing"
        yield _odd(("quantize", "layers"), said, "leave `layers` out, or write `method: gptq`")
    if options.get("activations") and method == "awq":
        said = "awq changes what layers take in, so that ranges seen before it are wrong after it"
        yield _odd(("quantize", "activations"), said, "write `method: gptq` or leave one of the two out")
    for key in ("epochs", "rate"):
        if key in options and method != "dwq":
            yield _odd(("quantize", key), f"`{key}` is of dwq's learning", "leave it out, or write `method: dwq`")


def _data_faults(options: Mapping[str, Any]) -> Iterator[Objection]:
    method, rounds = options.get("method", "round"), "activations" in options
    need = "`activations`" if rounds else f"`method: {method}`" if method != "round" else None
    if need and "data" not in options:
        at = ("quantize", "activations") if rounds else ("quantize", "method")
        yield _odd(at, f"{need} needs examples", "write `data:` with a .jsonl file of them")
    if need:
        return
    for key in ("data", "samples", "seed"):
        if key in options:
            said = f"`{key}` is given, and rounding looks at no example"
            yield _odd(("quantize", key), said, "leave it out, or write `method: gptq`, awq or dwq, or `activations`")


def _odd(path: tuple[str, ...], what: str, instead: str) -> Objection:
    return Objection(path, "quantize", what, instead)
