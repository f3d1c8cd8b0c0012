"""What could be put in front of MLX's BLAS here; found by looking at files, without loading any."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

MACHINES = {"x86_64": 62, "aarch64": 183}
"""Where Linux wheels of MLX exist, and their numbers in an ELF header."""

SYSTEM = "libopenblas.so.0"


class Lane(NamedTuple):
    name: str
    library: str
    """What to load: a path, or a name that the system's loader knows."""
    prefix: str
    """What its symbols' names begin with: scipy's wheel renames them, so that nobody meets them by chance."""

    @property
    def file(self) -> str:
        return os.path.basename(self.library)


def lanes() -> list[Lane]:
    """The libraries to choose from, best first; none where a BLAS in front of MLX would decide nothing."""
    return [] if obstacle() else candidates()


def candidates() -> list[Lane]:
    of_scipy = [Lane("OpenBLAS of scipy", str(path), "scipy_") for path in _in_scipy()]
    of_system = [Lane("OpenBLAS of the system", library, "") for library in _in_system()]
    return of_scipy + of_system


def obstacle() -> str | None:
    """Why no BLAS can be put in front of MLX on this machine; None where one can."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return f"a fast BLAS is for MLX on a Linux CPU, and this is {platform.system()} on {platform.machine()}"
    library = _mlx()
    if library is None:
        return "MLX is not installed"
    if b"libcublas" in library:
        return "MLX is installed for CUDA, and computes there with a BLAS of its own"
    if b"\0cblas_sgemm\0" not in library:
        return "MLX is installed with a BLAS built in"
    return None


def _mlx() -> bytes | None:
    """MLX's own library, found without importing MLX: `mlx` itself is a folder, so looking it up runs nothing."""
    for folder in _folders("mlx"):
        with suppress(OSError):
            return (Path(folder) / "lib" / "libmlx.so").read_bytes()
    return None


def _in_scipy() -> list[Path]:
    """Not `openblas64`, as in numpy's wheel: its integers have 64 bits, and MLX passes 32."""
    folders = [Path(folder).with_name("scipy.libs") for folder in _folders("scipy")]
    return sorted(path for folder in folders for path in folder.glob("libscipy_openblas-*.so"))


def _folders(package: str) -> list[str]:
    with suppress(ImportError, ValueError):
        if (spec := find_spec(package)) is not None:
            return list(spec.submodule_search_locations or ())
    return []


def _in_system() -> list[str]:
    """Beside Python (as conda has it), or among what the system's loader knows."""
    beside = Path(sys.prefix) / "lib" / SYSTEM
    if beside.is_file():
        return [str(beside)]
    named = [Path(folder) / SYSTEM for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    with suppress(OSError):
        if any(path.is_file() for path in named) or SYSTEM.encode() + b"\0" in Path("/etc/ld.so.cache").read_bytes():
            return [SYSTEM]
    return []
