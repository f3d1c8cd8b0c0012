"""Keys, and signatures of runs: an in-toto statement in a DSSE envelope, by ed25519.

Everything that is signed has one spelling, and what is not spelled so is refused: no byte of a signature is free.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from harness.codec import to_json, to_pretty_json
from harness.contract import Certificate
from harness.ledger import PLAN

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = "signature.json"
KEYLESS = "signature.sigstore.json"
SIGNATURES = (FILE, KEYLESS)
"""The files of a run that no signature speaks of."""
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:hallmark:certificate:1"
DEFAULT = "default"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")


class NoKey(Exception):
    """A key that is not there, or that can't be used: said in one line."""


class BadSignature(Exception):
    """Why a signature is not to be believed, of the file that holds it."""


class Subject(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    digest: dict[str, str]


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed of a certificate."""

    sha256: str
    schema: str
    status: str
    reason: str
    score: float
    expires: str | None


class Predicate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    certificate: Claim
    run: str
    hallmark: str
    models: dict[str, tuple[str, ...]]
    """What every model that answered said its digest is, by its key in the plan."""
    files: dict[str, str]
    """The sha256 of every file of the run's folder but its signatures, by path."""
    publicKey: str = ""  # noqa: N815 - a word of the file
    """The 32 bytes of the signer's key in base64, so that they are signed, too; empty where there is no lasting key."""


class Statement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: str = msgspec.field(name="_type")
    subject: tuple[Subject, ...]
    predicateType: str  # noqa: N815
    predicate: Predicate


class Signature(Struct, frozen=True, forbid_unknown_fields=True):
    keyid: str
    sig: str


class Envelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    payload: str
    payloadType: str  # noqa: N815
    signatures: tuple[Signature, ...]


class Signed(NamedTuple):
    """A signature that holds: the key's id, and what was signed, in its bytes too."""

    key: str
    statement: Statement
    payload: bytes


# ------------------------------------------------------------------------------------------- statements


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def state(certificate: Certificate, data: bytes, files: Mapping[str, str], public: str = "") -> bytes:
    """What is signed of a run: its certificate, whose bytes are `data`, and the digests of its files."""
    models = {
        key: tuple(digest for digest in made["digests"] if digest)
        for key, made in certificate.provenance["models"].items()
        if any(made["digests"])
    }
    found = [
        Subject(key, {"sha256": match[1]})
        for key, digests in sorted(models.items())
        for digest in digests
        if (match := _SHA256.fullmatch(digest))
    ]
    return to_json(
        Statement(
            type=STATEMENT,
            subject=tuple(found) or (Subject(PLAN, {"sha256": files[PLAN]}),),
            predicateType=PREDICATE,
            predicate=Predicate(
                certificate=Claim(
                    sha256=sha256(data),
                    schema=certificate.schema,
                    status=certificate.status,
                    reason=certificate.reason,
                    score=certificate.score,
                    expires=certificate.expires,
                ),
                run=certificate.run.id,
                hallmark=certificate.run.hallmark,
                models=models,
                files=dict(files),
                publicKey=public,
            ),
        )
    )


def read_statement(payload: bytes) -> Statement:
    """The statement that was signed; BadSignature where it is none of ours, or is spelled otherwise."""
    try:
        found = msgspec.json.decode(payload, type=Statement)
    except (ValueError, RecursionError) as error:
        raise BadSignature(f"what it signs is no statement of ours: {_line(error)}") from None
    if (found.type, found.predicateType) != (STATEMENT, PREDICATE):
        raise BadSignature(f"what it signs is a {found.predicateType} in a {found.type}, and no certificate")
    if to_json(found) != payload:
        raise BadSignature("what it signs is not written as Hallmark writes it")
    return found


def authenticated(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what the key signs, the type of the payload being part of it."""
    kind = PAYLOAD.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(certificate: Certificate, data: bytes, files: Mapping[str, str], private: Ed25519PrivateKey) -> bytes:
    """The signature file of a run. The same key always gives the same bytes."""
    public = private.public_key().public_bytes_raw()
    payload = state(certificate, data, files, _base64(public))
    signature = Signature(key_id(public), _base64(private.sign(authenticated(payload))))
    return to_pretty_json(Envelope(payload=_base64(payload), payloadType=PAYLOAD, signatures=(signature,)))


def unseal(data: bytes) -> Signed:
    """What a signature file says, its signature having been checked; BadSignature says why it is not to be believed."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        envelope = msgspec.json.decode(data, type=Envelope)
    except (ValueError, RecursionError) as error:
        raise BadSignature(f"it is no signature of ours: {_line(error)}") from None
    if to_pretty_json(envelope) != data:
        raise BadSignature("it is not written as Hallmark writes it")
    if envelope.payloadType != PAYLOAD:
        raise BadSignature(f"its payload is said to be {envelope.payloadType}, and not {PAYLOAD}")
    if len(envelope.signatures) != 1:
        raise BadSignature(f"it has {len(envelope.signatures)} signatures, and not one")
    payload, mark = _unbase64(envelope.payload), _unbase64(envelope.signatures[0].sig)
    statement = read_statement(payload)
    public = _unbase64(statement.predicate.publicKey)
    if len(public) != 32 or envelope.signatures[0].keyid != key_id(public):
        raise BadSignature("its key id is not the id of the key that it holds")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(mark, authenticated(payload))
    except (InvalidSignature, ValueError):
        raise BadSignature("the signature does not hold: it, or what it signs, was changed") from None
    return Signed(key_id(public), statement, payload)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    """Strictly: the last digit of base64 may hold bits that mean nothing, and they must be nought."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadSignature("part of it is not base64") from None
    if _base64(data) != text:
        raise BadSignature("part of it is not written as base64 is")
    return data


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


# ------------------------------------------------------------------------------------------------- keys


def config_folder() -> Path:
    """Where keys are: HALLMARK_CONFIG, or the user's folder for settings."""
    named = os.environ.get("HALLMARK_CONFIG")
    if named:
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "hallmark"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "hallmark"


def key_id(public: bytes) -> str:
    return sha256(public)


def short(id: str) -> str:
    return id[:16]


def new_key(name: str, folder: Path | None = None) -> tuple[Path, Path, str]:
    """Make a pair: the paths of the private and the public key, and its id. Neither is ever overwritten."""
    from cryptography.hazmat.primitives import serialization as spelling
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not _NAME.fullmatch(name):
        raise NoKey(f"`{name}` is no name for a key: write letters, digits, `_`, `-` and `.`, such as `{DEFAULT}`")
    folder = folder or config_folder()
    paths = folder / f"{name}.key", folder / f"{name}.pub"
    for path in paths:
        if os.path.lexists(path):
            raise NoKey(f"{path} is there already, and a key is never overwritten; choose another name")
    private = Ed25519PrivateKey.generate()
    plain = spelling.NoEncryption()
    secret = private.private_bytes(spelling.Encoding.PEM, spelling.PrivateFormat.PKCS8, plain)
    public = private.public_key().public_bytes(spelling.Encoding.PEM, spelling.PublicFormat.SubjectPublicKeyInfo)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(paths[0], secret, 0o600)
        try:
            _write_new(paths[1], public, 0o644)
        except BaseException:
            paths[0].unlink()
            raise
    except FileExistsError as error:
        raise NoKey(f"{error.filename} is there already, and a key is never overwritten") from None
    except OSError as error:
        raise NoKey(f"{folder} can't be written: {error.strerror}") from None
    return *paths, key_id(private.public_key().public_bytes_raw())


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """A whole new file; FileExistsError where there is one by this name already, whoever was quicker."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
            file.flush()
            os.fsync(handle)
        try:
            os.link(draft, path)
        except FileExistsError:
            raise FileExistsError(17, "File exists", str(path)) from None
    finally:
        draft.unlink()


def private_key(given: str | None) -> Ed25519PrivateKey:
    """The key to sign with, by its file or its name."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = _found(given or DEFAULT, ".key")
    data, mode = _read(path)
    if mode & 0o077:
        raise NoKey(f"{path} can be read by others than its owner: `chmod 600` it, or make a new key")
    try:
        found = load_pem_private_key(data, password=None)
    except TypeError:
        raise NoKey(f"{path} is locked by a password, and there is no way to give one here") from None
    except Exception:
        raise NoKey(f"{path} holds no private key in PEM, or only a part of one") from None
    if not isinstance(found, Ed25519PrivateKey):
        raise NoKey(f"{path} holds a key of another kind; make one by `hallmark key new`")
    return found


def public_key(given: str) -> tuple[str, str]:
    """The id of a public key, and what to call it, by its file or its name."""
    path = _found(given, ".pub")
    return _public_id(path), path.stem


def known_keys() -> dict[str, str]:
    """The names of the public keys in the folder for settings, by their ids; what can't be read is no key."""
    found: dict[str, str] = {}
    for path in sorted(config_folder().glob("*.pub")):
        with contextlib.suppress(NoKey):
            found.setdefault(_public_id(path), path.stem)
    return found


def _public_id(path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data, _ = _read(path)
    if b"PRIVATE KEY" in data:
        raise NoKey(f"{path} holds a private key: give the public one, {path.stem}.pub, and keep that to yourself")
    try:
        found = load_pem_public_key(data)
    except Exception:
        raise NoKey(f"{path} holds no public key in PEM, or only a part of one") from None
    if not isinstance(found, Ed25519PublicKey):
        raise NoKey(f"{path} holds a key of another kind, and signatures of runs are by ed25519")
    return key_id(found.public_bytes_raw())


def _found(given: str, ending: str) -> Path:
    """A key of this name in the folder for settings comes before a file: a checkout must not stand in front of it."""
    named = config_folder() / f"{given}{ending}"
    if _NAME.fullmatch(given) and named.is_file():
        return named
    path = Path(given).expanduser()
    if path.is_file():
        return path
    if given == DEFAULT:
        raise NoKey("there is no key here; `hallmark key new` makes one")
    raise NoKey(f"there is no key `{given}`: neither a file, nor {given}{ending} in {config_folder()}")


def _read(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise NoKey(f"{path} is no plain file")
            return file.read(1 << 16), mode
    except OSError as error:
        raise NoKey(f"{path} can't be read: {error.strerror}") from None
