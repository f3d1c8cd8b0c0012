"""A shared library without code: plain names, each with the address of a function that is loaded elsewhere.

The dynamic loader resolves what MLX's library imports (`cblas_sgemm` and 23 more) by asking the libraries in the
global scope before MLX's own dependencies. A library there that says "cblas_sgemm is at this address" decides what MLX
calls. OpenBLAS could say so itself if scipy's wheel hadn't prefixed its names (`scipy_cblas_sgemm`), a shim of jumps
could if there were a compiler. But a symbol may also be *absolute*: its value is its address, whatever library that is
in (glibc 2.28 and later; MLX's wheel asks for 2.35). So a symbol table is all there is to write, the same for every
processor. Addresses change with every process, so each writes its own: 1.2 KB.

The file, in ELF's own words (System V gABI, chapters 4 and 5), one segment that is never executable:

    header | 3 program headers | dynamic section | symbol table | hash table | names
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from struct import calcsize, pack

from harness.numerics.libraries import MACHINES

NAMES = (
    *("cblas_sgemm", "cblas_dgemm", "cblas_cgemm"),
    *("sgetrf_", "dgetrf_", "sgetri_", "dgetri_", "strtri_", "dtrtri_"),
    *("spotrf_", "dpotrf_", "sgeqrf_", "dgeqrf_", "sorgqr_", "dorgqr_"),
    *("ssyevd_", "dsyevd_", "cheevd_", "sgeev_", "dgeev_", "cgeev_"),
    *("sgesdd_", "dgesdd_", "cgesdd_"),
)
"""What MLX's library imports of BLAS and LAPACK; all of it comes from one library, or none."""

_HEADER, _SEGMENT, _ENTRY, _SYMBOL = "<16sHHIQQQIHHHHHH", "<IIQQQQQQ", "<qQ", "<IBBHQQ"

_READ_WRITE = 6
"""The loader writes addresses into the dynamic section; nobody executes anything."""


def signpost(addresses: Mapping[str, int]) -> bytes:
    """The file's bytes, to be loaded with RTLD_GLOBAL while what it points at stays loaded."""
    text, symbols = _symbols(addresses)
    hashes = _hash_table(1 + len(addresses))
    dynamic = calcsize(_HEADER) + 3 * calcsize(_SEGMENT)
    table = dynamic + 6 * calcsize(_ENTRY)
    names = table + len(symbols) + len(hashes)
    size = names + len(text)
    entries = [
        (4, table + len(symbols)),  # DT_HASH
        (5, names),  # DT_STRTAB
        (6, table),  # DT_SYMTAB
        (10, len(text)),  # DT_STRSZ
        (11, calcsize(_SYMBOL)),  # DT_SYMENT
        (0, 0),  # DT_NULL
    ]
    return b"".join(
        [
            _header(),
            _segment(1, 0, size, os.sysconf("SC_PAGE_SIZE")),  # PT_LOAD: all of it
            _segment(2, dynamic, len(entries) * calcsize(_ENTRY), 8),  # PT_DYNAMIC
            _segment(0x6474E551, 0, 0, 16),  # PT_GNU_STACK: a stack that is not executable
            *(pack(_ENTRY, *entry) for entry in entries),
            symbols,
            hashes,
            text,
        ]
    )


def _header() -> bytes:
    ident = b"\x7fELF" + bytes([2, 1, 1])  # 64 bits, little-endian, version 1
    shared, sizes = 3, (calcsize(_HEADER), calcsize(_SEGMENT), 3, 0, 0, 0)
    return pack(_HEADER, ident, shared, MACHINES[platform.machine()], 1, 0, calcsize(_HEADER), 0, 0, *sizes)


def _segment(kind: int, offset: int, size: int, align: int) -> bytes:
    return pack(_SEGMENT, kind, _READ_WRITE, offset, offset, offset, size, size, align)


def _symbols(addresses: Mapping[str, int]) -> tuple[bytes, bytes]:
    """The names, and a global, absolute function for each; the first symbol is empty by definition."""
    text, symbols = b"\0", bytes(calcsize(_SYMBOL))
    global_function, absolute = 0x12, 0xFFF1
    for name, address in addresses.items():
        symbols += pack(_SYMBOL, len(text), global_function, 0, absolute, address, 0)
        text += name.encode() + b"\0"
    return text, symbols


def _hash_table(count: int) -> bytes:
    """One bucket, in which every symbol is chained to the next: with so few, no hash is worth computing."""
    buckets, chain = [1], [0, *range(2, count), 0]
    return pack(f"<{2 + 1 + count}I", 1, count, *buckets, *chain)
