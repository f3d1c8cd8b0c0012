"""The families of networks: a model of the zoo with an architecture of its own, or a language model that mlx-lm knows.

A family is a module that satisfies `Family`. A folder's config.json says which is meant: `architecture` names a module
of the zoo, `model_type` is mlx-lm's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from harness.contract import Model, Refused, Site
from models import weights

if TYPE_CHECKING:
    from models.training import Study


class Family(Protocol):
    """What variants and sources need to know of a kind of network."""

    def network(self, folder: Path) -> Any:
        """The folder's network, loaded, its quantized layers rebuilt, ready to answer."""

    def blank(self, config: Mapping[str, Any]) -> Any:
        """A fresh network of the shape that a config gives."""

    def study(self, folder: Path, data: Path | None) -> Study:
        """Examples to learn or to calibrate from; without data the zoo's own, where it has any."""

    def channels(self, network: Any) -> Sequence[Any]:
        """What structured pruning may narrow."""

    def narrowed(self, config: Mapping[str, Any], network: Any) -> dict[str, Any]:
        """The config whose widths are those that the network has."""

    def open(self, folder: Path, options: Mapping[str, Any], site: Site) -> Model:
        """The folder as a model under test."""


@cache
def offered() -> dict[str, EntryPoint]:
    """What the zoo has, by name."""
    return {point.name: point for point in entry_points(group="hallmark.zoo")}


def family(folder: Path) -> Family:
    """The family that a folder of weights belongs to."""
    return family_of(weights.read_config(folder), folder.name)


def family_of(config: Mapping[str, Any], whose: str) -> Family:
    if "architecture" in config:
        return architecture(config["architecture"])
    if not isinstance(config.get("model_type"), str):
        raise Refused(f"the config.json of {whose} has neither an `architecture` of the zoo nor mlx-lm's `model_type`")
    from models import language

    return cast(Family, language)


def architecture(name: Any) -> Family:
    """A module of the zoo by the name of its architecture."""
    if not isinstance(name, str) or name not in offered():
        known = ", ".join(f"`{name}`" for name in sorted(offered()))
        raise Refused(f"the zoo has no architecture {name!r}; it has {known}")
    module = offered()[name].load()
    if not hasattr(module, "network"):
        raise Refused(f"`{name}` has no architecture of its own: it is a language model, in mlx-lm's layout")
    return cast(Family, module)
