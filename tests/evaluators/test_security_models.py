"""Files of models and chat templates: each planted problem is found, and gone when it is mended. Nothing is ever run."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import signal
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluators.security import model_files, templates
from evaluators.security import model_files_archives as archives
from evaluators.security import model_files_pickle as pickles
from evaluators.security import model_files_safetensors as safetensors
from evaluators.security.files import Unreadable
from evaluators.security.finding import Look, Scanned

EXAMPLES = Path(__file__).parents[1] / "examples" / "security"
ANY = Look()


class Calls:
    """A pickle of it calls what it is told; what it is told here does no harm, and is never called either."""

    def __init__(self, what: Any, *args: Any) -> None:
        self.what, self.args = what, args

    def __reduce__(self) -> Any:
        return self.what, self.args


def evil(protocol: int = 4) -> bytes:
    return pickle.dumps(Calls(os.getenv, "HOME"), protocol=protocol)


def numbers(protocol: int = 4) -> bytes:
    return pickle.dumps({"weights": [0.5, 1.5], "names": ("a", "b")}, protocol=protocol)


def tensors(header: dict[str, Any] | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(shape: list[int], start: int, stop: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


GOOD = tensors({"__metadata__": {"format": "mlx"}, "a": tensor([2], 0, 8), "b": tensor([1], 8, 12)}, bytes(12))


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(
    values: list[bytes] | None = None,
    infos: list[bytes] | None = None,
    counts: tuple[int, int] | None = None,
    data: int = 64,
) -> bytes:
    values, infos = values or [], infos or []
    tensors, pairs = counts or (len(infos), len(values))
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs) + b"".join(values) + b"".join(infos)
    return head + bytes(-len(head) % 32) + bytes(data)


def info(name: str, shape: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def word(key: str, value: str) -> bytes:
    return text(key) + struct.pack("<I", 8) + text(value)


def zipped(**members: bytes) -> bytes:
    return zipped_of(dict(members.items()))


def zipped_of(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(member: tarfile.TarInfo, data: bytes = b"") -> bytes:
    made = io.BytesIO()
    member.size = len(data)
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


def array(descr: str, data: bytes = b"") -> bytes:
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def linked(name: str, to: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, to
    return member


def scan(root: Path, look: Look = ANY, **options: Any) -> Scanned:
    files = model_files.subjects(options, root, look)
    return model_files.scan(options, root, files, look)


def rules_in(folder: Path, name: str, data: bytes) -> list[str]:
    """What is found in a folder of weights with this file in it."""
    folder.mkdir(exist_ok=True)
    (folder / "weights.safetensors").write_bytes(GOOD)
    (folder / name).write_bytes(data)
    found = scan(folder, paths=["."])
    assert not found.unread
    return sorted({finding.rule for finding in found.findings})


PLANTED: dict[str, tuple[str, bytes, bytes]] = {
    "safetensors-header": ("m.safetensors", tensors(b"{nothing"), GOOD),
    "safetensors-layout": ("m.safetensors", tensors({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, bytes(12)), GOOD),
    "safetensors-shape": ("m.safetensors", tensors({"a": tensor([3], 0, 8)}, bytes(8)), GOOD),
    "safetensors-keys": (
        "m.safetensors",
        tensors(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', b"x"),
        GOOD,
    ),
    "gguf-header": ("m.gguf", gguf(counts=(1 << 60, 0)), gguf([word("a", "b")], [info("t", [4])])),
    "gguf-layout": ("m.gguf", gguf(infos=[info("t", [4000])]), gguf(infos=[info("t", [4])])),
    "gguf-keys": ("m.gguf", gguf([word("a", "b"), word("a", "c")]), gguf([word("a", "b"), word("b", "c")])),
    "pickle": ("m.pt", numbers(), GOOD),
    "pickle-import": ("m.pkl", pickle.dumps(Calls(json.dumps, 1)), GOOD),
    "pickle-code": ("m.bin", evil(), GOOD),
    "pickle-broken": ("m.bin", numbers()[:-1] + b"\xff", GOOD),
    "disguised": ("m.safetensors", evil(), GOOD),
    "numpy-objects": ("m.npy", array("|O", numbers()), array("<f4", bytes(4))),
    "custom-code": ("config.json", b'{"model_type": "x",\n "model_file": "x.py"}', b'{"model_type": "x"}'),
    "python": ("modeling.py", b"print('hello')\n", b""),
    "script": ("fetch", b"#!/bin/sh\n", b"fetch"),
    "executable": ("m.bin", b"\x7fELF" + bytes(60), bytes(64)),
    "archive-path": ("m.zip", zipped_of({"../../m": b"a"}), zipped_of({"m": b"a"})),
    "archive-bomb": ("m.zip", b"", zipped_of({"m": b"a"})),
    "archive-closed": ("m.7z", b"7z\xbc\xaf\x27\x1c" + bytes(32), bytes(32)),
    "pointer": ("m.gguf.txt", b"version https://git-lfs.github.com/spec/v1\n", b"version 1\n"),
}  # fmt: skip


def bomb() -> bytes:
    """An archive that says of a small member that it is two gigabytes large."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m", bytes(1000))
    data = bytearray(made.getvalue())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 2 << 30)
    return bytes(data)


