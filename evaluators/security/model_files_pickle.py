"""What a pickle would import and call, told from its instructions: nothing is ever loaded."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

MOST = 64 << 20
"""Bytes of a pickle that are followed."""
_STEPS = 1_000_000
_STREAMS = 64
"""Pickles in a row, as PyTorch's old format has them."""
_SHORTEST = 4
"""Instructions that something has which is called a pickle without saying so in its first byte."""
_ENOUGH = 10_000
"""Instructions after which something is called a pickle that has not broken off."""

_PLAIN = {
    "builtins": {
        "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range", "set",
        "slice", "str", "tuple",
    },
    "_codecs": {"encode"},
    "collections": {"OrderedDict", "defaultdict", "deque", "Counter"},
    "copyreg": {"_reconstructor"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "joblib.numpy_pickle": {"NumpyArrayWrapper"},
    "torch._utils": {
        "_rebuild_parameter", "_rebuild_qtensor", "_rebuild_sparse_tensor", "_rebuild_tensor", "_rebuild_tensor_v2",
    },
    "torch": {"Size", "Tensor", "device"},
    "torch.nn.parameter": {"Parameter"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy._core.numeric": {"_frombuffer"},
}  # fmt: skip
"""What holds numbers, and does nothing else."""
_STORAGE = re.compile(r"(\w+Storage|float\d+\w*|bfloat16|u?int\d+|bool|complex\d+)\Z")
_OLD = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_DANGEROUS = frozenset(
    {
        "_io", "_pickle", "aiohttp", "asyncio", "bdb", "builtins", "cProfile", "cffi", "cloudpickle", "code",
        "codeop", "commands", "ctypes", "dill", "distutils", "doctest", "ensurepip", "fileinput", "ftplib",
        "functools", "gc", "glob", "http", "httpx", "idlelib", "imaplib", "importlib", "inspect", "io", "itertools",
        "lib2to3", "linecache", "logging", "marshal", "mmap", "multiprocessing", "nt", "ntpath", "numpy.f2py",
        "numpy.testing", "operator", "os", "pathlib", "pdb", "pickle", "pip", "pkgutil", "platform", "popen2",
        "poplib", "posix", "posixpath", "profile", "pty", "py_compile", "pydoc", "requests", "runpy", "setuptools",
        "shelve", "shutil", "signal", "site", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess",
        "sys", "tarfile", "telnetlib", "tempfile", "test", "threading", "timeit", "torch._inductor",
        "torch.distributed", "torch.hub", "torch.jit", "torch.serialization", "torch.utils", "trace", "types",
        "unittest", "urllib", "urllib3", "uuid", "venv", "webbrowser", "xmlrpc", "zipfile", "zipimport",
    }
)  # fmt: skip
"""Modules that reach the system, the network, other files or code, whichever name is taken of them."""
_CODES = frozenset(op.code for op in pickletools.opcodes)
_COUNTED = {ord("X"): 4, ord("T"): 4, ord("B"): 4, 0x8B: 4, 0x8D: 8, 0x8E: 8, 0x96: 8}
"""Instructions that begin with how many bytes follow, and the bytes in which they say so."""
_MARK = object()
_MADE_UP = "? ?"
"""The import of a name that is made up as the pickle is opened."""


class Read(NamedTuple):
    """What was told from a pickle."""

    imports: list[str]
    """`module name` each, in their order, once."""
    calls: bool
    """Whether anything is called."""
    runs: bool
    """Whether anything is called after an import whose name can be one, or is made up as it is opened."""
    end: str
    """Why it was not followed to its end; empty where it was."""
    steps: int


def may_be(start: bytes, size: int) -> bool:
    """Whether more should be read of something of this size: so far it goes as a pickle might."""
    if not start or not (start[0] == 0x80 or _known(start[0])):
        return False
    if start[0] in _COUNTED and int.from_bytes(start[1 : 1 + _COUNTED[start[0]]], "little") > size:
        return False
    stream = BytesIO(start)
    read = _stream(stream, _STEPS)
    return not read.end or stream.tell() >= len(start) or start[0] == 0x80 or bool(read.imports)


def is_pickle(start: bytes) -> bool:
    """By its first bytes where it says its protocol, else by whether it reads as the instructions of one."""
    return _begins(start[:3]) and (start[0] == 0x80 or _goes(_stream(BytesIO(start), _ENOUGH)))


def _begins(start: bytes) -> bool:
    if start[:1] == b"\x80":
        return len(start) > 2 and start[1] <= 5 and _known(start[2])
    return bool(start) and _known(start[0])


def _goes(read: Read) -> bool:
    """Whether what was read so is a pickle, and not a text that happens to begin like one."""
    if read.runs or read.steps > _ENOUGH:
        return True
    named = bool(read.imports) and all(_is_name(name) for name in read.imports)
    return not read.end and (named or read.steps >= _SHORTEST)


def is_code(start: bytes) -> bool:
    """Whether these bytes, whatever they may be besides, call what they import when they are read as a pickle."""
    read = _stream(BytesIO(start), _STEPS)
    return read.runs or read.steps > _STEPS


def read(data: bytes, whole: bool = True) -> Read:
    """All pickles in a row at the beginning of these bytes; `whole` where they are all that there is."""
    stream = BytesIO(data)
    found = _stream(stream, _STEPS)
    imports, calls, runs, end, steps = dict.fromkeys(found.imports), found.calls, found.runs, found.end, found.steps
    streams = 1
    while not end and _begins(data[stream.tell() : stream.tell() + 3]):
        said = data[stream.tell()] == 0x80
        found = _stream(stream, max(_STEPS - steps, _ENOUGH))
        if not said and not _goes(found):
            break
        streams += 1
        if streams > _STREAMS:
            end = f"more than {_STREAMS} pickles follow one another"
            break
        imports.update(dict.fromkeys(found.imports))
        calls, runs, end, steps = calls or found.calls, runs or found.runs, found.end, steps + found.steps
    if end and not whole:
        end = f"only its first {len(data):,} bytes were followed"
    return Read(list(imports), calls, runs, end, steps)


def danger(name: str) -> str:
    """`plain` what holds numbers only, `dangerous` what reaches the system, `unknown` the rest."""
    module, _, attribute = name.partition(" ")
    module = _OLD.get(module, module)
    if attribute in _PLAIN.get(module, ()) or (module in ("torch", "torch.storage") and _STORAGE.match(attribute)):
        return "plain"
    parts = module.split(".")
    if any(".".join(parts[: n + 1]) in _DANGEROUS for n in range(len(parts))):
        return "dangerous"
    return "unknown"


def _known(byte: int) -> bool:
    return chr(byte) in _CODES


def _is_name(name: str) -> bool:
    module, _, attribute = name.partition(" ")
    return all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")])


def _stream(stream: BytesIO, most: int) -> Read:
    """One pickle, with a stack that holds what is known of each value: a text, or nothing."""
    imports: dict[str, None] = {}
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    calls, named, runs, steps = False, False, False, 0
    try:
        for op, value, _ in _instructions(stream):
            steps += 1
            if steps > most:
                return Read(list(imports), calls, runs, f"it has more than {most:,} instructions", steps)
            said = _imported(op.name, value, stack)
            if said:
                imports[said] = None
                named = named or said == _MADE_UP or _is_name(said)
            _step(op, value, stack, memo)
            if op.name in ("REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"):
                calls, runs = True, runs or named
    except Exception as error:  # the reader of instructions has no one way to say that they are none
        return Read(list(imports), calls, runs, f"it breaks off: {str(error)[:80]}", steps)
    return Read(list(imports), calls, runs, "", steps)


def _instructions(stream: BytesIO) -> Iterator[tuple[Any, Any, int | None]]:
    yield from pickletools.genops(stream)


def _imported(op: str, value: Any, stack: list[Any]) -> str:
    if op in ("GLOBAL", "INST"):
        return str(value)
    if op == "STACK_GLOBAL":
        module, name = stack[-2:]
        return f"{module} {name}" if isinstance(module, str) and isinstance(name, str) else _MADE_UP
    return f"copyreg extension{value}" if op.startswith("EXT") else ""


def _step(op: Any, value: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    """What an instruction does to the stack; IndexError or KeyError where it can't be."""
    name = op.name
    if name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[value] = stack[-1]
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[value])
    elif name == "DUP":
        stack.append(stack[-1])
    elif name == "POP":
        stack.pop()
    else:
        _pop(op, stack)
        stack.extend(_pushed(op, value))


def _pop(op: Any, stack: list[Any]) -> None:
    before = op.stack_before
    if pickletools.markobject in before:
        while stack.pop() is not _MARK:
            pass
        before = before[: before.index(pickletools.markobject)]
    if len(before) > len(stack) or any(value is _MARK for value in stack[len(stack) - len(before) :]):
        raise IndexError(f"{op.name} finds too little on the stack")
    del stack[len(stack) - len(before) :]


def _pushed(op: Any, value: Any) -> list[Any]:
    if op.name == "MARK":
        return [_MARK]
    if op.stack_after and isinstance(value, str) and op.name not in ("GLOBAL", "INST", "PERSID"):
        return [value]
    return [None] * len(op.stack_after)
