"""Whether to believe a run, a page or a certificate: recomputed from the record, without the models."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from harness import __version__, rooms
from harness.certify import PLAN
from harness.codec import to_pretty_json
from harness.contract import Certificate, Report
from harness.ledger import FILE as OUTCOMES
from harness.pages import CERTIFICATE, NotARun, Run
from harness.proof import keyless, keys, signing
from harness.proof.held import Held, Unreadable, read_plain
from harness.proof.regrading import Problem, nameless, speaks_against, ungraded
from harness.proof.signing import BadSignature, sha256
from harness.store import ATTACHED, attached_at


class Asked(Struct, frozen=True, kw_only=True):
    """Whose word is wanted."""

    keys: Mapping[str, str] | None = None
    """The keys that are accepted, their names by their ids; without, any key is, and an unsigned run."""
    identity: str = ""
    issuer: str = ""
    """Of a signature without a key: whose it must be, and who says so."""
    signatures: bool = True
    """False where signatures are to be made anew, and those that are there don't matter."""
    now: datetime | None = None


class Examined(Struct, kw_only=True):
    """What became of it."""

    problems: list[Problem] = []
    notes: list[str] = []
    """What a reviewer must know who believes it."""
    certificate: Certificate | None = None
    data: bytes = b""
    """The certificate, as it is or was recomputed."""
    recomputed: bool = False
    key: str = ""
    """The id of the key that signed it."""
    vouched: str = ""
    """The name by which whoever asks knows that key, or the identity that sigstore found."""
    odd: dict[str, str] = {}
    """What lies in the folder that can't be signed, and what it is."""
    digests: dict[str, str] = {}
    """The sha256 of every file of the folder but its signatures."""


def problems(folder: Path, now: datetime | None = None) -> list[str]:
    """Why the run in `folder` is not to be believed; empty where it is."""
    return [str(problem) for problem in examine(folder, Asked(now=now)).problems]


def doubts(run: Run) -> list[str]:
    """What speaks against the record itself, whatever certificate was made of it."""
    return [str(problem) for problem in speaks_against(run)]


def examine(path: Path, asked: Asked | None = None) -> Examined:
    """A run's folder, its certificate, or a page in which its record travels."""
    asked = asked or Asked()
    found = Examined()
    look = _folder if path.is_dir() else _certificate if path.suffix.lower() == ".json" else _page
    try:
        found.problems += look(path.resolve(), asked, found)
    except Unreadable as why:
        found.problems.append(why.problem)
    except NotARun as error:
        file, _, what = str(error).partition(": ")
        found.problems.append(Problem(file, what))
    except Exception as error:
        # What was written by a run can be recomputed: what can't be was written by somebody else.
        what = f"it can't be recomputed: {type(error).__name__}: {error}"
        found.problems.append(Problem(f"{PLAN} and {OUTCOMES}" if path.is_dir() else path.name, what))
    return found


# ------------------------------------------------------------------------------------------- signatures


class _Claimed(Struct, frozen=True):
    """What a signature says, which holds by itself and has still to fit what is there."""

    file: str
    payload: bytes
    predicate: signing.Predicate


def _claims(read: Callable[[str], bytes | None], asked: Asked, found: Examined) -> Iterator[Problem | _Claimed]:
    """What the signatures beside a run say, and why one of them is not to be believed."""
    if not asked.signatures:
        return
    sealed, bundle = read(signing.FILE), read(signing.KEYLESS)
    if sealed is not None:
        yield _keyed(sealed, asked, found)
    elif asked.keys is not None:
        yield Problem(signing.FILE, "it is not there: the run is not signed by a key")
    if asked.identity and bundle is None:
        yield Problem(signing.KEYLESS, "it is not there: the run is not signed by an identity")
    elif asked.identity and bundle is not None:
        yield _by_identity(bundle, asked, found)
    elif bundle is not None:
        found.notes.append(f"{signing.KEYLESS} was not looked at: say whose it must be by --identity and --issuer")
    if sealed is None and bundle is None:
        found.notes.append("not signed: it hangs together, and anyone could have written it")


