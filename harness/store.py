"""Files that are whole or absent, and folders that are built once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ATTACHED = "attached"
"""The folder of a run with files that its record only names."""


def attached_at(folder: Path, name: str, data: bytes) -> Path:
    """Where a file is kept whose name tells, from its second part on, what is in it: `locust.3fa1c5d20b1e.html`."""
    stem, dot, ending = name.partition(".")
    return folder / f"{stem}.{hashlib.sha256(data).hexdigest()[:12]}{dot}{ending}"


def write_whole(path: Path, data: bytes) -> None:
    """Write so that a reader sees the old file or the new one, never half: temporary file, fsync, rename."""
    name = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def point_at(link: Path, target: str) -> None:
    """Make `link` a symbolic link to `target`, replacing the old one in one step; what is no link is moved aside."""
    if link.is_dir() and not link.is_symlink():
        link.replace(link.with_name(f"{link.name}-{secrets.token_hex(4)}"))
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(target)
    os.replace(fresh, link)


def cache_folder() -> Path:
    """Where built models and read plans are kept between runs: HALLMARK_CACHE, or the user's cache folder."""
    named = os.environ.get("HALLMARK_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "hallmark"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hallmark"


def kept(key: str, make: Callable[[], bytes]) -> bytes:
    """What `make` gave under this key, in this run or an earlier one; what was damaged on the disk is made anew."""
    path = cache_folder() / "kept" / hashlib.sha256(key.encode()).hexdigest()
    if (known := _kept(key, path)) is not None:
        return known
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return make()
    with only_one(f"kept {key}"):
        if (known := _kept(key, path)) is not None:
            return known
        made = make()
        with contextlib.suppress(OSError):
            write_whole(path, _sealed(key, made) + made)
        return made


def _kept(key: str, path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        data = path.read_bytes()
        if data[:32] == _sealed(key, data[32:]):
            return data[32:]
    return None


def _sealed(key: str, data: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + data).digest()


@contextlib.contextmanager
def only_one(what: str) -> Iterator[None]:
    """One process at a time does this, the others wait."""
    import filelock

    locks = cache_folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(locks / hashlib.sha256(what.encode()).hexdigest()[:32]):
        yield


def built_folder(key: str) -> Path:
    """Where what is built under a key is kept."""
    return cache_folder() / "models" / key


_whole: set[Path] = set()
"""Folders that this process has found to be as they were built."""


def _is_whole(folder: Path) -> bool:
    """Whether a folder is there, and nothing in it is another than when it was built."""
    if folder in _whole and folder.is_dir():
        return True
    try:
        same = folder.is_dir() and _seal_of(folder).read_text() == _seal(folder)
    except OSError:
        return False
    if same:
        _whole.add(folder)
    return same


def _seal_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.seal")


def _seal(folder: Path) -> str:
    """Of every file's name and bytes."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            found.update(path.relative_to(folder).as_posix().encode() + b"\0")
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def build_once(key: str, build: Callable[[Path], None]) -> Path:
    """The folder of that key: one process builds it under a lock, in a folder beside, which then takes its name."""
    folder = built_folder(key)
    if _is_whole(folder):
        return folder
    import filelock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if not _is_whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
            for left in folder.parent.glob(f".{key}.*"):  # by a build that was killed: we hold the lock
                shutil.rmtree(left, ignore_errors=True)
            draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{key}."))
            try:
                build(draft)
                _seal_of(folder).write_text(_seal(draft))
                draft.chmod(0o755)
                os.replace(draft, folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return folder
