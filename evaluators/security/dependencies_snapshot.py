"""Makes a file of advisories from a database in OSV's form: `python -m evaluators.security.dependencies_snapshot -h`.

The database is a folder of JSON or YAML files, such as a checkout of PyPA's, or a zip file of them, such as OSV's own
export. With `--lock` or by what is installed, only what concerns these packages is kept, and `covers` says so.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from packaging.utils import canonicalize_name

from evaluators.security import dependencies_environment as environment
from evaluators.security import dependencies_locks as locks
from evaluators.security.dependencies_advisories import FORM, Advisory, Snapshot, ranged

_ENDINGS = (".json", ".yaml", ".yml")


def main(words: list[str] | None = None) -> None:
    asked = _arguments().parse_args(words)
    names = None if asked.all else _names(asked.lock)
    advisories = [kept for each in records(asked.database) if (kept := _kept(each, names)) is not None]
    made = Snapshot(
        form=FORM,
        source=asked.source,
        taken=asked.taken,
        licence=asked.licence,
        covers="all" if names is None else sorted(names),
        advisories=sorted(advisories, key=lambda each: each.id),
    )
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dependencies_snapshot", description="Makes a file of advisories.")
    parser.add_argument("database", type=Path, help="a folder or a zip file of OSV records")
    parser.add_argument("--source", required=True, help="where the database is from, and which state of it")
    parser.add_argument("--licence", default="", help="under which licence it is")
    today = datetime.now(UTC).date().isoformat()
    parser.add_argument("--taken", default=today, help="the day on which the database was fetched; today unless told")
    parser.add_argument("--lock", type=Path, help="keep what concerns the packages of this lock file")
    parser.add_argument("--all", action="store_true", help="keep everything, not only what concerns what is installed")
    return parser


def _names(lock: Path | None) -> set[str]:
    if lock is None:
        installed, _ = environment.read(environment.metadata_files())
        return {each.name for each in installed}
    lock = lock.absolute()
    pinned = locks.read(locks.files_of(lock, lock.parent), lock.parent)
    return {canonicalize_name(each.name) for each in pinned}


def records(database: Path) -> Iterator[dict[str, Any]]:
    """Every record of a database; ValueError where one is none."""
    for name, data in _files(database):
        said = msgspec.json.decode(data) if name.endswith(".json") else msgspec.yaml.decode(data)
        if not isinstance(said, dict):
            raise ValueError(f"{name} is no advisory")
        if "affected" in said:
            yield said


def _files(database: Path) -> Iterator[tuple[str, bytes]]:
    if database.is_dir():
        for file in sorted(database.rglob("*")):
            if file.suffix in _ENDINGS and file.is_file():
                yield file.name, file.read_bytes()
        return
    with zipfile.ZipFile(database) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(_ENDINGS):
                yield name, archive.read(name)


def _kept(record: dict[str, Any], names: set[str] | None) -> Advisory | None:
    """The part of a record that concerns these packages."""
    if record.get("withdrawn"):
        return None
    said = {**record, "summary": str(record.get("summary", ""))}
    said["database_specific"] = {
        key: value for key, value in record.get("database_specific", {}).items() if key == "severity"
    }
    advisory = msgspec.convert(said, Advisory, strict=False)
    advisory.affected = [
        each
        for each in advisory.affected
        if each.package.ecosystem == "PyPI" and (names is None or canonicalize_name(each.package.name) in names)
    ]
    for affected in advisory.affected:
        affected.ranges = [each for each in affected.ranges if each.type != "GIT"]
        affected.versions = [each for each in affected.versions if not ranged(affected, each)]
    return advisory if advisory.affected else None


if __name__ == "__main__":
    main()