def _keyed(data: bytes, asked: Asked, found: Examined) -> Problem | _Claimed:
    try:
        signed = signing.unseal(data)
    except BadSignature as why:
        return Problem(signing.FILE, str(why))
    key = keys.short(signed.key)
    if asked.keys is not None and signed.key not in asked.keys:
        return Problem(signing.FILE, f"it is by the key {key}, which is none that is accepted")
    found.key = signed.key
    name = (keys.known_keys() if asked.keys is None else asked.keys).get(signed.key, "")
    found.vouched = name
    said = f"signed by {name}, key {key}" if name else f"signed by the key {key}, for which nobody here vouches"
    found.notes.append(said)
    return _Claimed(signing.FILE, signed.payload, signed.statement.predicate)


def _by_identity(data: bytes, asked: Asked, found: Examined) -> Problem | _Claimed:
    try:
        payload = keyless.unseal(data, asked.identity, asked.issuer)
        statement = signing.read_statement(payload)
    except (BadSignature, keyless.Unavailable) as why:
        return Problem(signing.KEYLESS, str(why))
    found.vouched = asked.identity
    found.notes.append(f"signed by {asked.identity}, as {asked.issuer} says")
    return _Claimed(signing.KEYLESS, payload, statement.predicate)


def _misfits(claimed: _Claimed, held: Held, found: Examined) -> Iterator[Problem]:
    """Where a folder is not what was signed."""
    for name, what in sorted(held.odd.items()):
        yield Problem(name, f"it is {what}, and nothing that could be signed")
    signed = claimed.predicate.files
    for name in sorted(signed.keys() | found.digests.keys()):
        if name not in signed:
            yield Problem(name, "it is not among the files that were signed")
        elif name not in found.digests:
            yield Problem(name, "it was signed, and is not there")
        elif signed[name] != found.digests[name]:
            yield Problem(name, "it is not what was signed")


def _untrue(claimed: _Claimed, certificate: Certificate, data: bytes, files: Mapping[str, str]) -> Iterator[Problem]:
    """Where what was signed of a run is not so."""
    said = {**claimed.predicate.files, **files}
    if signing.state(certificate, data, said, claimed.predicate.publicKey) != claimed.payload:
        yield Problem(claimed.file, "what it says of the run is not so, or of another run")


# ------------------------------------------------------------------------------------------- a run's folder


def _folder(folder: Path, asked: Asked, found: Examined) -> Iterator[Problem]:
    for name in (PLAN, OUTCOMES):
        if not any(os.path.lexists(folder / each) for each in (name, *signing.SIGNATURES)):
            raise NotARun(f"{name}: it is not there: {folder} is not a run folder, and there is no run in it")
    held = Held(folder)
    found.odd = held.odd
    claims: list[_Claimed] = []
    wrong = False
    for each in _claims(lambda name: held.read(name) if _there(held, name) else None, asked, found):
        if isinstance(each, Problem):
            wrong = True
            yield each
        else:
            claims.append(each)
    if claims or not asked.signatures:
        found.digests = held.digests()
    for problem in [problem for claimed in claims for problem in _misfits(claimed, held, found)]:
        wrong = True
        yield problem
    if wrong:
        return  # what was changed was changed by somebody: whether it still hangs together tells nothing
    run = Run(held.read(PLAN), held.read(OUTCOMES))
    yield from speaks_against(run)
    yield from _amounts(run, held, found)
    yield from _told(run, held)
    yield from _dated(CERTIFICATE, run.certificate, asked.now)
    for claimed in claims:
        yield from _untrue(claimed, run.certificate, run.certificate_data, {})
    found.digests = found.digests or held.digests()
    _recomputed(run, found)
    found.notes += _strange(held)


