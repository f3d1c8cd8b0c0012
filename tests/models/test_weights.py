"""Folders of weights: files that are whole and safe or refused, a digest of what they mean, what they weigh."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contract import Refused
from models import weights
from models.weights.headers import MOST, read_header

Tensors = dict[str, tuple[str, list[int], bytes]]
SOME: Tensors = {
    "a.weight": ("F32", [2, 3], bytes(range(24))),
    "a.bias": ("F16", [3], bytes(range(6))),
    "b.weight": ("U8", [], b"\x07"),
    "empty": ("F32", [0, 4], b""),
}


def laid_out(tensors: Tensors, **metadata: str) -> bytes:
    """A safetensors file with its tensors in this order."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    return with_header(header) + b"".join(data for _, _, data in tensors.values())


def with_header(header: Any) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(laid_out(SOME))
    return tmp_path


# ----------------------------------------------------------------------------------------------- headers


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights") / "model.safetensors"


def sound(file: Path) -> bool:
    """Whether the file is read, and what is read lies within it; whatever is wrong with it is refused."""
    try:
        tensors = read_header(file)
    except Refused as refused:
        why = str(refused)
    else:
        size = file.stat().st_size
        assert all(8 <= tensor.start <= tensor.start + tensor.nbytes <= size for tensor in tensors)
        return True
    assert why.startswith(file.name)
    assert len(why) < 400
    return False


@given(st.binary(max_size=64), st.sampled_from([b"", b"{", b"\x80\x04", b"PK\x03\x04", struct.pack("<Q", 2) + b"{}"]))
def test_any_bytes_are_read_or_refused(file: Path, data: bytes, start: bytes) -> None:
    file.write_bytes(start + data)
    assert sound(file) == (start + data == struct.pack("<Q", 2) + b"{}")


@given(st.integers(0, len(laid_out(SOME)) - 1))
def test_a_file_that_is_cut_short_is_refused(file: Path, cut: int) -> None:
    file.write_bytes(laid_out(SOME)[:cut])
    assert not sound(file)


@given(st.integers(0, len(laid_out(SOME)) - 1), st.binary(min_size=1, max_size=9))
def test_a_file_with_bytes_changed_is_read_or_refused(file: Path, at: int, change: bytes) -> None:
    data = laid_out(SOME)
    file.write_bytes(data[:at] + change + data[at + len(change) :])
    sound(file)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "F64", "U8", "F4", 7, None]),
        "shape": st.lists(st.integers(-1, 2**40), max_size=3) | ANYTHING,
        "data_offsets": st.lists(st.integers(-4, 2**40), max_size=3) | ANYTHING,
    },
)


@given(st.dictionaries(st.text(max_size=4) | st.just("__metadata__"), ENTRY | ANYTHING, min_size=1, max_size=3))
def test_any_header_is_read_or_refused(file: Path, header: dict[str, Any]) -> None:
    file.write_bytes(with_header(header) + bytes(16))
    sound(file)


def entry(dtype: Any = "U8", shape: Any = (4,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no safetensors file, or a corrupt one"),
        (struct.pack("<Q", MOST + 1) + b"{}", "its header has 100000001 bytes"),
        (struct.pack("<Q", 99) + b"{}", "its header has 99 bytes, and has 2 left"),
        (with_header(b"[]"), "a header that does not start with {"),
        (with_header(b"{]"), "a header that is not JSON"),
        (with_header(b'{"a": 1, "a": 2}'), "a key is there twice"),
        (with_header(b'{"a":' * 100_000), "a header that is not JSON"),
        (with_header({"__metadata__": {"format": 7}}), "metadata that is not text"),
        (with_header({"a": 7}), "'a' does not have just dtype, shape and data_offsets"),
        (with_header({"a": {**entry(), "more": 1}}) + bytes(4), "'a' does not have just dtype"),
        (with_header(b'{"\\ud800": 7}'), "does not have just dtype"),
        (with_header({"a": entry("F64", [1], [0, 8])}) + bytes(8), "as 'F64', which MLX does not read"),
        (with_header({"a": entry(shape=[True])}) + bytes(4), "not whole numbers"),
        (with_header({"a": entry(shape=[-4])}) + bytes(4), "not whole numbers"),
        (with_header({"a": entry(shape=[1] * 33)}) + bytes(4), "not whole numbers"),
        (with_header({"a": entry(shape=[5])}) + bytes(4), "'a' has 4 bytes, and its shape and dtype do not"),
        (with_header({"a": entry(), "b": entry(offsets=[3, 7])}) + bytes(7), "'b' overlaps"),
        (with_header({"a": entry(offsets=[4, 8])}) + bytes(8), "'a' leaves a gap"),
        (with_header({"a": entry()}) + bytes(3), "cut short: its tensors need"),
        (with_header({"a": entry()}) + bytes(5), "1 bytes after its last tensor"),
        (pickle.dumps({"a": [1, 2]}), "a pickle, which can run any code"),
        (pickle.dumps({"a": [1, 2], "b": ("c", 3.5)}, protocol=0), "a pickle, which can run any code"),
        (b"PK\x03\x04" + bytes(100), "a zip archive, as PyTorch and NumPy write them"),
        (b"GGUF" + bytes(100), "a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run `git lfs pull`"),
    ],
)
def test_a_faulty_file_is_refused_by_what_is_wrong_with_it(folder: Path, data: bytes, why: str) -> None:
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(Refused, match=r"^model\.safetensors ") as refused:
        weights.check_files(folder)
    assert why in str(refused.value)