PLANTED["archive-bomb"] = ("m.zip", bomb(), PLANTED["archive-bomb"][2])


def test_there_is_a_planted_problem_for_each_rule() -> None:
    assert PLANTED.keys() == model_files.rules().keys()
    assert {path.stem for path in (EXAMPLES / "templates" / "planted").glob("*.jinja")} | {
        "crash"
    } == templates.rules().keys()


@pytest.mark.parametrize("rule", PLANTED)
def test_each_planted_problem_is_found_and_gone_when_it_is_mended(rule: str, tmp_path: Path) -> None:
    name, bad, good = PLANTED[rule]
    assert rule in rules_in(tmp_path / "bad", name, bad)
    mended = rules_in(
        tmp_path / "good", "m.txt" if rule == "python" else name if good is not GOOD else "m.safetensors", good
    )
    assert mended == []


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["m.safetensors", "m.gguf.json", "README.md", "m"])
def test_a_pickle_is_found_whatever_it_is_called_and_of_whatever_protocol(
    name: str, protocol: int, tmp_path: Path
) -> None:
    assert "pickle-code" in rules_in(tmp_path, name, evil(protocol))
    assert "pickle" in rules_in(tmp_path, name, numbers(protocol))


@pytest.mark.parametrize(
    "packed",
    [
        lambda data: zipped_of({"archive/data.pkl": data}),
        lambda data: zipped_of({"inner.zip": zipped_of({"archive/data.pkl": data})}),
        lambda data: tarred(tarfile.TarInfo("m.pkl"), data),
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zlib.compress,
        lambda data: gzip.compress(tarred(tarfile.TarInfo("m.pkl"), data)),
        lambda data: zipped_of({"objects.npy": array("|O", data)}),
    ],
)  # fmt: skip
def test_a_pickle_is_found_inside_of_what_it_is_packed_in(packed: Callable[[bytes], bytes], tmp_path: Path) -> None:
    assert {"pickle-code", "numpy-objects"} & set(rules_in(tmp_path, "m.bin", packed(evil())))


