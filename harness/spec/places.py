"""Where things are: the project's root, the specs in it, and the files a spec may name."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from harness.spec.faults import Page, SpecFaults, Spot, meant, refusal

ROOT_MARKS = (
    "pyproject.toml",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    "setup.cfg",
    ".git",
)
_SKIPPED = frozenset({"node_modules", "venv", "build", "dist", "runs", "__pycache__"})
_MARK = re.compile(rb"^(?:\xef\xbb\xbf)?(?:\{\s*)?[\"']?hallmark[\"']?\s*:", re.MULTILINE)
_LIST = re.compile(rb"(?:\xef\xbb\xbf)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*(?:-\s|\[)")
ENDINGS = (".yaml", ".yml")
OVER = ("certificate.yaml", "certificate.yml")
"""What a file is called that may stand over the specs beside and below it."""


def find_root(start: Path) -> Path:
    """The nearest folder above that looks like a project's, else the folder itself."""
    return next((folder for folder in (start, *start.parents) if marks_root(folder)), start)


def marks_root(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in ROOT_MARKS)


def find_specs(
    paths: Iterable[Path], *, skip: Callable[[Path], bool] = lambda path: False, strict: bool = False
) -> list[Path]:
    """Spec files at and below `paths`.

    A file named outright is a spec. In a folder a YAML file is one if a line of it starts with `hallmark:`, or if the
    folder holds such a file: one beside specs that is empty, say, is a mistake and no stranger. `strict` takes all YAML
    files but lists, which are cases.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            for folder in _folders(path, skip):
                found |= dict.fromkeys(_specs_in(folder, skip, strict))
        elif path.suffix in ENDINGS and not path.name.startswith("_") and (strict or _marked(path)):
            found[path] = None
    return list(dict.fromkeys(Path(os.path.abspath(path)) for path in found))


def _folders(top: Path, skip: Callable[[Path], bool]) -> Iterator[list[os.DirEntry[str]]]:
    """The folders at and below one, through links too, each once, as pytest walks them."""
    waiting, seen = [str(top)], set()
    while waiting:
        path = waiting.pop()
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(path) as entries:
                folder = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        yield folder
        waiting += [entry.path for entry in reversed(folder) if _walked(entry) and not skip(Path(entry.path))]


def _walked(entry: os.DirEntry[str]) -> bool:
    return _is_dir(entry) and not entry.name.startswith((".", "_")) and entry.name not in _SKIPPED


def _specs_in(folder: list[os.DirEntry[str]], skip: Callable[[Path], bool], strict: bool) -> list[Path]:
    texts = [Path(entry.path) for entry in folder if _named_like_a_spec(entry)]
    marks = {path: _marked(path) for path in texts if not skip(path)}
    if not strict and not any(marks.values()):
        return []
    return [path for path, marked in marks.items() if marked or not _listing(path)]


def _named_like_a_spec(entry: os.DirEntry[str]) -> bool:
    """A link that leads nowhere among them: it is told, not passed over."""
    named = entry.name.endswith(ENDINGS) and not entry.name.startswith(("_", "."))
    return named and (_is_file(entry) or (entry.is_symlink() and not _is_dir(entry)))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _marked(path: Path) -> bool:
    return _MARK.search(_head(path)) is not None


def _listing(path: Path) -> bool:
    """A file that starts a list, as case files do."""
    return _LIST.match(_head(path)) is not None


def _head(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        with path.open("rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


def resolve(raw: str, spot: Spot, root: Path, *, folder: bool | None = False, there: bool = True) -> Path:
    """The file that `raw`, written at `spot`, names: relative to where it is written, regular, and inside the root.

    With `there=False` it need not exist yet; with `folder=None` it may be either.
    """

    def refuse(what: str, instead: str) -> SpecFaults:
        return refusal(spot, "path", what, instead)

    if os.path.isabs(raw) or "\0" in raw:
        raise refuse(f"`{raw}` is not a relative path", "write it relative to this file")
    asked = Path(os.path.normpath(root / os.path.dirname(spot.page.name) / raw))
    if not asked.is_relative_to(root):
        raise refuse(f"`{raw}` leaves the project", "keep the file inside it")
    try:
        real = asked.resolve(strict=True)
        mode = real.stat().st_mode
    except FileNotFoundError:
        if not there:
            return asked
        raise refuse(f"there is no file `{raw}`", _near(asked)) from None
    except (OSError, RuntimeError) as error:
        raise refuse(
            f"`{raw}` can't be read: {getattr(error, 'strerror', None) or error}", "name a readable file"
        ) from None
    if not real.is_relative_to(root.resolve()):
        raise refuse(f"`{raw}` leads out of the project through a link", "copy the file into the project")
    if folder and not stat.S_ISDIR(mode):
        raise refuse(f"`{raw}` is not a folder", "name a folder")
    if folder is False and not stat.S_ISREG(mode):
        raise refuse(f"`{raw}` is not a file", "name a regular file")
    return asked


def _near(path: Path) -> str:
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in entries if _is_file(entry)]
    except OSError:
        return f"paths are relative to the file that names them, and there is no folder `{path.parent.name}/` there"
    ending = [name for name in names if name.startswith(f"{path.name}.")]
    if len(ending) == 1:
        return f"did you mean `{ending[0]}`?"
    said = meant(path.name, names[:200])
    return said if said.startswith("did") else "create it, or mend the path"


def read_file(path: Path, shown: str) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise refusal(Spot(Page(shown, ""), 1, 1), "path", "this is not a file", "name a regular file")
        return path.read_bytes()
    except OSError as error:
        raise refusal(Spot(Page(shown, ""), 1, 1), "path", f"the file can't be read: {error.strerror}") from None


def shown(path: Path, root: Path) -> str:
    """A path as ids and errors show it: from the root, with forward slashes."""
    path = Path(os.path.abspath(path))
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        raise refusal(
            Spot(Page(str(path), ""), 1, 1),
            "path",
            f"the spec is outside the project {root}",
            "run from the project's root",
        ) from None