def test_a_file_whose_header_starts_like_a_pickle_is_none(folder: Path) -> None:
    """A header of 0x0480 bytes gives a file the first two bytes of a pickle."""
    text = json.dumps({"a": entry()}).encode()
    (folder / "model.safetensors").write_bytes(with_header(text.ljust(0x0480)) + bytes(4))
    weights.check_files(folder)


def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    with pytest.raises(Refused, match="not a plain file"):
        weights.check_files(folder)


# ----------------------------------------------------------------------------------------------- folders


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pytorch_model.bin", r"only pytorch_model\.bin: a pickle can run any code"),
        ("weights.pt", r"only weights\.pt: a pickle"),
        ("model.gguf", r"only model\.gguf; convert it"),
        ("other.safetensors", r"only other\.safetensors; rename it"),
        ("readme.txt", "write its weights there as safetensors"),
    ],
)
def test_a_folder_without_weights_is_told_what_it_has_instead(folder: Path, name: str, why: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(Refused, match=why):
        weights.check_files(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": ' * 100_000, "\x00", '"' + "9" * 5000 + '"'])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(Refused, match=r"config\.json is not"):
        weights.check_files(folder)


def test_a_folder_that_lacks_its_config_itself_or_a_shard_is_refused(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-2.safetensors"}}')
    with pytest.raises(Refused, match=r"lacks model-2\.safetensors"):
        weights.check_files(folder)
    (folder / "config.json").unlink()
    with pytest.raises(Refused, match=r"has no config\.json"):
        weights.check_files(folder)
    with pytest.raises(Refused, match="is not a folder"):
        weights.check_files(folder / "nowhere")


def test_a_tensor_in_two_files_or_in_none_is_refused(folder: Path) -> None:
    (folder / "model-2.safetensors").write_bytes(laid_out({"b.weight": SOME["b.weight"]}))
    with pytest.raises(Refused, match=r"b\.weight is in both model-2\.safetensors and model\.safetensors"):
        weights.check_files(folder)
    (folder / "model-2.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(laid_out({}))
    with pytest.raises(Refused, match="hold no tensor"):
        weights.check_files(folder)


def test_a_pickle_beside_sound_weights_that_poses_as_more_of_them_is_refused(folder: Path) -> None:
    (folder / "adapters.safetensors").write_bytes(pickle.dumps([1]))
    with pytest.raises(Refused, match=r"adapters\.safetensors .*pickle"):
        weights.check_files(folder)


# ------------------------------------------------------------------------------------------------ digest


@given(st.permutations(list(SOME)), st.integers(0, len(SOME)))
def test_the_digest_is_the_same_however_tensors_are_spread_and_ordered(file: Path, names: list[str], cut: int) -> None:
    folder = file.parent
    (folder / "config.json").write_text('{"model_type": "llama"}')
    for old in folder.glob("*.safetensors"):
        old.unlink()
    (folder / "model.safetensors").write_bytes(laid_out({name: SOME[name] for name in names[:cut]}, format="mlx"))
    (folder / "model-2.safetensors").write_bytes(laid_out({name: SOME[name] for name in names[cut:]}))
    assert weights.digest(folder) == "sha256:ab7cdd8ccd25f631b8ba984da578a4a1f8967a20e6befadf67eff9174eb16b73"


@pytest.mark.parametrize(
    "other",
    [
        {**SOME, "b.weight": ("U8", [], b"\x08")},
        {**SOME, "b.weight": ("I8", [], b"\x07")},
        {**SOME, "b.weight": ("U8", [1], b"\x07")},
        {**{name: SOME[name] for name in SOME if name != "b.weight"}, "b.bias": SOME["b.weight"]},
        {name: SOME[name] for name in SOME if name != "empty"},
    ],
)
def test_the_digest_changes_with_a_byte_a_type_a_shape_and_a_name(folder: Path, other: Tensors) -> None:
    before = weights.digest(folder)
    (folder / "model.safetensors").write_bytes(laid_out(other))
    assert weights.digest(folder) != before


def test_the_digest_changes_with_how_the_tensors_are_packed_and_with_nothing_else_of_the_config(folder: Path) -> None:
    def digest(**config: Any) -> str:
        (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
        return weights.digest(folder)

    packed = {"group_size": 64, "bits": 4}
    assert digest() == digest(made=[{"prune": {}}], torch_dtype="float16")
    kinds = [{}, {"quantization": packed}, {"quantization": {**packed, "bits": 8}}, {"padded": {"a": [3, 64]}}]
    assert len({digest(**kind) for kind in kinds}) == 4
    assert digest(quantization=packed) == digest(quantization={**packed, "mode": "affine"})
    assert digest(quantization=packed) == digest(quantization_config=packed)


# ------------------------------------------------------------------------------------- saving and counting


@pytest.fixture
def network() -> Any:
    """A convolution, a dense layer of which 3 of 4 weights are 0, a table and a norm."""
    mx = pytest.importorskip("mlx.core")
    from mlx import nn

    mx.random.seed(0)
    made = nn.Module()
    made.conv, made.dense, made.embed, made.norm = (
        nn.Conv2d(1, 6, 5),
        nn.Linear(64, 32),
        nn.Embedding(10, 64),
        nn.RMSNorm(64),
    )
    made.dense.weight = made.dense.weight * (mx.arange(64) % 4 == 0)
    return made


@pytest.mark.mlx
def test_a_saved_folder_has_the_small_files_beside_it_and_none_of_the_weights(network: Any, tmp_path: Path) -> None:
    beside, folder = tmp_path / "beside", tmp_path / "folder"
    beside.mkdir()
    others = {"tokenizer.json", "chat_template.jinja", "LICENSE", "tokenizer.model"}
    left = {
        "model-1.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "config.json",
        ".lock",
        "x.gguf",
    }
    for name in others | left:
        (beside / name).write_text(name)
    (beside / "data").mkdir()
    weights.save(network, {"model_type": "llama", "made": []}, folder, beside)
    assert {path.name for path in folder.iterdir()} == {*others, "config.json", "model.safetensors"}
    assert weights.read_config(folder) == {"model_type": "llama", "made": []}
    weights.check_files(folder)


@pytest.mark.mlx
def test_the_same_network_saved_twice_is_the_same_file(network: Any, tmp_path: Path) -> None:
    for name in "ab":
        weights.save(network, {"architecture": "x"}, tmp_path / name)
    one, two = (tmp_path / name / "weights.safetensors" for name in "ab")
    assert one.read_bytes() == two.read_bytes()
    assert weights.digest(tmp_path / "a") == weights.digest(tmp_path / "b")


@pytest.mark.mlx
def test_layers_are_told_by_their_tensors(network: Any, tmp_path: Path) -> None:
    weights.save(network, {"architecture": "x"}, tmp_path)
    found = {layer.name: layer for layer in weights.layers(tmp_path)}
    assert {name: layer.type for name, layer in found.items()} == {
        "conv": "Conv2d",
        "dense": "Linear",
        "embed": "Embedding",
        "norm": "RMSNorm",
    }
    dense = found["dense"]
    assert (dense.shape, dense.parameters, dense.bytes, dense.bits) == ((32, 64), 2080, 8320, 32)
    assert dense.nonzero == pytest.approx((32 * 16 + 32) / 2080)


@pytest.mark.mlx
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    ("mode", "bits", "group"),
    [
        *(("affine", b, g) for b in (2, 3, 4, 5, 6, 8) for g in (32, 64)),
        ("mxfp4", 4, 32),
        ("mxfp8", 8, 32),
        ("nvfp4", 4, 16),
    ],
)
def test_bits_a_weight_are_what_the_formula_says(
    network: Any, tmp_path: Path, dtype: str, mode: str, bits: int, group: int
) -> None:
    import mlx.core as mx
    from mlx import nn

    network.set_dtype(getattr(mx, dtype))
    nn.quantize(network, group, bits, mode=mode)
    config = {"architecture": "x", "quantization": {"bits": bits, "group_size": group, "mode": mode}}
    weights.save(network, config, tmp_path)
    (packed,) = weights.footprint(tmp_path)["quantized"]
    wide = 32 if dtype == "float32" else 16
    assert packed["elements"] == packed["padded"] == 32 * 64 + 10 * 64
    assert packed["scale_bits"] == (wide if mode == "affine" else 8)
    assert 8 * packed["bytes"] / packed["elements"] == (
        bits + 2 * wide / group if mode == "affine" else bits + 8 / group
    )


@pytest.mark.mlx
def test_a_footprint_is_plain_and_adds_up(network: Any, tmp_path: Path) -> None:
    from harness.codec import plain

    weights.save(network, {"architecture": "x"}, tmp_path)
    found = weights.footprint(tmp_path)
    parameters = 6 * 25 + 6 + 32 * 64 + 32 + 640 + 64
    assert plain(found) == found
    assert (found["parameters"], found["bytes"], found["dtype"]) == (parameters, 4 * parameters, "float32")
    assert found["bits_per_weight"] == 32
    assert found["sparsity"] == pytest.approx((32 * 48 + 6) / parameters)  # a convolution starts with biases of 0
    assert found["quantized"] == []


@pytest.mark.mlx
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_pruned_before_they_are_packed_are_still_counted_as_0(network: Any, tmp_path: Path, bits: int) -> None:
    from mlx import nn

    nn.quantize(network, 64, bits)
    config = {"architecture": "x", "quantization": {"bits": bits, "group_size": 64}}
    weights.save(network, config, tmp_path)
    dense = {layer.name: layer for layer in weights.layers(tmp_path)}["dense"]
    assert dense.nonzero <= (32 * 16 + 32) / 2080
    assert dense.nonzero > (0.9 if bits == 8 else 0.5) * 32 * 16 / 2080


@pytest.mark.parametrize("own", [{"bits": 0}, {"bits": "4"}, {"bits": None}, {"mode": 7}])
def test_a_config_that_does_not_say_how_weights_are_packed_is_refused(folder: Path, own: dict[str, Any]) -> None:
    pytest.importorskip("mlx.core")
    tensors: Tensors = {"a.weight": ("U32", [1, 1], bytes(4)), "a.scales": ("F32", [1, 1], bytes(4))}
    (folder / "model.safetensors").write_bytes(laid_out(tensors))
    config = {"model_type": "llama", "quantization": {"bits": 4, "group_size": 32, "a": own}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(Refused, match="does not say how a is quantized"):
        weights.footprint(folder)


@pytest.mark.parametrize("padded", [[], {"a": 7}, {"a": [7]}, {"a": [0, 7]}, {"a": ["x", 7]}, {"a": [8, 7]}])
def test_a_config_that_does_not_say_how_layers_are_padded_is_refused(padded: Any) -> None:
    from models.weights.counting import padding

    if padded == []:
        assert padding({"padded": {}}) == {}
        return
    with pytest.raises(Refused, match="`padded` of config"):
        padding({"padded": padded})


# ---------------------------------------------------------------------------------------------- families


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({}, "neither an `architecture` of the zoo nor mlx-lm's `model_type`"),
        ({"model_type": 7}, "neither"),
        ({"architecture": "lenet6"}, r"no architecture 'lenet6'; it has .*`lenet5`"),
        ({"architecture": 7}, "no architecture 7"),
        ({"architecture": "llama"}, "a language model, in mlx-lm's layout"),
    ],
)
def test_a_config_that_names_no_family_is_refused(config: dict[str, Any], why: str) -> None:
    from models.families import family_of

    with pytest.raises(Refused, match=why):
        family_of(config, "here")


def test_a_config_names_its_family(folder: Path, tmp_path: Path) -> None:
    from models import families, language
    from models.zoo import lenet5

    assert families.family(folder) is language
    assert families.architecture("lenet5") is lenet5
