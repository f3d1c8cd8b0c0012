"""Keys, and the signature file by itself: one spelling, one key, one statement."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.codec import to_json, to_pretty_json
from harness.contract import Certificate, RunFacts
from harness.proof import keyless, keys, signing
from harness.proof.keys import NoKey
from harness.proof.signing import BadSignature

DATA = b"{}\n"


def certificate(**models: list[str]) -> Certificate:
    run = RunFacts(id="r", started="", finished=None, seconds=None, hallmark="1", planned=1, measured=1, stopped=None)
    return Certificate(
        schema=Certificate.SCHEMA,
        status="certified",
        reason="all is well",
        run=run,
        checks=(),
        criteria=(),
        blockers=(),
        recommendations=(),
        score=100.0,
        score_meaning="",
        expires=None,
        waivers=(),
        locked=None,
        previous=None,
        notes=(),
        provenance={"models": {key: {"how": "x", "recipe": "", "digests": said} for key, said in models.items()}},
    )


FILES = {"plan.json": "0" * 64, "outcomes.jsonl": "1" * 64}


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HALLMARK_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def sealed() -> bytes:
    keys.new_key("default")
    return signing.seal(certificate(), DATA, FILES, keys.private_key(None))


def remade(sealed: bytes, change: Callable[[dict[str, Any]], None], *, key: str = "default") -> bytes:
    """The file with another statement in it, signed and spelled as it should be."""
    envelope = json.loads(sealed)
    said = json.loads(base64.b64decode(envelope["payload"]))
    change(said)
    payload = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
    mark = keys.private_key(key).sign(signing.authenticated(payload))
    envelope["payload"] = base64.b64encode(payload).decode()
    envelope["signatures"][0]["sig"] = base64.b64encode(mark).decode()
    return to_pretty_json(envelope)


# ------------------------------------------------------------------------------------------------ keys


def test_a_new_key_is_its_owners_alone_and_never_overwrites(config: Path) -> None:
    private, public, id = keys.new_key("alice")
    assert (private, public) == (config / "alice.key", config / "alice.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"BEGIN PRIVATE KEY" in private.read_bytes()
    assert b"BEGIN PUBLIC KEY" in public.read_bytes()
    assert keys.known_keys() == {id: "alice"}
    assert keys.public_key("alice") == (id, "alice")
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(NoKey, match="never overwritten"):
        keys.new_key("alice")
    assert (private.read_bytes(), public.read_bytes()) == before
    assert sorted(path.name for path in config.iterdir()) == ["alice.key", "alice.pub"]


def test_a_pair_of_which_half_is_there_is_left_alone(config: Path) -> None:
    config.mkdir()
    (config / "alice.pub").write_text("hers")
    with pytest.raises(NoKey, match=r"alice\.pub is there already"):
        keys.new_key("alice")
    assert [path.name for path in config.iterdir()] == ["alice.pub"]
    os.symlink("/nowhere", config / "bob.key")
    with pytest.raises(NoKey, match=r"bob\.key is there already"):
        keys.new_key("bob")


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b", "a b", "-x", "x" * 65, "a\n"])
def test_a_name_that_leads_elsewhere_is_no_name(name: str) -> None:
    with pytest.raises(NoKey, match="is no name for a key"):
        keys.new_key(name)


def test_where_keys_are_is_told_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HALLMARK_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert keys.config_folder() == tmp_path / "hallmark"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keys.config_folder() == tmp_path / ".config" / "hallmark"
    monkeypatch.setattr("sys.platform", "darwin")
    assert keys.config_folder() == tmp_path / "Library" / "Application Support" / "hallmark"


def test_a_private_key_that_others_can_read_signs_nothing(config: Path) -> None:
    private, _, _ = keys.new_key("default")
    for mode in (0o640, 0o604, 0o660, 0o644):
        private.chmod(mode)
        with pytest.raises(NoKey, match="can be read by others"):
            keys.private_key(None)
    private.chmod(0o400)
    assert keys.private_key(None)


def test_a_key_that_is_cut_off_at_any_place_is_told_in_one_line() -> None:
    private, public, _ = keys.new_key("default")
    whole = private.read_bytes(), public.read_bytes()
    for path, data, read in zip((private, public), whole, (keys.private_key, keys.public_key), strict=True):
        for cut in range(0, len(data) - 1, 7):
            path.write_bytes(data[:cut])
            with pytest.raises(NoKey, match="or only a part of one") as told:
                read("default")
            assert "\n" not in str(told.value)


def test_keys_of_another_kind_and_swapped_ones_are_refused(config: Path) -> None:
    from cryptography.hazmat.primitives import serialization as spelling
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    private, public, _ = keys.new_key("default")
    with pytest.raises(NoKey, match="holds a private key: give the public one"):
        keys.public_key(str(private))
    with pytest.raises(NoKey, match="holds a public key: sign by the private one"):
        keys.private_key(str(public))
    public.chmod(0o600)
    with pytest.raises(NoKey, match="holds a public key"):
        keys.private_key(str(public))
    other = X25519PrivateKey.generate()
    pem, pkcs8 = spelling.Encoding.PEM, spelling.PrivateFormat.PKCS8
    private.write_bytes(other.private_bytes(pem, pkcs8, spelling.NoEncryption()))
    with pytest.raises(NoKey, match="another kind"):
        keys.private_key(None)
    private.write_bytes(other.private_bytes(pem, pkcs8, spelling.BestAvailableEncryption(b"x")))
    with pytest.raises(NoKey, match="locked by a password"):
        keys.private_key(None)
    public.write_bytes(other.public_key().public_bytes(pem, spelling.PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(NoKey, match="another kind"):
        keys.public_key("default")
    assert keys.known_keys() == {}


def test_a_key_that_is_not_there_is_told_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(NoKey, match="`hallmark key new` makes one"):
        keys.private_key(None)
    with pytest.raises(NoKey, match="there is no key `carol`"):
        keys.public_key("carol")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NoKey, match="there is no key"):
        keys.public_key(str(tmp_path / "pipe"))


def test_a_file_of_a_checkout_does_not_stand_in_front_of_a_known_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, ours = keys.new_key("alice")
    _, theirs, _ = keys.new_key("mallory", tmp_path)
    monkeypatch.chdir(tmp_path)
    theirs.rename("alice")
    assert keys.public_key("alice")[0] == ours
    assert keys.public_key("./alice")[0] != ours


# ------------------------------------------------------------------------------------------- statements


def test_models_are_the_subjects_by_the_bytes_of_their_weights() -> None:
    weights = "sha256:" + "a" * 64
    said = json.loads(signing.state(certificate(m=[weights], echo=["echo"], none=[""]), DATA, FILES))
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "urn:hallmark:certificate:1"
    assert said["subject"] == [{"name": "m", "digest": {"sha256": "a" * 64}}]
    assert said["predicate"]["models"] == {"m": [weights], "echo": ["echo"]}
    assert said["predicate"]["certificate"]["sha256"] == signing.sha256(DATA)


def test_where_no_model_has_weights_the_plan_is_the_subject() -> None:
    for models in ({}, {"m": ["echo"]}, {"m": ["sha256:short"]}):
        said = json.loads(signing.state(certificate(**models), DATA, FILES))
        assert said["subject"] == [{"name": "plan.json", "digest": {"sha256": "0" * 64}}]


@given(st.binary(max_size=300))
def test_the_encoding_that_is_signed_can_be_read_in_one_way_only(payload: bytes) -> None:
    said = signing.authenticated(payload)
    assert said.endswith(payload)
    assert said[: len(said) - len(payload)] == b"DSSEv1 28 application/vnd.in-toto+json %d " % len(payload)


def test_what_was_signed_is_read_back_and_signing_twice_gives_the_same_bytes(sealed: bytes) -> None:
    signed = signing.unseal(sealed)
    assert signed.statement.predicate.files == FILES
    assert signed.key == keys.public_key("default")[0]
    assert signing.seal(certificate(), DATA, FILES, keys.private_key(None)) == sealed


def test_openssl_accepts_the_signature(sealed: bytes, config: Path, tmp_path: Path) -> None:
    envelope = json.loads(sealed)
    (tmp_path / "said").write_bytes(signing.authenticated(base64.b64decode(envelope["payload"])))
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    try:
        words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(config / "default.pub"), "-rawin"]
        ran = subprocess.run(
            [*words, "-in", "said", "-sigfile", "sig"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no openssl here")
    assert "Signature Verified Successfully" in ran.stdout + ran.stderr


def test_no_byte_of_a_signature_is_free(sealed: bytes) -> None:
    for at in range(len(sealed)):
        for mask in (1, 2, 4, 32, 128):
            broken = bytearray(sealed)
            broken[at] ^= mask
            with pytest.raises(BadSignature):
                signing.unseal(bytes(broken))
    for cut in range(len(sealed)):
        with pytest.raises(BadSignature):
            signing.unseal(sealed[:cut])
    for more in (b" ", b"\n", b"{}", b"\0"):
        with pytest.raises(BadSignature):
            signing.unseal(sealed + more)


def changed(sealed: bytes, old: str, new: str) -> bytes:
    assert old.encode() in sealed
    return sealed.replace(old.encode(), new.encode(), 1)


def test_an_envelope_of_another_shape_is_refused(sealed: bytes) -> None:
    envelope = json.loads(sealed)
    (mark,) = envelope["signatures"]
    payload = envelope["payload"]
    for other, why in {
        to_json(envelope): "not written as",
        to_pretty_json({**envelope, "signatures": [mark, mark]}): "has 2 signatures",
        to_pretty_json({**envelope, "signatures": []}): "has 0 signatures",
        to_pretty_json({**envelope, "payloadType": "text/plain"}): "payload is said to be text/plain",
        to_pretty_json({**envelope, "more": 1}): "no signature of ours",
        to_pretty_json({**envelope, "signatures": [{**mark, "cert": ""}]}): "no signature of ours",
        to_pretty_json({**envelope, "signatures": [{**mark, "keyid": "0" * 64}]}): "key id",
        to_pretty_json({**envelope, "signatures": [{**mark, "keyid": mark["keyid"].upper()}]}): "key id",
        to_pretty_json({**envelope, "signatures": [{**mark, "sig": ""}]}): "does not hold",
        to_pretty_json({**envelope, "payload": payload.rstrip("=") + " "}): "base64",
        changed(sealed, '"payloadType"', '"payloadType": "x",\n  "payloadType"'): "not written as",
        b"[" * 100_000: "no signature of ours",
        b"\xff": "no signature of ours",
    }.items():
        with pytest.raises(BadSignature, match=why):
            signing.unseal(other)


def test_bits_of_base64_that_mean_nothing_must_be_nought() -> None:
    keys.new_key("default")
    names = ("certified", "certified.", "certified..")  # one of them leaves padding
    for name in names:
        files = {**FILES, name: "2" * 64}
        envelope = json.loads(signing.seal(certificate(), DATA, files, keys.private_key(None)))
        for holder, key in ((envelope, "payload"), (envelope["signatures"][0], "sig")):
            text = holder[key]
            if text.endswith("="):
                digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                stem = text.rstrip("=")
                holder[key] = stem[:-1] + digits[digits.index(stem[-1]) + 1] + "=" * (len(text) - len(stem))
                assert base64.b64decode(holder[key]) == base64.b64decode(text)
                with pytest.raises(BadSignature, match="base64"):
                    signing.unseal(to_pretty_json(envelope))
                holder[key] = text


def test_a_statement_of_another_shape_is_refused_though_it_is_signed(sealed: bytes) -> None:
    def set_(*path: str) -> Callable[[dict[str, Any]], None]:
        def change(said: dict[str, Any]) -> None:
            for key in path[:-2]:
                said = said[key]
            said[path[-2]] = path[-1]

        return change

    assert signing.unseal(remade(sealed, lambda said: None))
    for change, why in (
        (set_("_type", "https://in-toto.io/Statement/v0.1"), "no certificate"),
        (set_("predicateType", "https://slsa.dev/provenance/v1"), "no certificate"),
        (set_("more", "x"), "no statement of ours"),
        (set_("predicate", "more", "x"), "no statement of ours"),
        (set_("predicate", "publicKey", "AAAA"), "key id"),
        (lambda said: said.pop("subject"), "no statement of ours"),
        (lambda said: said["predicate"].pop("publicKey"), "key id"),
        (lambda said: said.update({"_type": said.pop("_type")}), "not written as"),
    ):
        with pytest.raises(BadSignature, match=why):
            signing.unseal(remade(sealed, change))


def test_a_statement_by_another_key_than_it_names_is_refused(sealed: bytes) -> None:
    keys.new_key("mallory")
    with pytest.raises(BadSignature, match="does not hold"):
        signing.unseal(remade(sealed, lambda said: None, key="mallory"))


def test_a_duplicate_key_in_what_was_signed_is_refused(sealed: bytes) -> None:
    envelope = json.loads(sealed)
    payload = base64.b64decode(envelope["payload"]).replace(b'"run":"r"', b'"run":"x","run":"r"')
    mark = keys.private_key(None).sign(signing.authenticated(payload))
    envelope["payload"] = base64.b64encode(payload).decode()
    envelope["signatures"][0]["sig"] = base64.b64encode(mark).decode()
    with pytest.raises(BadSignature, match="not written as"):
        signing.unseal(to_pretty_json(envelope))


# ------------------------------------------------------------------------------------------- without a key


def test_without_sigstore_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sigstore", None)
    for act in (lambda: keyless.sign(b"{}"), lambda: keyless.unseal(b"{}", "a", "b")):
        with pytest.raises(keyless.Unavailable, match=r"pip install 'mlx-hallmark\[sigstore\]'"):
            act()


def test_what_sigstore_signs_is_a_statement_to_it() -> None:
    dsse = pytest.importorskip("sigstore.dsse")
    said = signing.state(certificate(m=["sha256:" + "a" * 64]), DATA, FILES)
    assert dsse.Statement(said)._contents == said
    assert signing.read_statement(said).predicate.publicKey == ""
    for data in (b"", b"{}", b"x"):
        with pytest.raises(BadSignature, match="no bundle"):
            keyless.unseal(data, "a", "b")