def test_what_is_in_an_archive_is_told_at_the_archive(tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(zipped_of({"inner.zip": zipped_of({"archive/data.pkl": evil()})}))
    (finding,) = scan(tmp_path, paths=["."]).findings
    assert finding.at == "m.pt"
    assert finding.what.startswith("inner.zip in it, archive/data.pkl: opening it imports ")


def test_a_pickle_behind_a_lot_of_padding_is_found(tmp_path: Path) -> None:
    padded = b"S'" + b"a" * 300_000 + b"'\n0" + evil(0)
    assert "pickle-code" in rules_in(tmp_path, "vocab.txt", padded)


def test_a_pickle_whose_names_go_by_way_of_the_memo_is_found() -> None:
    sly = b"\x80\x04\x8c\x02os\x94\x8c\x06getenv\x94h\x00h\x01\x93\x8c\x04HOME\x85R."
    assert pickles.read(sly).imports == ["os getenv"]
    assert pickles.read(sly).calls


def test_a_pickle_that_breaks_off_is_told_by_what_it_does_until_then(tmp_path: Path) -> None:
    assert rules_in(tmp_path, "m.pt", evil()[:-1]) == ["pickle-broken", "pickle-code"]


def test_an_archive_in_which_a_pickle_is_damaged_does_not_hide_it(tmp_path: Path) -> None:
    data = bytearray(zipped_of({"archive/data.pkl": evil()}))
    for sign, at in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        begin = data.index(sign) + at
        data[begin : begin + 4] = b"\0\0\0\0"  # of another checksum, which some readers don't look at
    (tmp_path / "m.pt").write_bytes(bytes(data))
    found = scan(tmp_path, paths=["."])
    assert "pickle-code" in [finding.rule for finding in found.findings] or found.unread


@pytest.mark.parametrize(
    "data",
    [
        b"N0" * 6000 + evil(0),
        evil(0)[:-1] + b"0c!\n!\n\xff",
        b"\x8c\x01a0\x8c\x08builtins\x8c\x03str\x93\x8c\x02os\x85R\x8c\x06system\x93\x8c\x02ls\x85R\xff",
        b"]Na." + b"N0" * 6000 + evil(0),
    ],
)
def test_a_pickle_that_runs_is_found_however_it_is_made_to_look(data: bytes, tmp_path: Path) -> None:
    assert {"pickle-code", "pickle-import"} & set(rules_in(tmp_path, "m.bin", data))
    assert "disguised" in rules_in(tmp_path, "m.json.txt", data)


def old_tar(name: bytes, data: bytes, magic: bytes = b"") -> bytes:
    """An archive as tar had them before they said `ustar`."""
    head = bytearray(512)
    head[: len(name)], head[100:108], head[124:136], head[156:157] = name, b"0000644\0", b"%011o\0" % len(data), b"0"
    head[257 : 257 + len(magic)] = magic
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data + bytes(-len(data) % 512 + 1024)


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b"") + gzip.compress(evil()),
        gzip.compress(b"") + bytes(100) + gzip.compress(evil()),
        bz2.compress(b"") + bz2.compress(evil()),
        lzma.compress(b"") + lzma.compress(evil()),
        lzma.compress(evil(), format=lzma.FORMAT_ALONE),
        old_tar(b"m.ckpt", evil()),
        old_tar(evil(0), b"hello", b"ustar\x0000"),
        b"#junk\n" * 3 + zipped_of({"m.pkl": evil()}),
        tensors({"a": tensor([len(zipped_of({"m.pkl": evil()}))], 0, len(zipped_of({"m.pkl": evil()})), "U8")})
        + zipped_of({"m.pkl": evil()}),
    ],
)
def test_a_pickle_is_found_in_all_that_readers_open(data: bytes, tmp_path: Path) -> None:
    assert "pickle-code" in rules_in(tmp_path, "m.bin", data)


def test_streams_without_end_are_not_followed_without_end(tmp_path: Path) -> None:
    (tmp_path / "m.gz").write_bytes(gzip.compress(b"") * 5000 + gzip.compress(evil()))
    assert [path for path, _ in scan(tmp_path, paths=["."]).unread] == ["m.gz"]


def test_what_follows_a_compressed_file_does_not_break_it() -> None:
    assert archives.unpacked(io.BytesIO(gzip.compress(b"a") + b"more"), "gzip") == (b"a", True)
    assert archives.unpacked(io.BytesIO(gzip.compress(b"a") + gzip.compress(b"b")), "gzip") == (b"ab", True)
    assert archives.unpacked(io.BytesIO(gzip.compress(b"a" * 100)[:-9]), "gzip")[1] is False


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.keras", zipped_of({"config.json": json.dumps({"pad": "x" * 70_000, "class_name": "Lambda"}).encode()})),
        ("m.keras", zipped_of({"config.json": b'{"class_name": "Lambd\\u0061"}'})),
        ("m.keras", b"junk" + zipped_of({"config.json": b'{"a": [{"class_name": "TFOpLambda"}]}'})),
        ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(70_000) + b'"class_name": "Lambda"'),
        ("m.h5", bytes(512) + b"\x89HDF\r\n\x1a\n" + bytes((1 << 22) - 530) + b'"class_n\\u0061me": "L\\u0061mbda"'),
        ("config.json", b'{"class_name": "Lambda"}'),
        ("m.zip", zipped_of({"sub/Tokenizer_config.json": b'{"auto_map": {"A": "x.y"}}'})),
    ],
)
def test_code_that_a_configuration_asks_for_is_found_wherever_it_lies(name: str, data: bytes, tmp_path: Path) -> None:
    assert rules_in(tmp_path, name, data) == ["custom-code"]


