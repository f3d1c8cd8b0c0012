"""Looks at the files of models by what they hold, whatever they are called: nothing in them is loaded or run.

model_files: {paths: [../models], exclude: ["models/old/**"]}

Of a check with a model, the folder of its weights is looked at too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module, metadata
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from evaluators.security import files as walking
from evaluators.security import model_files_archives as archives
from evaluators.security import model_files_configs as configs
from evaluators.security import model_files_gguf as gguf
from evaluators.security import model_files_pickle as pickles
from evaluators.security import model_files_safetensors as safetensors
from evaluators.security.finding import Finding, Look, Scanned, identify
from harness.codec import digest_of

SCHEMA: dict[str, Any] = {
    "properties": {"paths": walking.PATHS, "exclude": walking.EXCLUDE},
}
VERSION = 1
"""Raised whenever the same file may get other findings."""

_RULES = {
    "safetensors-header": ("high", "a safetensors file whose header can't be what it says, or that is none"),
    "safetensors-layout": ("high", "tensors that overlap, leave gaps or lie beyond the end of a safetensors file"),
    "safetensors-shape": ("medium", "tensors whose bytes are not those of their shape and dtype"),
    "safetensors-keys": ("high", "a safetensors file with a name that is there twice"),
    "gguf-header": ("high", "a GGUF file whose counts, lengths or types can't be"),
    "gguf-layout": ("high", "tensors that overlap or lie beyond the end of a GGUF file"),
    "gguf-keys": ("high", "a GGUF file with a name that is there twice"),
    "pickle": ("medium", "a pickle that holds numbers only, as far as its instructions tell"),
    "pickle-import": ("high", "a pickle that imports what nobody vouches for"),
    "pickle-code": ("critical", "a pickle that reaches the system, the network or code"),
    "pickle-broken": ("high", "a pickle that can't be followed to its end"),
    "disguised": ("high", "a pickle under a name that promises something else"),
    "numpy-objects": ("high", "a NumPy array of objects, which is a pickle inside"),
    "custom-code": ("high", "a configuration that has Python run when the model is opened"),
    "python": ("medium", "Python among weights"),
    "script": ("medium", "a script among weights"),
    "executable": ("high", "a program or library in machine code among models"),
    "archive-path": ("high", "an archive that would unpack outside of its folder, or has a name twice"),
    "archive-bomb": ("medium", "an archive that would grow beyond measure"),
    "archive-closed": ("medium", "an archive of a kind that can't be looked into"),
    "pointer": ("low", "a pointer to a file instead of the file"),
}
_FIXES = {
    "safetensors": "Don't open it; get it anew from whoever made it, and compare digests.",
    "gguf": "Don't open it; get it anew from whoever made it, and compare digests.",
    "pickle": "Save the weights as safetensors (`safetensors.torch.save_file`), and delete the pickle.",
    "disguised": "Delete it, and find out who named it so.",
    "numpy": "Save plain arrays (`allow_pickle=False`), or safetensors.",
    "custom": "Take the key out, and use an architecture that the library itself has; or read that code and allow it.",
    "python": "Move code out of the folder of weights, or read it and allow it.",
    "script": "Move it out of the folder of weights, or read it and allow it.",
    "executable": "Delete it; models need no machine code.",
    "archive": "Unpack it where it can do no harm, and keep the files themselves.",
    "pointer": "Run `git lfs pull`, and scan what comes.",
}
_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt", ".npz", ".npy", ".h5", ".keras", ".onnx", ".mlx")
_PICKLES = frozenset(
    {
        "",
        ".bin",
        ".bz2",
        ".gz",
        ".xz",
        ".z",
        ".ckpt",
        ".dat",
        ".data",
        ".dill",
        ".joblib",
        ".mar",
        ".nemo",
        ".p",
        ".pickle",
        ".pkl",
        ".pt",
        ".pth",
        ".zip",
    }
)
_PROGRAMS = {
    b"\x7fELF": "a Linux program or library", b"\0asm": "a WebAssembly program",
    b"\xfe\xed\xfa\xce": "a macOS program", b"\xfe\xed\xfa\xcf": "a macOS program",
    b"\xce\xfa\xed\xfe": "a macOS program", b"\xcf\xfa\xed\xfe": "a macOS program",
    b"\xca\xfe\xba\xbe": "a macOS program or a Java class", b"\xca\xfe\xba\xbf": "a macOS program",
}  # fmt: skip
_CLOSED = {
    b"7z\xbc\xaf\x27\x1c": "7-Zip", b"Rar!\x1a\x07": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard", b"\x04\x22\x4d\x18": "LZ4",
}  # fmt: skip
_OBJECTS = re.compile(rb"""['"][|<>=]?O\d*['"]""")
_HDF = (0, *(512 << n for n in range(7)))
"""Where HDF files may begin."""
_IN = "\0"
"""Stands between an archive and what is in it."""
_HEAD = 1 << 16
_NESTED = 3
_FICKLED = 1 << 20
"""Bytes of a pickle that fickling is asked about."""


