"""Signatures of runs: an in-toto statement in a DSSE envelope, by ed25519.

Everything that is signed has one spelling, and what is not spelled so is refused: no byte of a signature is free.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from harness.codec import to_json, to_pretty_json
from harness.contract import Certificate
from harness.ledger import PLAN
from harness.proof.keys import key_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = "signature.json"
KEYLESS = "signature.sigstore.json"
SIGNATURES = (FILE, KEYLESS)
"""The files of a run that no signature speaks of."""
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:hallmark:certificate:1"
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")


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