def test_a_keras_model_of_plain_layers_is_let_through(tmp_path: Path) -> None:
    plain = b'{"class_name": "Dense", "config": {"name": "Lambda"}}'
    assert rules_in(tmp_path, "m.keras", zipped_of({"config.json": plain})) == []
    assert rules_in(tmp_path, "m.h5", b"\x89HDF\r\n\x1a\n" + plain) == []


def test_a_configuration_in_an_archive_that_is_not_json_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(zipped_of({"config.json": b"{'class_name': 1}"}))
    assert [path for path, _ in scan(tmp_path, paths=["."]).unread] == ["m.keras"]


def test_python_in_an_archive_is_found(tmp_path: Path) -> None:
    assert rules_in(tmp_path, "m.zip", zipped_of({"run.py": b"import os"})) == ["python"]


def test_more_pickles_in_a_row_than_are_followed_are_told() -> None:
    assert pickles.read(numbers() * 64).end == ""
    assert pickles.read(numbers() * 64 + evil()).end == "more than 64 pickles follow one another"


def test_a_safetensors_file_that_is_a_pickle_too_is_found(tmp_path: Path) -> None:
    """Its length is an instruction that takes a text, and texts reach over the whole header to what calls."""
    length = ord("X") + (0x200 << 8)
    before = b'{"__metadata__":{"a":"'
    after = b'"},"t":' + json.dumps(tensor([64], 0, 64, "U8")).encode() + b"}"
    middle = b"a" * (0x200 - 3 - len(before))
    blocks, left = divmod(length - 0x200 - len(after), 35)
    middle += (b"0U " + b"a" * 32) * blocks + b"0U" + bytes([left + len(after)]) + b"a" * left
    header = before + middle + after
    code = b"0" + evil(0)
    data = length.to_bytes(8, "little") + header + code + bytes(64 - len(code))
    assert len(header) == length
    (tmp_path / "m.safetensors").write_bytes(data)
    assert list(safetensors.faults(tmp_path / "m.safetensors")) == []
    assert {"pickle-code", "disguised"} <= {finding.rule for finding in scan(tmp_path, paths=["."]).findings}


@pytest.mark.parametrize(
    "words",
    [
        "No. 5 of them\n",
        "cat\ndog\nI\n(x\n",
        "count,value\n1,2\n",
        "Results\n",
        "}\n",
        "",
        "c\n",
        "N.\n",
        "(lp0\n",
        "x^2\n",
    ],
)
def test_text_is_not_taken_for_a_pickle(words: str, tmp_path: Path) -> None:
    assert rules_in(tmp_path, "notes.txt", words.encode()) == []


@given(st.binary(max_size=300))
def test_no_bytes_break_the_readers(data: bytes) -> None:
    pickles.is_pickle(data)
    pickles.read(data)
    pickles.may_be(data, len(data))
    archives.kind(data)
    for start in (b"\x80\x04", b"cos\n"):
        pickles.read(start + data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["m.safetensors", "m.gguf", "m.zip", "config.json", "m.npy", "m.tar"]),
    junk=st.binary(max_size=200),
    data=st.data(),
)
def test_no_file_breaks_a_scan(name: str, junk: bytes, data: st.DataObject, tmp_path: Path) -> None:
    whole = {
        "m.safetensors": GOOD,
        "m.gguf": gguf([word("a", "b")], [info("t", [4])]),
        "m.zip": zipped_of({"a": evil()}),
        "config.json": b'{"a": [1]}',
        "m.npy": array("<f4", bytes(4)),
        "m.tar": tarred(tarfile.TarInfo("a"), evil()),
    }[name]
    at = data.draw(st.integers(0, len(whole)))
    (tmp_path / name).write_bytes(whole[:at] + junk + whole[at + len(junk) :])
    scan(tmp_path, paths=[name])


