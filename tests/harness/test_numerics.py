"""Strict and fast numerics. What depends on which BLAS came first runs in processes of its own, by running this file."""

from __future__ import annotations

import ctypes
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness import numerics, provenance
from harness.numerics.proof import multiplies
from harness.numerics.signpost import NAMES, signpost

REPOSITORY = Path(__file__).parents[2]

linux = pytest.mark.skipif(sys.platform != "linux", reason="only MLX on a Linux CPU has a BLAS to put another before")

Segment = tuple[int, ...]


# ------------------------------------------------------------------------------- a process of its own


def call(*argv: str, **env: str) -> str:
    root = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        [sys.executable, *argv],
        env={**os.environ, "MLX_ENABLE_TF32": "0", "PYTHONPATH": root, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def refused(before: str = "", **env: str) -> str:
    """What put_in_front says in a process where something happened before."""
    code = (
        f"from harness import numerics\n{before}\nprint(numerics.put_in_front())\nassert numerics.active() == 'strict'"
    )
    return call("-c", code, **env).strip()


@pytest.fixture(scope="module")
def told() -> Mapping[str, Any]:
    """The same questions to a strict and to a fast process; OPENBLAS_NUM_THREADS is theirs to overrule."""
    return {lane: json.loads(call(__file__, lane, OPENBLAS_NUM_THREADS="2")) for lane in ("strict", "fast")}


def tell(lane: str) -> None:
    """The other side of `told`."""
    said = [numerics.put_in_front(), numerics.put_in_front()] if lane == "fast" else []
    answers = dict(asked_of_mlx())
    maps = list(mapped())
    libraries = {name: library_at(address, maps) for name, address in imported_by_mlx()}
    told = {"said": said, "active": numerics.active(), "facts": numerics.facts(), "mapped": provenance.blas_mapped()}
    print(json.dumps({**told, "answers": answers, "libraries": libraries, "threads": threads_of_numpy()}))


def asked_of_mlx() -> Iterator[tuple[str, Any]]:
    """Each family of functions that MLX hands to BLAS or LAPACK, in each type; what has no sign or order of its own."""
    import mlx.core as mx
    import numpy as np

    random = np.random.default_rng(0)
    linalg, cpu = mx.linalg, mx.cpu

    def drawn(*shape: int, dtype: str = "float32") -> Any:
        return mx.array(random.normal(size=shape).astype("complex64" if dtype == "complex64" else "float64")).astype(
            getattr(mx, dtype), stream=cpu
        )

    def told(name: str, value: Any) -> tuple[str, Any]:
        value = np.array(value)
        parts = np.stack([value.real, value.imag]).astype("float64")
        return name, parts.ravel().tolist()

    with mx.stream(cpu):
        yield told("matmul 33", drawn(33, 70) @ drawn(70, 50))
        yield told("matmul batch", drawn(3, 64, 48) @ drawn(3, 48, 20))
        yield told("matmul transposed", drawn(64, 48).T @ drawn(20, 64).T)
        yield told("addmm", mx.addmm(drawn(8), drawn(40, 30), drawn(30, 8), 0.5, 2.0))
        yield told("conv", mx.conv2d(drawn(2, 12, 12, 3), drawn(5, 3, 3, 3), padding=1))
        for dtype in ("float64", "complex64"):
            yield told(f"matmul {dtype}", drawn(20, 30, dtype=dtype) @ drawn(30, 10, dtype=dtype))
        for dtype in ("float32", "float64"):
            square = drawn(12, 12, dtype=dtype)
            positive = square @ square.T + 12 * mx.eye(12, dtype=square.dtype)
            q, r = linalg.qr(drawn(16, 12, dtype=dtype))
            yield told(f"qr {dtype}", mx.concatenate([q @ r, q.T @ q]))
            yield told(f"inv {dtype}", linalg.inv(positive))
            yield told(f"tri_inv {dtype}", linalg.tri_inv(mx.tril(positive)))
            yield told(f"cholesky {dtype}", linalg.cholesky(positive))
            yield told(f"lu {dtype}", mx.concatenate([*linalg.lu(square)[1:]]))
        yield told("cholesky_inv", linalg.cholesky_inv(linalg.cholesky(positive.astype(mx.float32))))
        yield told("pinv", linalg.pinv(drawn(9, 6)))
        yield told("solve", linalg.solve(drawn(12, 12) + 12 * mx.eye(12), drawn(12, 3)))
        for dtype in ("float32", "float64", "complex64"):
            square = drawn(10, 10, dtype=dtype)
            symmetric = square + square.T.conj() if dtype == "complex64" else square + square.T
            u, s, vt = linalg.svd(square)
            yield told(f"svd {dtype}", mx.concatenate([(u * s) @ vt, mx.diag(s).astype(square.dtype)]))
            values, vectors = linalg.eigh(symmetric)
            yield told(f"eigh {dtype}", mx.concatenate([symmetric @ vectors - vectors * values, mx.diag(values)]))
            values = linalg.eigvals(symmetric)
            yield told(f"eig {dtype}", np.sort(np.array(values).real))


def installed(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def threads_of_numpy() -> str | None:
    """What a BLAS that is loaded from now on would read."""
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    value = getenv(b"OPENBLAS_NUM_THREADS")
    return value.decode() if value else None


def imported_by_mlx() -> Iterator[tuple[str, int]]:
    """Every function that MLX's library imports, with the address its calls lead to: read from its memory."""
    library = installed("mlx") / "lib" / "libmlx.so"
    base = next(start for start, _, path in mapped() if path == str(library))
    elf = Elf(library.read_bytes())
    for at, kind, symbol in elf.relocations():
        if kind in (6, 7, 1025, 1026):  # GLOB_DAT and JUMP_SLOT of x86-64, and of aarch64
            yield elf.symbol(symbol)[0], ctypes.c_uint64.from_address(base + at).value


def library_at(address: int, maps: list[tuple[int, int, str]]) -> str:
    return next((os.path.basename(path) for start, end, path in maps if start <= address < end), "")


def mapped() -> Iterator[tuple[int, int, str]]:
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_, path = line.split(None, 5) if line.count("/") else (line.split()[0], "")
        start, end = (int(part, 16) for part in span.split("-"))
        yield start, end, path


class Elf:
    """A tiny reader of shared libraries: program headers, dynamic section, symbols, relocations."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header = struct.unpack_from("<16sHHIQQQIHHHHHH", data)
        at, size, count = self.header[5], self.header[9], self.header[10]
        self.segments: list[Segment] = [struct.unpack_from("<IIQQQQQQ", data, at + i * size) for i in range(count)]
        at, size = next((s[2], s[5]) for s in self.segments if s[0] == 2)
        self.dynamic = dict(struct.iter_unpack("<qQ", data[at : at + size]))

    def place(self, address: int) -> int:
        return next(address - s[3] + s[2] for s in self.segments if s[0] == 1 and s[3] <= address < s[3] + s[5])

    def symbol(self, number: int) -> tuple[str, *tuple[int, ...]]:
        name, *rest = struct.unpack_from("<IBBHQQ", self.data, self.place(self.dynamic[6]) + 24 * number)
        at = self.place(self.dynamic[5]) + name
        return self.data[at : self.data.find(b"\0", at)].decode(), *rest

    def relocations(self) -> Iterator[tuple[int, int, int]]:
        for table, size in ((7, 8), (23, 2)):  # DT_RELA, DT_JMPREL
            at = self.place(self.dynamic[table])
            for offset, info, _ in struct.iter_unpack("<QQq", self.data[at : at + self.dynamic[size]]):
                yield offset, info & 0xFFFFFFFF, info >> 32


# ------------------------------------------------------------------------------------ strict and fast


@linux
@pytest.mark.mlx
def test_fast_answers_as_strict_does_within_tolerance(told: Mapping[str, Any]) -> None:
    strict, fast = told["strict"]["answers"], told["fast"]["answers"]
    assert len(strict) == len(fast) == 29
    off = {}
    for name, expected in strict.items():
        scale = max(map(abs, expected))
        distance = max(abs(a - b) for a, b in zip(expected, fast[name], strict=True))
        if not distance <= 1e-4 * max(scale, 1.0):
            off[name] = (distance, scale)
    assert not off


@linux
@pytest.mark.mlx
def test_fast_computes_otherwise(told: Mapping[str, Any]) -> None:
    strict, fast = (told[lane]["answers"] for lane in ("strict", "fast"))
    assert strict["matmul 33"] != fast["matmul 33"]
    assert strict["conv"] != fast["conv"]


@linux
@pytest.mark.mlx
def test_every_function_that_mlx_imports_of_blas_leads_to_what_is_in_front(told: Mapping[str, Any]) -> None:
    own = {name: at for name, at in told["strict"]["libraries"].items() if at.startswith(("libblas", "liblapack"))}
    assert set(own) == set(NAMES)
    in_front = told["fast"]["facts"]["blas_library"]
    assert {told["fast"]["libraries"][name] for name in NAMES} == {in_front}
    others = set(told["strict"]["libraries"]) - set(NAMES)
    assert all(told["fast"]["libraries"][name] != in_front for name in others)


@linux
@pytest.mark.mlx
def test_a_process_says_which_numerics_it_has(told: Mapping[str, Any]) -> None:
    assert told["strict"]["active"] == "strict"
    assert told["strict"]["facts"] == {"numerics": "strict"}
    assert told["fast"]["said"] == [None, None]
    assert told["fast"]["active"] == "fast"
    facts = told["fast"]["facts"]
    assert facts["numerics"] == "fast"
    assert facts["blas_library"] == numerics.lanes()[0].file
    assert {facts["blas_library"], *told["strict"]["mapped"]} <= set(told["fast"]["mapped"])
    assert facts["blas_kernel"] not in ("", "unknown")
    assert facts["blas_version"].startswith("OpenBLAS 0.")


@linux
@pytest.mark.mlx
def test_fast_has_one_thread_and_strict_what_it_was_given(told: Mapping[str, Any]) -> None:
    assert told["fast"]["facts"]["blas_threads"] == told["fast"]["threads"] == "1"
    assert told["strict"]["threads"] == "2"


@linux
@pytest.mark.mlx
def test_a_library_that_scipy_loaded_before_has_one_thread_too() -> None:
    code = "import scipy.linalg\nfrom harness import numerics\nprint(numerics.put_in_front(), numerics.facts())"
    said = call("-c", code, OPENBLAS_NUM_THREADS="2")
    assert said.startswith("None {'numerics': 'fast'")
    assert "'blas_threads': '1'" in said


# ------------------------------------------------------------------------------------------- refusals


@linux
@pytest.mark.mlx
def test_after_mlx_it_is_too_late() -> None:
    assert refused("import mlx.core") == (
        "mlx.core was imported before a fast BLAS could be put in front of it; strict numerics are used instead"
    )


@linux
def test_without_a_library_it_says_so() -> None:
    hidden = (
        "import sys, harness.numerics.libraries as l\nsys.modules['scipy'] = None\nl.SYSTEM = 'libopenblas-none.so'"
    )
    assert refused(hidden) == (
        "no OpenBLAS was found: neither scipy's wheel nor the system has one; strict numerics are used instead"
    )


@linux
def test_a_library_that_is_none_is_not_usable(tmp_path: Path) -> None:
    (tmp_path / "libopenblas-none.so").write_bytes(b"")
    said = refused(
        "import sys, harness.numerics.libraries as l\nsys.modules['scipy'] = None\nl.SYSTEM = 'libopenblas-none.so'",
        LD_LIBRARY_PATH=str(tmp_path),
    )
    assert said.startswith("OpenBLAS of the system is not usable (")
    assert said.endswith("file too short); strict numerics are used instead")


@linux
def test_the_next_best_is_taken_where_the_best_cannot_be_loaded(tmp_path: Path) -> None:
    broken = tmp_path / "scipy.libs" / "libscipy_openblas-0.so"
    broken.parent.mkdir()
    broken.write_bytes(b"no library")
    code = (
        "from harness import numerics\nfrom harness.numerics import front\n"
        f"good = front.candidates()\nfront.candidates = lambda: [numerics.Lane('b', {str(broken)!r}, 'scipy_'), *good]\n"
        "print(numerics.put_in_front(), numerics.active())"
    )
    assert call("-c", code).strip() == "None fast"


@linux
def test_a_library_that_multiplies_wrongly_is_refused() -> None:
    library = ctypes.CDLL(numerics.lanes()[0].library)
    c_int, c_float, c_void_p = ctypes.c_int, ctypes.c_float, ctypes.c_void_p
    before, left, right, into = [c_int] * 6, [c_float, c_void_p, c_int], [c_void_p, c_int], [c_float, c_void_p, c_int]
    idle = ctypes.CFUNCTYPE(None, *before, *left, *right, *into)(lambda *given: None)
    assert multiplies(library.scipy_cblas_sgemm)
    assert not multiplies(idle)
    said = refused("from harness.numerics import front\nfront.multiplies = lambda sgemm: False")
    assert said.startswith("OpenBLAS of scipy is not usable (it multiplies wrongly on this processor)")


@linux
@pytest.mark.mlx
def test_a_preloaded_library_is_not_mistaken_for_ours() -> None:
    (reference,) = (path for path in installed("mlx").parent.glob("mlx_cpu.libs/libblas*"))
    assert refused(LD_PRELOAD=str(reference)).startswith("a library loaded before us (LD_PRELOAD?)")
    facts = call("-c", "from harness import numerics\nprint(numerics.facts())", LD_PRELOAD=str(reference))
    assert facts.strip() == "{'numerics': 'strict', 'blas_library': \"another's, in the global scope\"}"


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "riscv64"), ("win32", "AMD64")])
def test_elsewhere_there_is_nothing_to_put_in_front(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert numerics.lanes() == []
    assert str(numerics.put_in_front()).startswith("a fast BLAS is for MLX on a Linux CPU, and this is ")
    assert numerics.active() == "strict"


@linux
@pytest.mark.parametrize(
    ("library", "why"),
    [
        (b"\0libcublas.so\0cblas_sgemm\0", "MLX is installed for CUDA, and computes there with a BLAS of its own"),
        (b"\0libc.so\0", "MLX is installed with a BLAS built in"),
        (None, "MLX is not installed"),
    ],
)
def test_another_mlx_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: bytes | None, why: str
) -> None:
    file = tmp_path / "mlx" / "lib" / "libmlx.so"
    file.parent.mkdir(parents=True)
    if library:
        file.write_bytes(library)
    monkeypatch.setattr("harness.numerics.libraries._folders", lambda package: [str(tmp_path / package)])
    assert numerics.lanes() == []
    assert numerics.put_in_front() == f"{why}; strict numerics are used instead"


@linux
def test_looking_for_libraries_loads_nothing() -> None:
    code = (
        "import sys\nfrom harness import numerics\nassert numerics.lanes()\nnumerics.facts()\n"
        "print({'mlx.core', 'numpy', 'scipy'} & {*sys.modules}, 'blas' in open('/proc/self/maps').read())"
    )
    assert call("-c", code).strip() == "set() False"


# ----------------------------------------------------------------------------------------- the signpost


@linux
def test_a_signpost_leads_to_the_addresses_it_was_given(tmp_path: Path) -> None:
    libc = ctypes.CDLL(None)
    address: Callable[[str], int] = lambda name: ctypes.cast(libc[name], ctypes.c_void_p).value or 0  # noqa: E731
    file = tmp_path / "signpost.so"
    file.write_bytes(signpost({"hallmark_labs": address("labs"), "hallmark_abs": address("abs")}))
    loaded = ctypes.CDLL(str(file))
    assert (loaded.hallmark_abs(-3), loaded.hallmark_labs(-4)) == (3, 4)
    assert not hasattr(loaded, "hallmark_none")


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_a_signpost_has_the_names_and_nothing_executable(
    monkeypatch: pytest.MonkeyPatch, machine: str, number: int
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    data = signpost({name: 0x7F0000000000 + i for i, name in enumerate(NAMES)})
    elf = Elf(data)
    assert elf.header[0][:7] == b"\x7fELF\2\1\1"
    assert elf.header[1:3] == (3, number)
    assert [segment[0] for segment in elf.segments] == [1, 2, 0x6474E551]
    assert all(segment[1] == 6 for segment in elf.segments)  # readable, writable, not executable
    load, dynamic, _ = elf.segments
    assert (load[2:4], load[5:7]) == ((0, 0), (len(data), len(data)))
    assert dynamic[2] + dynamic[5] <= len(data)
    assert dynamic[2] % 8 == elf.dynamic[6] % 8 == elf.dynamic[4] % 4 == 0
    buckets, chains = struct.unpack_from("<II", data, elf.dynamic[4])
    assert (buckets, chains) == (1, 1 + len(NAMES))
    bucket, *chain = struct.unpack_from(f"<{1 + chains}I", data, elf.dynamic[4] + 8)
    walked = []
    while bucket:
        walked.append(elf.symbol(bucket))
        bucket = chain[bucket]
    assert walked == [(name, 0x12, 0, 0xFFF1, 0x7F0000000000 + i, 0) for i, name in enumerate(NAMES)]


# --------------------------------------------------------------------------------------------- speeds


@linux
@pytest.mark.mlx
def test_speeds_are_measured_for_each_and_one_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libopenblas.so.0").write_bytes(b"")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    strict, *fast, numpy = numerics.speeds()
    assert (strict.name, numpy.name) == ("MLX as installed", "numpy")
    assert [speed.name for speed in fast] == ["OpenBLAS of scipy", "OpenBLAS of the system"]
    assert all(speed.gflops and speed.gflops > 0 for speed in (strict, fast[0], numpy))
    assert fast[0].detail.endswith(numerics.lanes()[0].file)
    assert fast[1].gflops is None
    assert fast[1].detail.startswith("not usable: ")
    assert fast[1].detail.endswith("file too short")


@linux
def test_a_measurement_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.numerics.speed.lanes", list)
    monkeypatch.setattr("harness.numerics.speed._PATIENCE", 0.001)
    assert [speed.detail for speed in numerics.speeds()] == ["not usable: no result within 0 seconds"] * 2


if __name__ == "__main__":
    tell(sys.argv[1])