class Named(NamedTuple):
    """A file, and how findings tell where it is."""

    file: Path
    shown: str


class Told(NamedTuple):
    """What was found, while it is being found."""

    findings: list[Finding]
    unread: list[tuple[str, str]]


def rules() -> Mapping[str, str]:
    return {rule: what for rule, (_, what) in _RULES.items()}


def version() -> str:
    return f"model_files {VERSION}" + (f" with fickling {metadata.version('fickling')}" if _fickling() else "")


def subjects(options: Mapping[str, Any], root: Path, look: Look) -> list[Path]:
    return with_folder(walking.walk(root, options.get("paths", ()), options.get("exclude", ())), folder(look))


def with_folder(found: walking.Walked, named: Iterable[Named]) -> walking.Walked:
    """These files, and those of the model's folder, in their order."""
    found.extend({each.file for each in named}.difference(found))
    found.sort(key=os.fspath)
    return found


def besides(options: Mapping[str, Any], look: Look) -> str:
    """What the files of the model's folder are called there: in a hub's cache, that is not where they are."""
    return digest_of([[named.file.name, named.shown] for named in folder(look)])


def scan(options: Mapping[str, Any], root: Path, files: Sequence[Path], look: Look) -> Scanned:
    told = Told([], [])
    names = names_of(look)
    weights = {file.parent for file in files if file.suffix.lower() in _WEIGHTS}
    for file in files:
        for shown in names.get(file) or [walking.shown(file, root)]:
            try:
                _look(Named(file, shown), file in names or not weights.isdisjoint(file.parents), told)
            except (OSError, ValueError, walking.Unreadable) as error:
                told.unread.append((shown, str(getattr(error, "strerror", None) or error)[:200]))
    return Scanned(told.findings, told.unread)


def names_of(look: Look) -> dict[Path, list[str]]:
    """What the files of the model's folder are called there: in a hub's cache one may have several names."""
    names: dict[Path, list[str]] = {}
    for named in folder(look):
        names.setdefault(named.file, []).append(named.shown)
    return names


def folder(look: Look) -> Iterator[Named]:
    """The files of the model's folder. In a hub's cache they are links to where it keeps all files: there they are."""
    if look.model_folder is None:
        return
    top = Path(os.path.abspath(look.model_folder))
    hub = top.parent.parent
    home = (hub / "blobs").resolve() if top.parent.name == "snapshots" else None
    for count, (file, shown) in enumerate(_within(top)):
        if count >= walking.MOST:
            raise walking.Unreadable(f"`{top.name}` has more than {walking.MOST:,} files")
        kept = file.resolve() if file.is_symlink() else file
        if kept != file and (home is None or not kept.is_relative_to(home)):
            raise walking.Unreadable(f"`{shown}` is a link that leads out of the model's folder")
        if not kept.is_file():
            raise walking.Unreadable(f"`{shown}` is no regular file")
        yield Named(kept, shown)


def _within(top: Path) -> Iterator[Named]:
    """Everything below a folder that is no folder itself; a link is none, whatever it leads to."""

    def stop(error: OSError) -> None:
        raise walking.Unreadable(f"a folder of `{top.name}` can't be read: {error.strerror}")

    for place, folders, names in os.walk(top, onerror=stop):
        links = [name for name in folders if Path(place, name).is_symlink()]
        folders[:] = sorted(name for name in folders if name != ".git" and name not in links)
        for name in sorted([*names, *links]):
            file = Path(place, name)
            yield Named(file, walking.shown(Path(top.name, file.relative_to(top)), Path()))


