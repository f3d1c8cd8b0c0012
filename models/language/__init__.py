"""The family of language models in the mlx-lm layout: config.json, model*.safetensors and a tokenizer in one folder.

`folder` opens one safely, `opening` with what drafts for it, `options` is how it is to answer, `prompts` what it is
asked, `writing` how answers come about, `weighing` how likely it finds given ones, `speaker` the model under test,
`ways` the other ways to ask it, `saving` writes it down again, `lessons` what it learns from. This module is imported
while a plan is made: it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contract import Refused, Site
from models import weights
from models.language import folder as folders
from models.language import options as generate

if TYPE_CHECKING:
    from models.language.speaker import Speaker
    from models.training import Channels, Study

GENERATE = generate.GENERATE
faults = generate.faults


def open(folder: Path, options: Mapping[str, Any], site: Site | None = None) -> Speaker:
    """The folder as a model under test; `generate` among the options says how it answers."""
    way = generate.read(options.get("generate", {}))
    folders.installed()
    draft = None
    if way.draft is not None:
        if site is None:
            raise Refused("a draft model can't be found here")
        draft = site.weights(way.draft)
    from models.language.opening import opened
    from models.language.speaker import Speaker

    return Speaker(opened(folder, draft, _trusted(site)), way)


def _trusted(site: Site | None) -> bool:
    return bool(getattr(site, "trusted", False))


def network(folder: Path, trusted: bool = False) -> Any:
    return folders.network(folder, trusted)


def blank(config: Mapping[str, Any]) -> Any:
    """A fresh network of the config's shape, its weights drawn by MLX's own chance; nothing of it is quantized."""
    model, arguments = folders.classes(config)
    try:
        fresh = model(arguments.from_dict(dict(config)))
    except (TypeError, ValueError, KeyError) as error:
        raise Refused(f"mlx-lm can't build a `{config['model_type']}` of this config: {error}") from error
    fresh.eval()
    return fresh


def study(folder: Path, data: Path | None) -> Study:
    """The examples of a .jsonl file, as the folder's tokenizer reads them."""
    if data is None:
        raise Refused("a language model has no data of its own to learn from; give `data:`")
    from models.language.lessons import Lessons

    tokenizer, config = folders.tokenizer(folder), weights.read_config(folder)
    known = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size") or len(tokenizer)
    return Lessons(data, tokenizer, known)


def channels(network: Any) -> list[Channels]:
    """The hidden channels of each layer's MLP, which keep one width together: the config has one number for all."""
    from mlx.nn import Linear

    from models.training import Channels

    found = []
    for path, module in network.named_modules():
        parts = [getattr(module, part, None) for part in ("gate_proj", "up_proj", "down_proj")]
        if all(type(part) is Linear for part in parts):
            producers = (f"{path}.gate_proj", f"{path}.up_proj")
            found.append(Channels(path, producers, f"{path}.down_proj", together="intermediate_size"))
    return sorted(found)


def narrowed(config: Mapping[str, Any], network: Any) -> dict[str, Any]:
    """The config with the width that the network's MLPs have now."""
    widths = {module.gate_proj.weight.shape[0] for _, module in network.named_modules() if hasattr(module, "gate_proj")}
    if len(widths) != 1 or "intermediate_size" not in config:
        raise Refused(f"a `{config['model_type']}` can't be narrowed: its layers have no one `intermediate_size`")
    return {**config, "intermediate_size": widths.pop()}
