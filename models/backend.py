"""What MLX does in this process beside what it is asked to: whether it compiles, and leave to stop it for a while."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx

from harness.contract import Refused


def check_compiles() -> None:
    """Refused where mx.compile does nothing: then it calls a function each time, which it would else trace once."""
    calls = []

    def counted(x: mx.array) -> mx.array:
        calls.append(x.shape)
        return mx.exp(x) + 1

    compiled = mx.compile(counted)
    for _ in range(2):
        compiled(mx.array([0.0]))
    if len(calls) == 1:
        return
    if on_gpu() or shutil.which("g++"):
        raise Refused("mx.compile is switched off here, and leaving it out changes nothing; unset MLX_DISABLE_COMPILE")
    raise Refused("mx.compile does nothing here, since there is no C++ compiler; install g++")


@contextmanager
def uncompiled() -> Iterator[None]:
    """What mx.compile was given is computed step by step; for where it compiles."""
    mx.disable_compile()
    try:
        yield
    finally:
        mx.enable_compile()


def check_tf32() -> None:
    """Refused where MLX has no TF32 to compute with."""
    if not on_gpu() or not mx.cuda.is_available():
        raise Refused("TF32 is a matter of NVIDIA GPUs; here it changes nothing")


def on_gpu() -> bool:
    return mx.default_device().type == mx.DeviceType.gpu
