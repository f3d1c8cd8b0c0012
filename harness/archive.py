"""What is kept of the runs in a folder, in SQLite: one file beside them, written by one process at a time.

A run is written in one transaction: whoever dies leaves all of it or nothing. Rows carry what they say once as a whole,
with a checksum, so that damage is found and never believed; `harness.history` builds the file anew where it is.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import msgspec

from harness.contract import Previous, Ruling
from harness.trends import counts

if TYPE_CHECKING:
    import sqlite3

FILE = "history.sqlite"
LOCK = ".history.lock"
WAIT = 5.0
"""Seconds to wait for another process that writes."""
_T = TypeVar("_T")

_FIRST = (
    "CREATE TABLE runs (folder TEXT PRIMARY KEY, stamp TEXT NOT NULL, told BLOB, seal INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE asked (
        place INTEGER PRIMARY KEY, run TEXT NOT NULL, "check" TEXT NOT NULL, asked TEXT NOT NULL,
        claim INTEGER NOT NULL, promised INTEGER NOT NULL, file TEXT, ground TEXT, line BLOB NOT NULL,
        seal INTEGER NOT NULL, UNIQUE (run, "check"))""",
    "CREATE INDEX looks ON asked (asked, run) WHERE claim",
    'CREATE INDEX promises ON asked ("check") WHERE promised',
    "CREATE INDEX files ON asked (file) WHERE file IS NOT NULL",
    'CREATE INDEX figures ON asked ("check", ground) WHERE ground IS NOT NULL',
)
STEPS: tuple[tuple[str, ...], ...] = (_FIRST,)
"""What makes a file of each version out of one of the version before; an empty one has version 0."""

_ELSEWHERE = frozenset({3, 5, 6, 7, 8, 10, 13, 14, 22, 23})
"""What SQLite says where nothing is wrong with what is in the file: no leave, held, full, can't be read or opened."""
_TOO_SHORT = 522


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That a check was asked and judged."""

    run: str
    check: str
    asked: str
    """Digest of the question: the kind, its options, its cases, and what decides the models."""
    verdict: Ruling
    pledge: dict[str, Any]
    """What was promised of it before anyone looked."""
    claim: bool = True
    """Whether its verdict may have been wrong: the others are no looks, and kept for their figures."""
    figures: dict[str, float] = {}
    on: str = ""
    """Digest of what figures can be compared on: the machine, the numerics, and what was asked there."""
    models: dict[str, str] = {}
    """Digest of what decides each model, by role."""


class Kept(NamedTuple):
    """What is kept of a run."""

    folder: str
    """Empty of one that only a line of the old history tells of: what is known of it already stands."""
    stamp: str
    """Changes whenever its certificate is written again."""
    told: Previous | None
    """What it says of itself, where it came to its end."""
    lines: Sequence[Asked]


class Missing(Exception):
    """There is no history, or nothing in it yet."""


class Unavailable(Exception):
    """Why the history can't be read or written, though nothing may be wrong with it."""


class Unfit(Exception):
    """A history that can't be used as it is; `file` tells which it was, `to` what it is called from now on."""

    def __init__(self, why: str, to: str = f"{FILE}.damaged") -> None:
        super().__init__(why)
        self.to = to
        self.file = 0


_asked = msgspec.json.Decoder(Asked)
_told = msgspec.json.Decoder(Previous)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """What SQLite objects to, by what is to be done about it."""
    try:
        import sqlite3
    except ImportError:
        raise Unavailable("this Python has no sqlite3") from None
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None) or 0
        if code & 0xFF in _ELSEWHERE and code != _TOO_SHORT:
            raise Unavailable(str(error)) from None
        raise Unfit(f"it is damaged: {error}") from None
    except OSError as error:
        raise Unavailable(str(error.strerror)) from None
    except UnicodeEncodeError:
        raise Unavailable("a name in it is no text") from None
    except UnicodeDecodeError:
        raise Unfit("it is damaged: a text in it is none") from None


_ADD = """
    INSERT INTO asked (run, "check", asked, claim, promised, file, ground, line, seal)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, "check") DO NOTHING
"""
_REPLACE = """
    INSERT INTO asked (run, "check", asked, claim, promised, file, ground, line, seal)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, "check")
    DO UPDATE SET asked=excluded.asked, claim=excluded.claim, promised=excluded.promised,
                  file=excluded.file, ground=excluded.ground, line=excluded.line, seal=excluded.seal
"""


