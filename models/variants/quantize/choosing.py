"""Which layers are packed, and how."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.linear import Linear

from harness.contract import Refused
from models.quantized import Packing, leaves
from models.variants.quantize.plan import GROUPS, packing_of


class Choice(NamedTuple):
    """What is to become of a network's layers."""

    whole: Packing
    """How they are packed unless told otherwise."""
    layers: dict[str, Packing]
    left: list[str]
    """Layers with a matrix that stay in float."""
    widths: dict[str, tuple[int, int]]
    """Layers to pad: the inputs they take, and the inputs they are packed for."""

    def written(self, network: Any) -> dict[str, Any]:
        """As config.json says it, in mlx-lm's words."""
        other = {path: how.written() for path, how in self.layers.items() if how != self.whole}
        out = {path: False for path in self.left if hasattr(leaves(network).get(path), "to_quantized")}
        return {**self.whole.written(), **other, **out}


def choose(network: Any, options: Mapping[str, Any]) -> Choice:
    """How each layer is to be packed; Refused where a pattern means none, or a group does not divide a layer."""
    whole = Packing(*packing_of(options))
    found = leaves(network)
    packable = [path for path, layer in found.items() if hasattr(layer, "to_quantized")]
    matched = _matched(packable, options.get("layers", {}))
    layers: dict[str, Packing] = {}
    for path in packable:
        own = matched[path] if path in matched else _advised(network, path, found[path])
        if own is not False:
            default = {} if "mode" in own else whole.written()
            layers[path] = Packing(*packing_of(own, default))
    if not layers:
        raise Refused(f"no layer is left to pack; those that can be are {_listed(packable) or 'none'}")
    widths = _padding(found, layers, pad=options.get("pad", False))
    matrices = [path for path, layer in found.items() if getattr(layer.get("weight"), "ndim", 0) > 1]
    return Choice(whole, layers, [path for path in matrices if path not in layers], widths)


def _matched(paths: list[str], patterns: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of each path: by its own name, else by the longest pattern that it matches."""
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in paths):
            raise Refused(
                f"`layers: {{{pattern}: ...}}` matches no layer that can be packed; those are {_listed(paths)}"
            )
    said: dict[str, Any] = {}
    for path in paths:
        near = [pattern for pattern in patterns if fnmatchcase(path, pattern)]
        longest = [pattern for pattern in near if len(pattern) == max(map(len, near))]
        if path in patterns:
            said[path] = patterns[path]
        elif any(patterns[pattern] != patterns[longest[0]] for pattern in longest):
            raise Refused(f"`{'` and `'.join(longest)}` under `layers` both mean {path}; write {path} out")
        elif longest:
            said[path] = patterns[longest[0]]
    return said


def _advised(network: Any, path: str, layer: Any) -> Any:
    """What the network itself says of a layer: False of one that its makers know to suffer."""
    advise = getattr(network, "quant_predicate", None)
    said = True if advise is None else advise(path, layer)
    return said if isinstance(said, dict) else {} if said else False


def _padding(found: Mapping[str, Any], layers: Mapping[str, Packing], *, pad: bool) -> dict[str, tuple[int, int]]:
    odd = {
        path: int(found[path].weight.shape[-1])
        for path, how in layers.items()
        if found[path].weight.shape[-1] % how.group_size
    }
    stuck = {path: width for path, width in odd.items() if not isinstance(found[path], Linear | Embedding)}
    if odd and not pad:
        _refuse(odd, layers, "write `pad: true`, ")
    if stuck:
        _refuse(stuck, layers, "")
    return {path: (width, width + -width % layers[path].group_size) for path, width in odd.items()}


def _refuse(odd: Mapping[str, int], layers: Mapping[str, Packing], pad: str) -> None:
    (path, width), *others = odd.items()
    size = layers[path].group_size
    more = "".join(f", {path} {width}" for path, width in others[:3]) + (
        f" and {len(others) - 3} more" if others[3:] else ""
    )
    fit = next((f"group_size: {g}" for g in sorted(GROUPS, reverse=True) if not any(w % g for w in odd.values())), None)
    raise Refused(
        f"{path} takes {width} inputs{more}, which groups of {size} do not divide: {pad}"
        f"{f'`{fit}`' if fit else 'a group_size that divides'}, or leave it out with `layers: {{{path}: false}}`"
    )


def _listed(paths: list[str]) -> str:
    return ", ".join(paths[:12]) + (f" and {len(paths) - 12} more" if len(paths) > 12 else "")