def _look(named: Named, among_weights: bool, told: Told) -> None:
    size = named.file.stat().st_size
    with named.file.open("rb") as opened:
        start = opened.read(_HEAD)
    suffix = Path(named.shown).suffix.lower()
    _programs(named.shown, start, among_weights, told)
    _configs(named, told)
    if suffix == ".safetensors" or safetensors.is_safetensors(start, size):
        _safetensors(named, told)
    if start.startswith(b"GGUF") or suffix == ".gguf":
        for rule, what in gguf.read(named.file).faults:
            _tell(told, rule, named.shown, what)
    beginning = start
    if pickles.may_be(start, size):
        with named.file.open("rb") as opened:
            start = opened.read(pickles.MOST)
    with named.file.open("rb") as opened:
        if safetensors.is_safetensors(beginning, size) and not pickles.is_code(start):
            if archives.ends_as_zip(opened):
                _archive(named.shown, opened, "zip", 0, told)
            return  # its first bytes are a number, which may read as anything
        _content(named.shown, start, len(start) == size, opened, 0, told)


def _content(name: str, start: bytes, whole: bool, opened: Any, depth: int, told: Told) -> None:
    """A file, or something inside of one, by its bytes."""
    how = archives.kind(start)
    ends = how != "zip" and archives.ends_as_zip(opened)
    closed = next((kind for sign, kind in _CLOSED.items() if start.startswith(sign)), "")
    if depth and start[:4] in _PROGRAMS:
        _tell(told, "executable", name, f"it is {_PROGRAMS[start[:4]]}")
    if pickles.is_pickle(start):  # whatever it may be besides
        _pickle(name, start, whole, told)
    if ends and depth < _NESTED:
        _archive(name, opened, "zip", depth, told)
        opened.seek(0)
    if closed or ((how or ends) and depth >= _NESTED):
        what = f"it is packed as {closed}" if closed else "it is an archive in an archive in an archive"
        _tell(told, "archive-closed", name, f"{what}, and was not looked into")
    elif how in ("zip", "tar"):
        _archive(name, opened, how, depth, told)
    elif how:
        _compressed(name, opened, how, depth, told)
    elif start.startswith(b"\x93NUMPY"):
        if _OBJECTS.search(_numpy_header(start)):
            _tell(told, "numpy-objects", name, "it holds objects, and opening them runs a pickle")
    elif _is_hdf(start):
        if configs.has_code(opened):
            _tell(told, "custom-code", name, "a Keras layer in it is Python code")
    elif start.startswith(b"version https://git-lfs"):
        _tell(told, "pointer", name, "it is a pointer of Git LFS, not the file itself")


def _is_hdf(start: bytes) -> bool:
    return any(start[at : at + 8] == b"\x89HDF\r\n\x1a\n" for at in _HDF)


def _archive(name: str, opened: Any, how: str, depth: int, told: Told) -> None:
    for member in archives.members(opened, how, _worth_more):
        inside = f"{name}{_IN}{ascii(member.name)[1:-1][:200]}"
        if member.rule:
            _tell(told, member.rule, inside, member.fault)
            continue
        if member.fault:
            path, _, within = inside.partition(_IN)
            told.unread.append((path, f"{within} {member.fault}"))
        _member(inside, member, told)
        _content(inside, member.start, member.whole, BytesIO(member.start), depth + 1, told)


def _member(inside: str, member: archives.Member, told: Told) -> None:
    """What is told of something in an archive by its name."""
    if member.name.lower().endswith((".py", ".pyw")):
        _tell(told, "python", inside, "it is Python, which a reader that trusts the archive may run")
    if not _is_config(member.name) or member.fault:
        return
    try:
        if not member.whole:
            raise ValueError(f"it is larger than {len(member.start):,} bytes")
        for key in configs.code(member.start):
            _tell(told, "custom-code", inside, key.what)
    except ValueError as error:
        path, _, within = inside.partition(_IN)
        told.unread.append((path, f"{within} can't be read: {str(error)[:150]}"))


def _is_config(name: str) -> bool:
    return configs.is_config(re.split(r"[/\\]", name)[-1])


def _worth_more(name: str, start: bytes, size: int) -> bool:
    return pickles.may_be(start, size) or bool(archives.kind(start)) or _is_config(name) or _is_hdf(start)


def _compressed(name: str, opened: Any, how: str, depth: int, told: Told) -> None:
    try:
        data, whole = archives.unpacked(opened, how)
    except ValueError:
        if how == "zlib":  # two bytes that many files begin with
            return
        raise
    _content(name, data, whole, BytesIO(data), depth + 1, told)


