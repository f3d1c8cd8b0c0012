"""Signatures without a lasting key, by sigstore: whom they are by is an identity that a provider vouched for.

It takes our extra `sigstore`, and the network: to sign always, to verify where its roots were not fetched before.
"""

from __future__ import annotations

import logging
from typing import Any

from harness.proof.signing import PAYLOAD, BadSignature

NEEDS = "pip install 'mlx-hallmark[sigstore]'"


class Unavailable(Exception):
    """Why sigstore can't be used here and now, in one line."""


def sign(statement: bytes) -> bytes:
    """A bundle over a statement; it asks the user, or the CI that it runs in, who signs."""
    models, dsse, oidc, signing = (_part(name) for name in ("models", "dsse", "oidc", "sign"))
    try:
        trust = models.ClientTrustConfig.production()
        given = oidc.detect_credential()
        token = (
            oidc.IdentityToken(given) if given else oidc.Issuer(trust.signing_config.get_oidc_url()).identity_token()
        )
        with signing.SigningContext.from_trust_config(trust).signer(token) as signer:
            bundle = signer.sign_dsse(dsse.Statement(statement))
    except Exception as error:
        raise Unavailable(f"sigstore could not sign: {_line(error)}; nothing was written") from None
    return str(bundle.to_json()).encode()


def unseal(data: bytes, identity: str, issuer: str) -> bytes:
    """What a bundle signs, once sigstore found it to be by this identity; BadSignature and Unavailable say why not."""
    models, errors, policy, verify = (_part(name) for name in ("models", "errors", "verify.policy", "verify"))
    try:
        bundle = models.Bundle.from_json(data)
        spelled = str(bundle.to_json()).encode()
    except Exception as error:
        raise BadSignature(f"it is no bundle of sigstore's: {_line(error)}") from None
    if spelled != data:
        raise BadSignature("it is not written as sigstore writes it")
    try:
        verifier = verify.Verifier.production()
    except Exception as error:
        raise Unavailable(f"sigstore's roots could not be had: {_line(error)}") from None
    try:
        kind, payload = verifier.verify_dsse(bundle, policy.Identity(identity=identity, issuer=issuer))
    except errors.VerificationError as error:
        raise BadSignature(f"it is not by {identity} as {issuer} knows them: {_line(error)}") from None
    except Exception as error:
        raise BadSignature(f"it can't be checked: {_line(error)}") from None
    if kind != PAYLOAD:
        raise BadSignature(f"its payload is said to be {kind}, and not {PAYLOAD}")
    return bytes(payload)


def _part(name: str) -> Any:
    from importlib import import_module

    logging.getLogger("sigstore").setLevel(logging.CRITICAL)
    logging.getLogger("tuf").setLevel(logging.CRITICAL)
    try:
        return import_module(f"sigstore.{name}")
    except ImportError:
        raise Unavailable(f"signing without a key takes sigstore: {NEEDS}") from None


def _line(error: BaseException) -> str:
    """What happened in one line: the message, or the kind where there is none."""
    said = " ".join(str(error).split())
    return (said or type(error).__name__)[:300]
