"""A folder in the mlx-lm layout: whether it may be opened, and opening it without a word to the network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from harness.contract import Refused
from models import weights

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
"""Files of which a tokenizer has at least one."""
_BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt")
_TEMPLATES = ("chat_template.jinja", "chat_template.json")


class Loaded(NamedTuple):
    network: Any
    tokenizer: Any


def check(folder: Path, trusted: bool = False) -> dict[str, Any]:
    """The folder's config; Refused where something in it can't or mustn't be opened. Reads headers alone, runs nothing.

    `trusted` lets Python that lies in the folder run.
    """
    weights.check_files(folder)
    config = weights.read_config(folder)
    if not isinstance(config.get("model_type"), str):
        raise Refused(f"the config.json of `{folder.name}` has no `model_type`; mlx-lm needs it to build the network")
    if "model_file" in config and not trusted:
        raise Refused(
            f"the config.json of `{folder.name}` names Python to run, `model_file: {config['model_file']}`;"
            " give --allow-python if you trust it"
        )
    if not any((folder / name).is_file() for name in TOKENIZERS) and not any(folder.glob("*.tiktoken")):
        raise Refused(f"`{folder.name}` has no tokenizer; put its tokenizer.json beside the weights")
    return config


def files(folder: Path) -> list[Path]:
    """Everything in the folder that decides an answer."""
    kinds = ("*.json", "*.txt", "*.jinja", "*.model", "*.tiktoken", "*.py", "*.safetensors")
    return sorted(path for kind in kinds for path in folder.glob(kind) if path.is_file())


def tokenizer_files(folder: Path) -> list[Path]:
    named = [folder / name for name in (*TOKENIZERS, *_BESIDE, *_TEMPLATES)]
    return sorted(path for path in [*named, *folder.glob("*.tiktoken")] if path.is_file())


def installed() -> None:
    """Refused where mlx-lm or MLX is missing."""
    if find_spec("mlx_lm") is None:
        raise Refused("mlx-lm is not installed: pip install 'mlx-hallmark[lm]'")
    if find_spec("mlx") is None or find_spec("mlx.core") is None:
        raise Refused("MLX is not installed: pip install 'mlx-hallmark[mlx,lm]'")


def load(folder: Path, trusted: bool = False) -> Loaded:
    return Loaded(network(folder, trusted), tokenizer(folder, trusted))


def network(folder: Path, trusted: bool = False) -> Any:
    """The network alone, as mlx-lm rebuilds it; layers that only our quantizer packs are rebuilt by it."""
    config = check(folder, trusted)
    with offline():
        from mlx_lm.utils import load_model

        told: dict[str, Any] = {"trust_remote_code": trusted}
        if "model_file" not in config:
            classes(config)
        if config.get("padded") or config.get("activations"):
            told |= {"get_model_classes": _ours(config), "model_config": dict.fromkeys(_QUANTIZED)}
        try:
            return _adapted(load_model(folder, **told)[0], folder)
        except Refused:
            raise
        except Exception as error:
            raise Refused(f"mlx-lm can't build the network of `{folder.name}`: {_line(error)}") from error


def _adapted(network: Any, folder: Path) -> Any:
    """The network with the adapter that lies beside its weights, if one does."""
    if weights.adapter(folder) is not None:
        from mlx_lm.tuner.utils import load_adapters

        try:
            load_adapters(network, str(folder))
        except ValueError as error:
            said = str(error).split("\n")[:2][-1].strip()
            raise Refused(f"the adapter beside `{folder.name}` is not one of this network: {said}") from error
        network.eval()
    return network


_QUANTIZED = ("quantization", "quantization_config")


def _ours(told: Mapping[str, Any]) -> Any:
    """Classes whose network takes the layers of our quantizer just before it is given its weights."""

    def found(config: dict[str, Any]) -> tuple[Any, Any]:
        from models.quantized import rebuild

        base, arguments = classes(config)

        def sanitize(self: Any, held: dict[str, Any]) -> dict[str, Any]:
            held = base.sanitize(self, held) if hasattr(base, "sanitize") else held
            rebuild(self, told, held)
            return held

        return type(base.__name__, (base,), {"sanitize": sanitize}), arguments

    return found


def classes(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """mlx-lm's classes for a config: the network, and its arguments."""
    installed()
    from mlx_lm.utils import _get_classes

    try:
        model, arguments = _get_classes(dict(config))
    except (ValueError, AttributeError):
        raise Refused(f"mlx-lm {version('mlx-lm')} has no model of the type `{config['model_type']}`") from None
    return model, arguments


def tokenizer(folder: Path, trusted: bool = False) -> Any:
    """mlx-lm's tokenizer of the folder."""
    check(folder, trusted)
    with offline():
        from mlx_lm import utils

        ends = utils.load_config(folder).get("eos_token_id")
        load: Any = utils.load_tokenizer  # it says nothing of its types
        try:
            return load(folder, {"trust_remote_code": trusted, "local_files_only": True}, eos_token_ids=ends)
        except Exception as error:
            if "trust_remote_code" in str(error):
                raise Refused(
                    f"the tokenizer of `{folder.name}` needs Python of its own; give --allow-python if you trust it"
                ) from error
            raise Refused(f"the tokenizer of `{folder.name}` can't be opened: {_line(error)}") from error


def _line(error: Exception) -> str:
    said = str(error).strip().split("\n")[0].rstrip(".: ")[:300]
    return said if said and not isinstance(error, KeyError) else f"{type(error).__name__} {said}".strip()


@contextmanager
def offline() -> Iterator[None]:
    """While a folder is opened no library may ask the network for anything, whatever a file of it says."""
    installed()
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from huggingface_hub import constants

    before, told = constants.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")
    constants.HF_HUB_OFFLINE = True
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        if told is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = told
