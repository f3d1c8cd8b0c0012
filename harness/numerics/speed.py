"""How fast this machine multiplies matrices, with each BLAS that MLX could use; for `hallmark doctor`.

Each is measured in a process of its own, as only one can be in front in a process.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from harness.numerics import front
from harness.numerics.libraries import lanes

_ROWS, _WIDTH = 256, 1024
_SECONDS, _PATIENCE = 0.5, 30.0
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}


class Speed(NamedTuple):
    name: str
    gflops: float | None
    """10**9 float32 operations a second on one thread; None where it can't be used."""
    detail: str


def speeds() -> list[Speed]:
    """MLX as it was installed, MLX behind each lane, and numpy, to compare with."""
    return [
        _apart("MLX as installed", "mlx"),
        *(_apart(lane.name, lane.library) for lane in lanes()),
        _apart("numpy", "numpy"),
    ]


def _apart(name: str, what: str) -> Speed:
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    env = {**os.environ, **_ONE_THREAD, "PYTHONPATH": path}
    argv = [sys.executable, "-m", "harness.numerics", what]
    try:
        ran = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        rate, _, detail = ran.stdout.strip().partition(" ")
        return Speed(name, round(float(rate), 1), detail)
    except subprocess.TimeoutExpired:
        why = f"no result within {_PATIENCE:.0f} seconds"
    except ValueError:
        said = ran.stderr.strip().splitlines()
        why = said[-1].split(": ", 1)[-1] if said else f"ended with status {ran.returncode}"
    except OSError as error:
        why = str(error)
    return Speed(name, None, f"not usable: {why}")


def measure(what: str) -> str:
    """What a process of its own says: the rate, and with what it was reached."""
    if what == "numpy":
        numpy = importlib.import_module("numpy")
        left, right = (numpy.ones(shape, "float32") for shape in ((_ROWS, _WIDTH), (_WIDTH, _WIDTH)))
        return f"{_rate(lambda: left @ right):.2f} numpy {numpy.__version__}"
    found = None if what == "mlx" else front.load(next(lane for lane in lanes() if lane.library == what))
    mx = importlib.import_module("mlx.core")
    left, right = mx.ones((_ROWS, _WIDTH)), mx.ones((_WIDTH, _WIDTH))
    detail = f"{found.version}, {found.kernel} kernels, {found.lane.file}" if found else str(mx.default_device())
    return f"{_rate(lambda: mx.eval(left @ right)):.2f} {detail}"


def _rate(multiply: Callable[[], Any]) -> float:
    """The best of what fits into half a second: what else the machine does only ever slows it."""
    multiply()
    best, end = float("inf"), time.perf_counter() + _SECONDS
    while (begin := time.perf_counter()) < end:
        multiply()
        best = min(best, time.perf_counter() - begin)
    return 2e-9 * _ROWS * _WIDTH * _WIDTH / best
