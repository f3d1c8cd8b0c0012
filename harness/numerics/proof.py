"""Whether a BLAS multiplies at all on this processor, tried before MLX is handed over to it.

OpenBLAS picks its kernels at run time, and some releases pick one that is wrong: 0.3.30, which scipy 1.17 carries,
answers float32 products with noise on ARM processors with SME, and says nothing.
"""

from __future__ import annotations

from ctypes import c_float, c_int
from typing import Any

_ROWS, _INNER, _COLUMNS = 17, 19, 23
_BY_ROWS, _AS_IS, _TRANSPOSED = 101, 111, 112


def multiplies(sgemm: Any) -> bool:
    """Small whole numbers, whose products and sums float32 holds exactly in any order; the right matrix both ways."""
    left = [[(3 * i + 5 * k) % 11 - 5 for k in range(_INNER)] for i in range(_ROWS)]
    right = [[(7 * k + 2 * j) % 13 - 6 for j in range(_COLUMNS)] for k in range(_INNER)]
    columns = [list(column) for column in zip(*right, strict=True)]
    expected = [float(sum(a * b for a, b in zip(row, column, strict=True))) for row in left for column in columns]
    return all(
        _product(sgemm, left, given, turned) == expected for given, turned in ((right, _AS_IS), (columns, _TRANSPOSED))
    )


def _product(sgemm: Any, left: list[list[int]], right: list[list[int]], turned: int) -> list[float]:
    """Into memory that holds no numbers, as MLX's does: it has to be overwritten, not added to."""
    a, b = (_flat([float(value) for row in matrix for value in row]) for matrix in (left, right))
    c = _flat([float("nan")] * (_ROWS * _COLUMNS))
    shape = (c_int(_ROWS), c_int(_COLUMNS), c_int(_INNER))
    sgemm.restype = None
    sgemm(_BY_ROWS, _AS_IS, turned, *shape, c_float(1), a, _INNER, b, len(right[0]), c_float(0), c, _COLUMNS)
    return list(c)


def _flat(values: list[float]) -> Any:
    return (c_float * len(values))(*values)
