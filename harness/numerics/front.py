"""Putting one BLAS in front of another, for the life of this process."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from typing import Any, NamedTuple

from harness.numerics.libraries import Lane, candidates, obstacle
from harness.numerics.proof import multiplies
from harness.numerics.signpost import NAMES, signpost

STRICT, FAST = "strict", "fast"


class Front(NamedTuple):
    """What stands in front of MLX's own BLAS."""

    lane: Lane
    kernel: str
    """What OpenBLAS chose for this processor; another kernel rounds otherwise."""
    version: str
    threads: int


_front: Front | None = None


def active() -> str:
    return FAST if _front else STRICT


def facts() -> dict[str, Any]:
    """What decides the numerics of this process, for the record; of several mapped libraries, the one in front."""
    if _front is None:
        return {"numerics": STRICT, **({"blas_library": "another's, in the global scope"} if _taken() else {})}
    return {
        "numerics": FAST,
        "blas_library": _front.lane.file,
        "blas_version": _front.version,
        "blas_kernel": _front.kernel,
        "blas_threads": str(_front.threads),
    }


def put_in_front(threads: int = 1) -> str | None:
    """Put the best library there is in front of MLX's BLAS. None when it is; otherwise why it is not, in a sentence."""
    if _front:
        return None
    why = _hindrance() or _first_that_loads(threads)
    return f"{why}; strict numerics are used instead" if why else None


def _hindrance() -> str | None:
    if why := obstacle():
        return why
    if "mlx.core" in sys.modules:
        return "mlx.core was imported before a fast BLAS could be put in front of it"
    if _taken():
        return f"a library loaded before us (LD_PRELOAD?) answers to {NAMES[0]} already"
    return None


def _first_that_loads(threads: int) -> str | None:
    reasons = []
    for lane in candidates():
        try:
            load(lane, threads)
        except (OSError, AttributeError, ValueError) as error:
            reasons.append(f"{lane.name} is not usable ({error})")
        else:
            return None
    return "; ".join(reasons) or "no OpenBLAS was found: neither scipy's wheel nor the system has one"


def load(lane: Lane, threads: int = 1) -> Front:
    """Load the library, and then the signpost that leads to it.

    The library itself stays out of the global scope. It exports thousands of names of its own workings, which numpy's
    copy of OpenBLAS, another version, has too; and the first of a name in the global scope is used by all.
    """
    global _front  # noqa: PLW0603
    os.environ["OPENBLAS_NUM_THREADS"] = str(threads)  # one a worker; read when it is loaded, also by numpy's
    library = ctypes.CDLL(lane.library)
    config = _text(library, lane, "openblas_get_config")
    if "USE64BITINT" in config:
        raise ValueError("its integers have 64 bits")
    library[f"{lane.prefix}openblas_set_num_threads"](threads)  # where it had been loaded already
    if not multiplies(library[f"{lane.prefix}cblas_sgemm"]):
        raise ValueError("it multiplies wrongly on this processor")
    addresses = {name: _address(library, lane.prefix + name) for name in NAMES}
    with tempfile.NamedTemporaryFile(suffix=".so") as file:
        file.write(signpost(addresses))
        file.flush()
        ctypes.CDLL(file.name, mode=ctypes.RTLD_GLOBAL)
    here = ctypes.CDLL(None)
    if any(_address(here, name) != address for name, address in addresses.items()):
        raise ValueError("the loader does not lead to it")
    kernel = _text(library, lane, "openblas_get_corename")
    used = library[f"{lane.prefix}openblas_get_num_threads"]()
    _front = Front(lane, kernel, " ".join(config.split()[:2]), used)
    return _front


def _taken() -> bool:
    """Whether the global scope has a BLAS that isn't ours."""
    return _front is None and sys.platform == "linux" and hasattr(ctypes.CDLL(None), NAMES[0])


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(library[name], ctypes.c_void_p).value or 0


def _text(library: ctypes.CDLL, lane: Lane, name: str) -> str:
    function = library[lane.prefix + name]
    function.restype = ctypes.c_char_p
    return str(function().decode())
