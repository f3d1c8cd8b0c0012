"""Strict or fast: whose linear algebra MLX computes with on a Linux CPU.

MLX's wheel brings the reference BLAS: a twentieth of what the processor can do, but the same bits for every batch
and every process. That is *strict*. *Fast* puts an OpenBLAS in front of it that the installation carries anyway,
with one thread: answers that differ by some 1e-6, and that depend on the processor and on the size of the batch.

It has to be in front before anything imports `mlx.core`, and stays there for the life of the process. Importing this
package loads neither MLX nor any BLAS.
"""

from __future__ import annotations

from harness.numerics.front import FAST, STRICT, active, facts, put_in_front
from harness.numerics.libraries import Lane, lanes
from harness.numerics.speed import Speed, speeds

__all__ = ["FAST", "STRICT", "Lane", "Speed", "active", "facts", "lanes", "put_in_front", "speeds"]
