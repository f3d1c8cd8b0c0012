"""A folder of weights on disk: whether it is whole and safe to open, what it is, and how one is written."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.codec import to_json, to_pretty_json
from harness.contract import Refused
from models.weights.headers import Tensor, read_header

CONFIG = "config.json"
ZOO = "weights.safetensors"
LANGUAGE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapters.safetensors"
ADAPTER_CONFIG = "adapter_config.json"

_MOST = 16 << 20
"""Bytes that a config.json may have."""
_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
_OTHERS = {".gguf", ".npz", ".npy", ".h5", ".onnx", ".msgpack"}
_LEFT = {CONFIG, INDEX, ADAPTER_CONFIG, "training.json"}
"""Files that speak of the weights they lie beside, and would be wrong of others."""
_SMALL = 256 << 20
"""Larger files than any tokenizer's are weights of some sort."""
_CHUNK = 1 << 20


def read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder; name one that has a {CONFIG} and *.safetensors")
    return _read_object(folder / CONFIG)


def _read_object(file: Path) -> dict[str, Any]:
    try:
        if not file.is_file():
            raise Refused(f"{file.parent} has no {file.name}; name a folder that has one beside its *.safetensors")
        if file.stat().st_size > _MOST:
            raise Refused(f"{file} is larger than {_MOST >> 20} MB")
        found = json.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        raise Refused(f"{file} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"{file} is not JSON: {str(error)[:80]}") from None
    if not isinstance(found, dict):
        raise Refused(f"{file} is not a JSON object")
    return found


def adapter(folder: Path) -> dict[str, Any] | None:
    """What is written of the adapter that lies beside the weights, as mlx-lm writes it; None where none does."""
    told = _read_object(folder / ADAPTER_CONFIG) if (folder / ADAPTER_CONFIG).is_file() else None
    if not (folder / ADAPTER).is_file():
        if told and "lora_parameters" in told:
            raise Refused(f"{folder} has an {ADAPTER_CONFIG} and no {ADAPTER}; put it there, or remove the former")
        return None
    if told is None:
        raise Refused(f"{folder} has an {ADAPTER} and no {ADAPTER_CONFIG}; put it there, or remove the former")
    kind, scale = told.get("fine_tune_type", "lora"), _scale(told)
    if kind not in ("lora", "dora") or scale is None:
        raise Refused(f"the {ADAPTER_CONFIG} of {folder} is not one of mlx-lm's LoRA or DoRA: {kind}, scale {scale}")
    return {**told, "fine_tune_type": kind}


def _scale(told: Mapping[str, Any]) -> float | None:
    said = told.get("lora_parameters")
    scale = said.get("scale") if isinstance(said, dict) else None
    return float(scale) if isinstance(scale, int | float) and math.isfinite(scale) else None


def check_files(folder: Path) -> None:
    """Refused unless the folder has a readable config and whole safetensors, and nothing that poses as them."""
    for file in sorted(folder.glob("*.safetensors")):  # an adapter left beside them, too
        read_header(file)
    tensors(folder)


def tensors(folder: Path) -> list[Tensor]:
    """The tensors that are the model's, sorted by name."""
    found: dict[str, Tensor] = {}
    for file in _weight_files(folder, read_config(folder)):
        for tensor in read_header(file):
            if tensor.name in found:
                raise Refused(f"{tensor.name} is in both {found[tensor.name].file.name} and {file.name}")
            found[tensor.name] = tensor
    if not found:
        raise Refused(f"the safetensors of {folder} hold no tensor")
    return [found[name] for name in sorted(found)]


def _weight_files(folder: Path, config: Mapping[str, Any]) -> list[Path]:
    files = sorted(folder.glob(ZOO if "architecture" in config else "model*.safetensors"))
    if not files:
        raise Refused(f"{folder} has no {ZOO if 'architecture' in config else LANGUAGE}{_instead(folder)}")
    if "architecture" not in config and (folder / INDEX).is_file():
        shards = _read_object(folder / INDEX).get("weight_map")
        named = {name for name in shards.values() if isinstance(name, str)} if isinstance(shards, dict) else set()
        if missing := sorted(named - {file.name for file in files}):
            raise Refused(f"{folder} lacks {missing[0]}, which its {INDEX} names")
    return files if "architecture" in config or adapter(folder) is None else [*files, folder / ADAPTER]


def _instead(folder: Path) -> str:
    """What a folder has where its safetensors should be."""
    for file in sorted(folder.iterdir()):
        if file.suffix in _PICKLES:
            return f", only {file.name}: a pickle can run any code when it is read; convert it to safetensors"
        if file.suffix in _OTHERS:
            return f", only {file.name}; convert it to safetensors"
        if file.suffix == ".safetensors":
            return f", only {file.name}; rename it"
    return "; write its weights there as safetensors"


def digest(folder: Path) -> str:
    """Digest of what the weights are, however they are spread over files: names, types, shapes, bytes, packing."""
    found = hashlib.sha256()
    for tensor in tensors(folder):
        found.update(to_json([tensor.name, tensor.dtype, tensor.shape]) + b"\n")
        _stream(tensor, found)
    found.update(to_json(packing(read_config(folder))))
    if (beside := adapter(folder)) is not None:
        found.update(to_json([beside["fine_tune_type"], _scale(beside)]))
    return f"sha256:{found.hexdigest()}"


def packing(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a config decides which numbers the tensors stand for."""
    packed = config.get("quantization") or config.get("quantization_config")
    if isinstance(packed, dict):
        packed = {"mode": "affine", **packed}
    return {"quantization": packed, "padded": config.get("padded"), "activations": config.get("activations")}


def _stream(tensor: Tensor, into: Any) -> None:
    with tensor.file.open("rb") as opened:
        opened.seek(tensor.start)
        left = tensor.nbytes
        while left:
            chunk = opened.read(min(left, _CHUNK))
            if not chunk:
                raise Refused(f"{tensor.file.name} was cut short while it was read")
            into.update(chunk)
            left -= len(chunk)


def save(network: Any, config: Mapping[str, Any], folder: Path, beside: Path | None = None) -> None:
    """Write the network's parameters and its config, and take over the small files of the folder it came from."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    parameters: dict[str, Any] = dict(tree_flatten(network.parameters()))
    if any(name.endswith(".lora_a") for name in parameters):
        raise Refused("its adapter lies beside its weights and would be lost; write `fuse: true` where that is made")
    folder.mkdir(parents=True, exist_ok=True)
    name = ZOO if "architecture" in config else LANGUAGE
    mx.save_safetensors(str(folder / name), parameters, metadata={"format": "mlx"})
    (folder / CONFIG).write_bytes(to_pretty_json(dict(config)))
    if beside is not None:
        take_along(beside, folder)


def take_along(beside: Path, folder: Path) -> None:
    """Take over the small files of a folder of weights: tokenizer, templates, licences."""
    for file in sorted(beside.iterdir()):
        if _goes_along(file):
            shutil.copyfile(file, folder / file.name)


def _goes_along(file: Path) -> bool:
    """Whether a file beside weights is a tokenizer's, a template, a licence: anything but weights and their papers."""
    if file.name in _LEFT or file.name.startswith(".") or not file.is_file():
        return False
    return file.suffix not in {".safetensors", *_PICKLES, *_OTHERS} and file.stat().st_size <= _SMALL