def _there(held: Held, name: str) -> bool:
    if name in held.odd:
        raise Unreadable(name, f"it is {held.odd[name]}")
    return name in held.files


def _recomputed(run: Run, found: Examined) -> None:
    found.certificate, found.data, found.recomputed = run.certificate, run.certificate_data, True
    if kinds := ungraded(run):
        found.notes.append(f"answers can't be graded again by these kinds, and were believed: {', '.join(kinds)}")
    if names := nameless(run):
        found.notes.append(f"the record does not say which model's digest answered in: {', '.join(names)}")


def _amounts(run: Run, held: Held, found: Examined) -> Iterator[Problem]:
    """Whether the certificate is what the record amounts to, byte for byte."""
    if not _there(held, CERTIFICATE):
        again = f"hallmark run --resume {shlex.quote(str(held.path))}"
        yield Problem(CERTIFICATE, f"it is not there: the run is unfinished, and `{again}` takes it up")
    elif other := _of_another(run):
        yield Problem(CERTIFICATE, other)
    elif held.read(CERTIFICATE) != run.certificate_data:
        yield Problem(CERTIFICATE, f"it is not what {PLAN} and {OUTCOMES} amount to")


def _of_another(run: Run) -> str:
    if run.plan.hallmark == __version__:
        return ""
    return f"Hallmark {run.plan.hallmark} wrote it and this is {__version__}: verify it with that"


def _told(run: Run, held: Held) -> Iterator[Problem]:
    if _of_another(run):
        return
    for file, room in _files_of_rooms().items():
        if file != CERTIFICATE and _there(held, file) and not _tells(room, run, held.read(file)):
            yield Problem(file, "it is not the report of this run; `hallmark report` writes it anew")
    for name in sorted(name for name in held.odd if name.partition("/")[0] == ATTACHED):
        yield Problem(name, f"it is {held.odd[name]}, and not the file that was attached")
    for name in sorted(name for name in held.files if name.startswith(f"{ATTACHED}/")):
        path = held.path / name
        stem, _, rest = path.name.partition(".")
        plain = stem + rest[rest.find(".") :] if "." in rest else stem
        if attached_at(path.parent, plain, held.read(name)) != path:
            yield Problem(name, "it is not the file that was attached")


def _files_of_rooms() -> dict[str, Report]:
    """The reports that a run has to tell again, by their file: not those that differ each time, or go elsewhere."""
    found = [rooms.report(name) for name in rooms.names(rooms.REPORTS)]
    return {
        room.FILE: room
        for room in found
        if getattr(room, "FILE", "") and getattr(room, "EXACT", True) and not getattr(room, "ON_REQUEST", False)
    }


def _tells(room: Report, run: Run, data: bytes) -> bool:
    same: Any = getattr(room, "same", None)
    return bool(same(run, data)) if same is not None else data == room.tell(run)


def _strange(held: Held) -> Iterator[str]:
    """Files that nothing here can recompute."""
    known = {PLAN, OUTCOMES, CERTIFICATE, *signing.SIGNATURES, *_files_of_rooms()}
    strange = sorted(name for name in held.files - known if not name.startswith(f"{ATTACHED}/"))
    if strange:
        more = f" and {len(strange) - 5} more" if len(strange) > 5 else ""
        yield f"not recomputed, since the record does not tell of it: {', '.join(strange[:5])}{more}"


def _dated(file: str, certificate: Certificate, now: datetime | None) -> Iterator[Problem]:
    now = now or datetime.now(UTC)
    if certificate.expires and now >= datetime.fromisoformat(certificate.expires):
        yield Problem(file, f"it expired on {certificate.expires}")
    moment = certificate.run.finished or certificate.run.started
    if moment and now < datetime.fromisoformat(moment):
        yield Problem(file, f"it is from the future, {moment}")


# ------------------------------------------------------------------------------------- a page, a certificate