def test_a_safetensors_header_is_held_against_all_that_it_says(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"

    def told(data: bytes) -> set[str]:
        file.write_bytes(data)
        return {rule for rule, _ in safetensors.faults(file)}

    assert told(GOOD) == set()
    assert told(tensors({})) == set()
    assert told(b"") == told(b"\x01") == {"safetensors-header"}
    assert told((200_000_000).to_bytes(8, "little")) == {"safetensors-header"}
    assert told(GOOD + b"hidden") == {"safetensors-layout"}
    assert told(GOOD[:-1]) == {"safetensors-layout"}
    assert told(tensors({"a": tensor([2], 4, 12)}, bytes(12))) == {"safetensors-layout"}
    assert told(tensors({"a": tensor([2], 0, 8, "F99")}, bytes(8))) == {"safetensors-shape"}
    assert told(tensors({"a": tensor([1 << 62, 1 << 62], 0, 8)}, bytes(8))) == {"safetensors-shape"}
    wrong: Any
    for wrong in (tensor([-1], 0, 8), tensor([2], 8, 0), {"dtype": "F32"}, [], {**tensor([2], 0, 8), "more": 1}):
        assert told(tensors({"a": wrong}, bytes(8))) == {"safetensors-header"}
    assert told(tensors({"__metadata__": {"a": 1}})) == {"safetensors-header"}
    assert told(tensors(b"[" * 50_000)) == {"safetensors-header"}
    assert told(tensors(b'{"a":' + b"[" * 100_000)) == {"safetensors-header"}


@pytest.mark.parametrize(
    "data",
    [
        b"GGUF",
        b"GGUF" + struct.pack("<IQQ", 9, 0, 0),
        gguf(counts=(0, 1 << 40)),
        gguf([text("k") + struct.pack("<IQ", 8, 1 << 50)]),
        gguf([text("k") + struct.pack("<IIQ", 9, 4, 1 << 61)]),
        gguf([text("k") + struct.pack("<IIQ", 9, 8, 1 << 61)]),
        gguf([text("k") + struct.pack("<IIQ", 9, 9, 1) * 20]),
        gguf([text("k") + struct.pack("<I", 77)]),
        gguf([text("k") + struct.pack("<IB", 7, 9)]),
        gguf([text("general.alignment") + struct.pack("<II", 4, 3)]),
        gguf(infos=[info("t", [1, 1, 1, 1, 1])]),
        gguf(infos=[info("t", [1 << 40, 1 << 40])]),
        gguf(infos=[info("t", [32], kind=99)]),
        gguf(infos=[info("t" * 65, [32])]),
        gguf([struct.pack("<Q", 2) + b"\xff\xfe" + struct.pack("<IB", 0, 0)]),
    ],
)
def test_a_gguf_header_that_lies_is_found(data: bytes, tmp_path: Path) -> None:
    assert rules_in(tmp_path, "m.gguf", data) == ["gguf-header"]


def test_gguf_tensors_that_overlap_or_are_not_aligned_are_found(tmp_path: Path) -> None:
    assert rules_in(tmp_path, "m.gguf", gguf(infos=[info("a", [16]), info("b", [8], offset=32)])) == ["gguf-layout"]
    assert rules_in(tmp_path, "m.gguf", gguf(infos=[info("a", [4], offset=8)])) == ["gguf-layout"]
    assert rules_in(tmp_path, "m.gguf", gguf(infos=[info("a", [33], kind=2)])) == ["gguf-layout"]
    assert rules_in(tmp_path, "m.gguf", gguf(infos=[info("a", [32], kind=2), info("b", [8], offset=32)])) == []


def test_archives_with_links_and_devices_and_names_of_windows_are_found(tmp_path: Path) -> None:
    device = tarfile.TarInfo("d")
    device.type = tarfile.CHRTYPE
    for bad in (
        tarred(linked("a", "/etc/passwd")),
        tarred(linked("a", "../../x")),
        tarred(device),
        zipped_of({"C:\\x": b""}),
    ):
        assert rules_in(tmp_path, "m.zip", bad) == ["archive-path"]
    assert rules_in(tmp_path, "m.zip", tarred(linked("a", "b"))) == []


def test_the_line_of_a_key_that_runs_code_is_told_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{\n "text_config": {\n  "auto_map": {"AutoModel": "own.Model"}}}')
    (finding,) = scan(tmp_path, paths=["."]).findings
    assert (finding.at, finding.rule, finding.severity) == ("config.json:3", "custom-code", "high")


def test_a_configuration_that_is_not_json_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{'model_file': 1}")
    found = scan(tmp_path, paths=["."])
    assert [path for path, _ in found.unread] == ["config.json"]


def test_python_is_found_among_weights_only(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("print(1)\n")
    assert scan(tmp_path, paths=["."]).findings == []
    (tmp_path / "m.safetensors").write_bytes(GOOD)
    assert [finding.rule for finding in scan(tmp_path, paths=["."]).findings] == ["python"]


def test_the_folder_of_a_model_is_looked_at_and_told_without_where_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "away" / "base"
    folder.mkdir(parents=True)
    (folder / "m.safetensors").write_bytes(evil())
    found = scan(tmp_path / "away", Look(model_folder=folder))
    assert {finding.path for finding in found.findings} == {"base/m.safetensors"}


def test_the_links_of_a_hubs_cache_are_followed_to_its_files_and_no_further(tmp_path: Path) -> None:
    blobs, folder = tmp_path / "models--a" / "blobs", tmp_path / "models--a" / "snapshots" / "1f2e"
    blobs.mkdir(parents=True)
    folder.mkdir(parents=True)
    (blobs / "abc").write_bytes(evil())
    (folder / "m.safetensors").symlink_to(blobs / "abc")
    found = scan(tmp_path, Look(model_folder=folder))
    assert {(finding.path, finding.rule) for finding in found.findings} >= {("1f2e/m.safetensors", "pickle-code")}
    (tmp_path / "secret").write_bytes(b"x")
    (folder / "other").symlink_to(tmp_path / "secret")
    with pytest.raises(Unreadable, match="leads out"):
        scan(tmp_path, Look(model_folder=folder))


def test_what_a_hub_calls_a_file_decides_whether_it_is_scanned_again(tmp_path: Path) -> None:
    blobs, folder = tmp_path / "models--a" / "blobs", tmp_path / "models--a" / "snapshots" / "1f2e"
    blobs.mkdir(parents=True)
    folder.mkdir(parents=True)
    (blobs / "abc").write_bytes(numbers())
    (folder / "m.pt").symlink_to(blobs / "abc")
    look = Look(model_folder=folder)
    before = model_files.besides({}, look)
    (folder / "m.pt").rename(folder / "m.safetensors")
    assert model_files.besides({}, look) != before
    assert model_files.subjects({}, tmp_path, look) == [blobs / "abc"]


def test_a_file_that_a_hub_keeps_once_for_two_names_is_looked_at_as_both(tmp_path: Path) -> None:
    blobs, folder = tmp_path / "models--a" / "blobs", tmp_path / "models--a" / "snapshots" / "1f2e"
    blobs.mkdir(parents=True)
    folder.mkdir(parents=True)
    (blobs / "abc").write_text('{"model_file": "own.py", "chat_template": "{{ messages.__class__ }}"}')
    for name in ("config.json", "tokenizer_config.json", "a.txt", "z.txt"):
        (folder / name).symlink_to(blobs / "abc")
    look = Look(model_folder=folder)
    assert {finding.path for finding in scan(tmp_path, look).findings} == {
        "1f2e/config.json",
        "1f2e/tokenizer_config.json",
    }
    (finding,) = scan_templates(tmp_path, look).findings
    assert finding.at == "1f2e/tokenizer_config.json:1"


def test_nothing_in_the_folder_of_a_model_is_passed_over_in_silence(tmp_path: Path) -> None:
    folder, other = tmp_path / "base", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (folder / "sub").symlink_to(other)
    with pytest.raises(Unreadable, match="leads out"):
        scan(tmp_path, Look(model_folder=folder))
    (folder / "sub").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(Unreadable, match="no regular file"):
        scan(tmp_path, Look(model_folder=folder))
    with pytest.raises(Unreadable, match="can't be read"):
        scan(tmp_path, Look(model_folder=tmp_path / "gone"))


def test_a_finding_keeps_its_id_when_fickling_has_more_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.pt").write_bytes(evil())
    monkeypatch.setattr(model_files, "_fickling", lambda: False)
    (without,) = scan(tmp_path, paths=["."]).findings
    assert model_files.version() == "model_files 1"
    monkeypatch.setattr(model_files, "_fickled", lambda data: "; fickling says: more")
    (with_it,) = scan(tmp_path, paths=["."]).findings
    assert with_it.what == without.what + "; fickling says: more"
    assert with_it.id == without.id


# --------------------------------------------------------------------------------------------- templates


def scan_templates(root: Path, look: Look = ANY, **options: Any) -> Scanned:
    options = {"seconds": 0.3, **options}
    return templates.scan(options, root, templates.subjects(options, root, look), look)


def test_each_planted_template_is_found_and_gone_when_it_is_mended() -> None:
    found = scan_templates(EXAMPLES, paths=["templates/planted"])
    assert not found.unread
    rules = {finding.rule: finding.path for finding in found.findings}
    assert rules.keys() | {"crash"} == templates.rules().keys()
    by_file = {(Path(finding.path).stem, finding.rule) for finding in found.findings}
    assert {(rule, rule) for rule in rules} <= by_file
    assert ("tokenizer_config", "attribute") in by_file
    mended = scan_templates(EXAMPLES, paths=["templates/mended"])
    assert mended == Scanned([], [])


def test_the_place_of_a_template_is_its_line_or_the_key_that_holds_it() -> None:
    found = scan_templates(
        EXAMPLES, paths=["templates/planted/tokenizer_config.json", "templates/planted/attribute.jinja"]
    )
    assert {finding.at for finding in found.findings if finding.rule == "attribute"} == {
        "templates/planted/attribute.jinja:1",
        "templates/planted/tokenizer_config.json:3",
    }


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{{ messages|attr('__cla' ~ 'ss__') }}", "attribute"),
        ("{{ messages['__cla' + 'ss__'] }}", "attribute"),
        ("{{ messages|attr(messages[0].content) }}", "attribute"),
        ("{{ messages|map(attribute='__class__')|list }}", "attribute"),
        ("{{ '{0.__globals__}'.format(raise_exception) }}", "attribute"),
        ("{{ raise_exception.func_globals }}", "attribute"),
        ("{{ x.popen('id') }}", "call"),
        ("{% if messages|length > 9 %}{% set k = '__cla' %}{{ ''[k ~ 'ss__'] }}{% endif %}", "attribute"),
        ("{% if messages|length > 9 %}{% set k = bos_token ~ 'ss__' %}{{ ''[k] }}{% endif %}", "attribute"),
        ("{% if messages|length > 9 %}{{ ''['__ssalc__'|reverse] }}{{ ''['__CLASS__'.lower()] }}{% endif %}", "attribute"),
        ("{% if messages|length > 9 %}{% for a in range(9999) %}{% for b in range(0, 9999)|list %}{% endfor %}{% endfor %}{% endif %}", "large"),
        ("{% for a in range(999) %}{% for b in range(999) %}{% for c in range(999) %}{% endfor %}{% endfor %}{% endfor %}", "large"),
        ("{% for a in range(999999) %}{% endfor %}", "large"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "endless"),
        ("{% macro m(n) %}{{ m(n) ~ m(n) }}{% endmacro %}{% if messages|length > 2 %}{{ m(1) }}{% endif %}", "endless"),
        ("{% extends 'base' %}", "include"),
        ("{{ 'a' * 10**10 }}", "memory"),
        ("\u202eabc", "unseen"),
    ],
)  # fmt: skip
def test_templates_that_try_it_by_other_ways_are_found(text: str, rule: str, tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(text, "utf-8")
    assert rule in {finding.rule for finding in scan_templates(tmp_path, paths=["."]).findings}


@pytest.mark.parametrize(
    "text",
    [
        "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% if loop.last %}{% break %}{% endif %}{% endfor %}",
        "{{ messages|tojson(indent=2) }}{{ strftime_now('%d %b') }}{% set ns = namespace(found=false) %}{% set ns.found = true %}",
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system message') }}{% endif %}{{ bos_token }}",
        "{% for m in messages %}{{ messages[loop.index0 - 1].role }}{% for k in m %}{{ m[k] }}{% endfor %}{% for a in range(9) %}{% for b in range(9) %}{% endfor %}{% endfor %}{% endfor %}",
        "<__media__>{% for m in messages %}{% if '</think>' in m.content %}{{ m.content.split('</think>')[-1] }}{% endif %}{% endfor %}",
        "",
    ],
)  # fmt: skip
def test_templates_as_models_have_them_are_let_through(text: str, tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(text)
    assert scan_templates(tmp_path, paths=["."]) == Scanned([], [])


def test_one_template_that_does_not_end_does_not_keep_the_others_from_being_looked_at(tmp_path: Path) -> None:
    count = "range(messages|length * 99999)"
    endless = f"{{% for a in {count} %}}{{% for b in {count} %}}{{% endfor %}}{{% endfor %}}"
    for number in range(6):
        (tmp_path / f"{number}.jinja").write_text(endless if number in (0, 3) else "{{ messages.__class__ }}")
    found = [(finding.path, finding.rule) for finding in scan_templates(tmp_path, paths=["."]).findings]
    assert found == [(f"{n}.jinja", "endless" if n in (0, 3) else "attribute") for n in range(6)]


@pytest.mark.parametrize(("status", "rule"), [(-signal.SIGPROF, "endless"), (-signal.SIGSEGV, "crash"), (3, "crash")])
def test_a_template_that_ends_the_program_is_told_by_how_it_ended(status: int, rule: str) -> None:
    assert templates._why(status, False, 1.0)[0] == rule
    assert templates._why(status, True, 1.0)[0] == "endless"


def test_what_is_no_template_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jinja").write_text("{% for %}")
    (tmp_path / "b.jinja").write_bytes(b"\xff\xfe")
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": [1]}')
    (tmp_path / "chat_template.json").write_text('{"chat_template": 5}')
    found = scan_templates(tmp_path, paths=["."])
    assert sorted(path for path, _ in found.unread) == [
        "a.jinja",
        "b.jinja",
        "chat_template.json",
        "tokenizer_config.json",
    ]
    assert found.findings == []


def test_the_template_in_a_gguf_file_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf([word("tokenizer.chat_template", "{{ messages.__class__ }}")]))
    (finding,) = scan_templates(tmp_path, paths=["."]).findings
    assert (finding.at, finding.rule) == ("m.gguf", "attribute")
    assert finding.what.startswith("tokenizer.chat_template: ")


def test_a_gguf_file_is_known_by_what_it_holds_and_whatever_case_its_name_has(tmp_path: Path) -> None:
    for name in ("blob", "M.GGUF"):
        (tmp_path / name).write_bytes(gguf([word("tokenizer.chat_template", "{{ messages.__class__ }}")]))
    (tmp_path / "T.JINJA").write_text("{{ messages.__class__ }}")
    found = scan_templates(tmp_path, paths=["."])
    assert {finding.path for finding in found.findings} == {"blob", "M.GGUF", "T.JINJA"}


@pytest.mark.parametrize(
    "data",
    [
        b"GGUF" + struct.pack("<IQQ", 4, 0, 0),
        gguf([text("abc") + struct.pack("<I", 77), word("tokenizer.chat_template", "a")]),
        gguf([word("tokenizer.chat_template", "a"), word("tokenizer.chat_template", "b")]),
        gguf([word("tokenizer.chat_template", "a" * 4_000_001)]),
        b"no GGUF",
    ],
)
def test_a_gguf_file_whose_template_can_not_be_told_could_not_be_read(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(data)
    found = scan_templates(tmp_path, paths=["."])
    assert ([path for path, _ in found.unread], found.findings) == (["m.gguf"], [])


def test_a_template_that_is_there_twice_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "a", "chat_template": "b"}')
    assert [path for path, _ in scan_templates(tmp_path, paths=["."]).unread] == ["tokenizer_config.json"]


def test_a_findings_id_outlasts_lines_above_it(tmp_path: Path) -> None:
    file = tmp_path / "a.jinja"
    file.write_text("{{ messages.__class__ }}")
    (before,) = scan_templates(tmp_path, paths=["."]).findings
    file.write_text("Hello\n\n  {{ messages.__class__ }}")
    (after,) = scan_templates(tmp_path, paths=["."]).findings
    assert (before.id, after.line) == (after.id, 3)
