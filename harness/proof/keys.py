"""Pairs of ed25519 keys: made, never overwritten, found by a file or by a name in the user's folder for settings."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DEFAULT = "default"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


class NoKey(Exception):
    """A key that is not there, or that can't be used: said in one line."""


def config_folder() -> Path:
    """Where keys are: HALLMARK_CONFIG, or the user's folder for settings."""
    named = os.environ.get("HALLMARK_CONFIG")
    if named:
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "hallmark"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "hallmark"


def key_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()


def short(id: str) -> str:
    return id[:16]


def new_key(name: str, folder: Path | None = None) -> tuple[Path, Path, str]:
    """Make a pair: the paths of the private and the public key, and its id. Neither is ever overwritten."""
    from cryptography.hazmat.primitives import serialization as spelling
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not _NAME.fullmatch(name):
        raise NoKey(f"`{name}` is no name for a key: write letters, digits, `_`, `-` and `.`, such as `{DEFAULT}`")
    if name.endswith((".pub", ".key")):
        raise NoKey(
            f"`{name}` is what a file is called: write a name, without {name[-4:]}, such as `{name[:-4] or DEFAULT}`"
        )
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

    if given and not Path(given).expanduser().is_file() and given.endswith(".pub"):
        raise NoKey(f"`{given}` is a public key's name: sign by the private one, {Path(given).stem}")
    path = _found(given or DEFAULT, ".key")
    data, mode = _read(path)
    if mode & 0o077 and b"PUBLIC KEY" not in data:
        raise NoKey(f"{path} can be read by others than its owner: `chmod 600` it, or make a new key")
    try:
        found = load_pem_private_key(data, password=None)
    except TypeError:
        raise NoKey(f"{path} is locked by a password, and there is no way to give one here") from None
    except Exception:
        if b"PUBLIC KEY" in data:
            raise NoKey(f"{path} holds a public key: sign by the private one, {path.stem}.key") from None
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