def _beside(path: Path) -> Callable[[str], bytes | None]:
    """Reads a signature that lies beside a file that came alone."""

    def read(name: str) -> bytes | None:
        return read_plain(path.with_name(name), name) if os.path.lexists(path.with_name(name)) else None

    return read


def _page(path: Path, asked: Asked, found: Examined) -> Iterator[Problem]:
    data = read_plain(path, path.name, links=True)
    room, held = _travels(path, data)
    run = Run(held[PLAN], held[OUTCOMES])
    for doubt in speaks_against(run):
        yield Problem(path.name, f"{doubt.what} ({doubt.file} in it)")
    if other := _of_another(run):
        yield Problem(path.name, other)
    elif not _tells(room, run, data):
        yield Problem(path.name, "it is not the report of the run whose record it holds")
    yield from _dated(path.name, run.certificate, asked.now)
    files = {
        room.FILE: sha256(data),
        PLAN: sha256(held[PLAN]),
        OUTCOMES: sha256(held[OUTCOMES]),
        CERTIFICATE: sha256(run.certificate_data),
    }
    for each in _claims(_beside(path), asked, found):
        if isinstance(each, Problem):
            yield each
        elif each.predicate.files.get(room.FILE) != files[room.FILE]:
            yield Problem(path.name, f"it is not the {room.FILE} that {each.file} beside it speaks of")
        else:
            yield from _untrue(each, run.certificate, run.certificate_data, files)
    _recomputed(run, found)


def _travels(path: Path, data: bytes) -> tuple[Report, Mapping[str, bytes]]:
    """The record that travels in a page, and the room that told it."""
    why = "no record of a run travels in it: give the run's folder, its report.html or its certificate.json"
    for name in rooms.names(rooms.REPORTS):
        room = rooms.report(name)
        record_of: Any = getattr(room, "record_of", None)
        if record_of is None:
            continue
        try:
            held: Mapping[str, bytes] = record_of(data)
        except ValueError as error:
            if data[:64].lstrip().lower().startswith(b"<!doctype html"):
                why = str(error)
            continue
        if held.keys() >= {PLAN, OUTCOMES}:
            return room, held
    raise Unreadable(path.name, why)


def _certificate(path: Path, asked: Asked, found: Examined) -> Iterator[Problem]:
    if path.name in (PLAN, *signing.SIGNATURES):
        yield Problem(path.name, "it is a part of a run: give the run's folder")
        return
    lacking = [name for name in (PLAN, OUTCOMES) if not os.path.lexists(path.with_name(name))]
    data = read_plain(path, path.name, links=True)
    if not lacking:
        yield from _folder(path.parent, asked, found)
        if path.name != CERTIFICATE and data != found.data:
            yield Problem(path.name, f"it is not what {PLAN} and {OUTCOMES} beside it amount to")
        return
    why = f"alone it can't be recomputed: {' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not beside it"
    try:
        certificate = msgspec.json.decode(data, type=Certificate)
    except (ValueError, RecursionError):
        yield Problem(path.name, "it is no certificate that can be read")
        return
    if to_pretty_json(certificate) != data:
        yield Problem(path.name, "it is not written as Hallmark writes a certificate")
        return
    vouched = False
    for each in _claims(_beside(path), asked, found):
        if isinstance(each, Problem):
            yield each
        elif each.predicate.files.get(CERTIFICATE) != sha256(data):
            yield Problem(path.name, f"it is not the {CERTIFICATE} that {each.file} beside it speaks of")
        else:
            yield from _untrue(each, certificate, data, {})
            vouched = bool(found.vouched)
    if not vouched:
        yield Problem(path.name, f"{why}, and no key that is known here vouches for it")
        return
    yield from _dated(path.name, certificate, asked.now)
    found.certificate, found.data = certificate, data
    found.notes.append(f"not recomputed: {' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not beside it")