class Archive:
    """An open history."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        for setting in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "synchronous=NORMAL"):
            self._rows(f"PRAGMA {setting}")
        self.version: int = self._rows("PRAGMA user_version")[0][0]
        if self.version == 0 and self._rows("SELECT 1 FROM sqlite_schema LIMIT 1"):
            raise Unfit("it is none of ours")
        if self.version > len(STEPS):
            raise Unfit(f"a newer Hallmark wrote it, in version {self.version}", f"{FILE}.v{self.version}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with _said():
            return self._connection.execute(query, values).fetchall()

    @property
    def current(self) -> bool:
        return self.version == len(STEPS)

    def copy(self) -> Archive:
        """The same in memory, as of this version: nothing that is done to it is kept."""
        found = empty()
        with _said():
            self._connection.backup(found._connection)
        found.version = self.version
        found.migrate()
        return found

    # ------------------------------------------------------------------------------------------- written

    def migrate(self) -> None:
        for step in STEPS[self.version :]:
            for statement in step:
                self._rows(statement)
        if not self.current:
            self._rows(f"PRAGMA user_version={len(STEPS)}")
            self.version = len(STEPS)

    def add(self, kept: Iterable[Kept]) -> None:
        for each in kept:
            if each.folder:
                self._add_run(each)
            for line in each.lines:
                self._add_line(line, _REPLACE if each.folder else _ADD)

    def _add_run(self, kept: Kept) -> None:
        told = None if kept.told is None else msgspec.json.encode(kept.told)
        seal = _seal(kept.folder, told)
        query = "INSERT OR REPLACE INTO runs (folder, stamp, told, seal) VALUES (?, ?, ?, ?)"
        self._rows(query, kept.folder, kept.stamp, told, seal)

    def _add_line(self, line: Asked, query: str) -> None:
        data = msgspec.json.encode(line)
        file = line.pledge.get("file")
        ground = line.on if line.figures and counts(line.verdict) else None
        named = file if isinstance(file, str) else None
        asked = (line.run, line.check, line.asked, line.claim, bool(line.pledge))
        self._rows(query, *asked, named, ground, data, _seal(line.run, data))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self._rows("PRAGMA journal_mode=DELETE")  # whatever another tool made of it
        self._rows("BEGIN IMMEDIATE")
        yield
        self._rows("COMMIT")

    # ---------------------------------------------------------------------------------------------- read

    def whole(self) -> None:
        """Raises Unfit where something does not fit together."""
        if (said := self._rows("PRAGMA integrity_check(1)")) != [("ok",)]:
            raise Unfit(f"it is damaged: {said[0][0]}")

    def folders(self) -> dict[str, str]:
        """The runs that it knows, and what their certificates were when it took them in."""
        return dict(self._rows("SELECT folder, stamp FROM runs"))

    def claims(self) -> bool:
        return bool(self._rows("SELECT 1 FROM asked WHERE claim LIMIT 1"))

    def looks(self, asked: str) -> int:
        """In how many runs this was asked."""
        found: int = self._rows("SELECT count(DISTINCT run) FROM asked WHERE asked = ? AND claim", asked)[0][0]
        return found

    def first_promise(self, check: str, file: Any) -> Asked | None:
        """What was promised first of a check, or in the file that says it."""
        query = "SELECT place, run, line, seal FROM asked WHERE claim AND promised AND {} = ? ORDER BY place LIMIT 1"
        found = self._rows(query.format('"check"'), check)
        if isinstance(file, str):
            found += self._rows(query.format("file"), file)
        return _read(_asked, *min(found)[1:]) if found else None

    def figures(self, check: str, ground: str | None, most: int = 2**62) -> list[Asked]:
        """The last lines of a check whose figures count, on this ground, or on that of the last; the oldest first."""
        if ground is None:
            query = 'SELECT ground FROM asked WHERE "check" = ? AND ground IS NOT NULL ORDER BY place DESC LIMIT 1'
            if not (last := self._rows(query, check)):
                return []
            ground = str(last[0][0])
        query = 'SELECT run, line, seal FROM asked WHERE "check" = ? AND ground = ? ORDER BY place DESC LIMIT ?'
        return [_read(_asked, *row) for row in reversed(self._rows(query, check, ground, most))]

    def told(self) -> Iterator[tuple[str, Previous]]:
        """What the runs that came to their end said of themselves, the newest first."""
        query = "SELECT folder, told, seal FROM runs WHERE told IS NOT NULL ORDER BY folder DESC"
        with _said():
            rows = self._connection.execute(query)
            while row := rows.fetchone():
                yield row[0], _read(_told, *row)


def _seal(of: str, data: bytes | None) -> int:
    return zlib.crc32(data or b"", zlib.crc32(of.encode()))


def _read(decoder: msgspec.json.Decoder[_T], of: Any, data: Any, seal: Any) -> _T:
    if not isinstance(of, str) or not isinstance(data, bytes) or _seal(of, data) != seal:
        raise Unfit("it is damaged: a row is not as it was written")
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unfit("it is damaged: a row can't be read") from None


def empty() -> Archive:
    """A history in memory."""
    with _said():
        import sqlite3

        found = Archive(sqlite3.connect(":memory:", isolation_level=None))
    found.migrate()
    return found


@contextlib.contextmanager
def opened(path: Path, *, make: bool = False, wait: float | None = None) -> Iterator[Archive]:
    """The history in a file; where there is none yet, Missing, or one of version 0 to `make` it of."""
    with _said():
        try:
            there = os.lstat(path)
            if not stat.S_ISREG(there.st_mode):
                raise Unavailable("it is no plain file")
            if there.st_size == 1:  # SQLite takes a single byte for nothing at all
                unfit = Unfit("it is damaged: a single byte is left of it")
                unfit.file = there.st_ino
                raise unfit
        except FileNotFoundError:
            if not make:
                raise Missing from None
        import sqlite3

        connection = sqlite3.connect(path.absolute(), timeout=WAIT if wait is None else wait, isolation_level=None)
    try:
        found = Archive(connection)
        if not found.version and not make:
            raise Missing
        yield found
    except Unfit as unfit:
        unfit.file = _which(path)
        raise
    finally:
        connection.close()


def _which(path: Path) -> int:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return 0


def write(
    path: Path, kept: Sequence[Kept], everything: Callable[[], Sequence[Kept]], unfit: Unfit | None = None
) -> Unfit | None:
    """Take these runs in. What can't be used, as whoever read it may have found, is put aside and told.

    Where there was no history, or none that can be used, it begins with `everything`.
    """
    with _alone(path.parent):
        if unfit is None or unfit.file != _which(path):
            try:
                _add(path, kept, everything)
            except Unfit as found:
                unfit = found
            else:
                return None
        _put_aside(path, path.with_name(unfit.to))
        _add(path, kept, everything)
        return unfit


def _add(path: Path, kept: Sequence[Kept], everything: Callable[[], Sequence[Kept]]) -> None:
    with opened(path, make=True) as archive:
        if not archive.current and archive.version:
            _back_up(archive, path.with_name(f"{path.name}.v{archive.version}.bak"))
        before = everything() if archive.version == 0 else ()
        with archive.transaction():
            archive.migrate()
            archive.add(before)
            archive.add(kept)


def _back_up(archive: Archive, to: Path) -> None:
    """A copy beside, whole or not there."""
    draft = to.with_name(f".{to.name}.{secrets.token_hex(4)}")
    with _said():
        import sqlite3

        try:
            with contextlib.closing(sqlite3.connect(draft)) as copy:
                archive._connection.backup(copy)
            os.replace(draft, to)
        finally:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()


def _put_aside(path: Path, to: Path) -> None:
    """With its journal, and that first: a journal must never be met by another file than its own."""
    with _said():
        for ending in ("-journal", "-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{path}{ending}", f"{to}{ending}")


@contextlib.contextmanager
def _alone(runs: Path) -> Iterator[None]:
    """One process at a time writes, makes or puts aside the history of these runs."""
    with _said():
        handle = os.open(runs / LOCK, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
        try:
            end = time.monotonic() + WAIT
            while not _locked(handle):
                if time.monotonic() > end:
                    raise Unavailable("another process writes it")
                time.sleep(0.01)
        except BaseException:
            os.close(handle)
            raise
    try:
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EINTR):
            return False
        raise
    return True
