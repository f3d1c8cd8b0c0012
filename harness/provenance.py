"""Where and with what something was measured."""

from __future__ import annotations

import os
import platform
import re
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness import __version__

_BLAS = re.compile(r"/([^/\s]*(?:blas|mkl_rt|Accelerate)[^/\s]*)$", re.IGNORECASE)


@cache
def machine() -> dict[str, Any]:
    return {
        "hallmark": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


@cache
def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def backend() -> dict[str, Any]:
    """The numeric backend of this process, as far as it is loaded: asking loads nothing."""
    facts: dict[str, Any] = {}
    mlx = sys.modules.get("mlx.core")
    if mlx is not None:
        facts["mlx"] = installed("mlx")
        facts["device"] = str(mlx.default_device())
        facts["tf32"] = os.environ.get("MLX_ENABLE_TF32", "1") != "0"
    facts["blas"] = blas_mapped()
    facts["blas_threads"] = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or "default"
    return facts


def blas_mapped() -> list[str]:
    """The BLAS libraries in this process's memory, by file name; empty where the system doesn't tell."""
    try:
        maps = Path("/proc/self/maps").read_text("utf-8", "replace")
    except OSError:
        return []
    return sorted({match[1] for line in maps.splitlines() if (match := _BLAS.search(line))})


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