def _safetensors(named: Named, told: Told) -> None:
    found = list(safetensors.faults(named.file))
    for rule, what in found[:20]:
        _tell(told, rule, named.shown, what)
    if len(found) > 20:
        _tell(told, found[20][0], named.shown, f"{len(found) - 20:,} faults more of its header")


def _numpy_header(start: bytes) -> bytes:
    """The words with which an array says what it holds."""
    wide = 2 if start[6:7] == b"\1" else 4
    length = int.from_bytes(start[8 : 8 + wide], "little")
    if 8 + wide + length > len(start):
        raise ValueError("its header is longer than any array needs")
    return start[8 + wide : 8 + wide + length]


def _pickle(name: str, data: bytes, whole: bool, told: Told) -> None:
    read = pickles.read(data, whole)
    by: dict[str, list[str]] = {}
    for each in read.imports:
        by.setdefault(pickles.danger(each), []).append(each.replace(" ", ".", 1))
    shown = ", ".join(ascii(each)[1:-1][:80] for each in [*by.get("dangerous", []), *by.get("unknown", [])][:6])
    if "dangerous" in by:
        _tell(told, "pickle-code", name, f"opening it imports {shown}{_fickled(data)}", mark=shown)
    elif "unknown" in by:
        _tell(told, "pickle-import", name, f"opening it imports {shown}{_fickled(data)}", mark=shown)
    elif not read.end:
        _tell(told, "pickle", name, "it is a pickle, which could run any code; this one seems to hold numbers only")
    if read.end:
        _tell(told, "pickle-broken", name, f"it is a pickle, and {read.end}; what it does up to there is done")
    suffix = Path(name).suffix.lower()
    if _IN not in name and suffix not in _PICKLES:
        _tell(told, "disguised", name, f"it is a pickle, and is called {suffix}")


def _programs(name: str, start: bytes, among_weights: bool, told: Told) -> None:
    if start[:4] in _PROGRAMS:
        _tell(told, "executable", name, f"it is {_PROGRAMS[start[:4]]}")
    elif start[:2] == b"MZ" and start[_offset(start) : _offset(start) + 4] == b"PE\0\0":
        _tell(told, "executable", name, "it is a Windows program or library")
    elif name.endswith(".pyc") and start[2:4] == b"\r\n":
        _tell(told, "executable", name, "it is compiled Python")
    elif among_weights and name.lower().endswith((".py", ".pyw")):
        _tell(told, "python", name, "it is Python, which a reader that trusts the folder may run")
    elif among_weights and (start[:2] == b"#!" or name.lower().endswith((".sh", ".bat", ".ps1", ".cmd"))):
        _tell(told, "script", name, "it is a script")


def _offset(start: bytes) -> int:
    return int.from_bytes(start[60:64], "little") if len(start) >= 64 else 0


def _configs(named: Named, told: Told) -> None:
    if configs.is_config(Path(named.shown).name):
        data = walking.read(named.file, configs.MOST)
        for key in configs.code(data):
            _tell(told, "custom-code", named.shown, key.what, key.line)


def _fickling() -> bool:
    return find_spec("fickling") is not None


def _fickled(data: bytes) -> str:
    """What fickling says of it, where it is installed; it reads more of some pickles, and of others nothing."""
    if not _fickling() or len(data) > _FICKLED:
        return ""
    try:
        analysis, fickle = import_module("fickling.analysis"), import_module("fickling.fickle")
        said = " ".join(str(analysis.check_safety(fickle.Pickled.load(data))).split())
    except Exception:  # an analyser of hostile files has many ways to fail, and only adds to what is known
        return ""
    return f"; fickling says: {said[:200]}" if said else ""


def _tell(told: Told, rule: str, path: str, what: str, line: int = 0, mark: str = "") -> None:
    """A finding in a file, or in what is packed in it."""
    severity, _ = _RULES[rule]
    path, _, within = path.partition(_IN)
    what, mark = (f"{within.replace(_IN, ' in it, ')}: {what}", f"{within} {mark or what}") if within else (what, mark)
    fix = _FIXES[rule.partition("-")[0]]
    id = identify(rule, path, mark or what)
    told.findings.append(
        Finding(rule=rule, severity=severity, path=path, line=line, what=what, fix=fix, id=id)  # type: ignore[arg-type]
    )
