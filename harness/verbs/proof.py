"""`hallmark verify`, `sign` and `key`: whether a run is to be believed, and who says so."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.verbs.given import USAGE, Mistake, Verb, add_run, run_folder

if TYPE_CHECKING:
    from harness.proof.verify import Examined


def offer(verb: Verb) -> None:
    made = verb("verify", _verify, "Recompute a run's certificate from its record, without the models.")
    made.add_argument(
        "run",
        nargs="?",
        default="runs/latest",
        metavar="RUN",
        help="a run folder, its report.html or its certificate.json (default: runs/latest)",
    )
    made.add_argument("--key", action="append", metavar="PUB", help="accept only what this key signed (repeatable)")
    made.add_argument("--identity", metavar="WHO", help="accept only what sigstore found to be signed by them")
    made.add_argument("--issuer", metavar="URL", help="who must have vouched for that identity")
    made.add_argument("--json", action="store_true", help="say it all as JSON")
    made = verb("sign", _sign, "Sign a run that verifies.")
    add_run(made)
    made.add_argument("--key", metavar="KEY", help="a private key, by its file or its name (default: default)")
    made.add_argument("--keyless", action="store_true", help="sign by an identity, through sigstore")
    made.add_argument("--again", action="store_true", help="replace the signature that is there")
    made = verb("key", _key, "Make a key to sign runs with, or list the keys that are known here.")
    made.add_argument("what", choices=["new", "list"])
    made.add_argument("name", nargs="?", metavar="NAME", help="what to call it (default: default)")
    made.add_argument("--to", metavar="DIR", help="where to put it, rather than in the folder for settings")


# ---------------------------------------------------------------------------------------------- verify


def _verify(given: argparse.Namespace) -> int:
    from harness.contract import EXIT
    from harness.proof.keys import NoKey, public_key
    from harness.proof.verify import Asked, examine

    if bool(given.identity) != bool(given.issuer):
        raise Mistake("an identity is what an issuer says it is: give --identity and --issuer together")
    try:
        accepted = None if given.key is None else dict(public_key(key) for key in given.key)
    except NoKey as why:
        raise Mistake(str(why)) from None
    path = Path(given.run) if Path(given.run).is_file() else run_folder(given.run)
    found = examine(path, Asked(keys=accepted, identity=given.identity or "", issuer=given.issuer or ""))
    if given.json:
        from harness.codec import to_pretty_json

        sys.stdout.write(to_pretty_json(_told(found)).decode())
    else:
        _say(found)
    return 1 if found.problems or found.certificate is None else EXIT[found.certificate.status]


def _say(found: Examined) -> None:
    for problem in found.problems:
        print(f"refused: {_inert(str(problem))}", file=sys.stderr)
    if found.problems or found.certificate is None:
        return
    word = "verified" if found.recomputed else "signed"
    print(f"{word}: {found.certificate.status}: {_inert(found.certificate.reason)}")
    for note in found.notes:
        print(_inert(note))


def _told(found: Examined) -> dict[str, object]:
    certificate = found.certificate
    believed = not found.problems and certificate is not None
    return {
        "believed": believed,
        "recomputed": found.recomputed and believed,
        "status": certificate.status if certificate and believed else None,
        "reason": certificate.reason if certificate and believed else None,
        "expires": certificate.expires if certificate and believed else None,
        "run": certificate.run.id if certificate and believed else None,
        "problems": [{"file": problem.file, "what": problem.what} for problem in found.problems],
        "notes": found.notes,
        "key": found.key or None,
        "vouched": found.vouched or None,
    }


def _inert(text: str) -> str:
    """One line, whatever is in it: no run may speak to a reader's terminal, or look like another line of ours."""
    from harness.spec.faults import visible

    return visible(text).replace("\n", "\\n")


# ------------------------------------------------------------------------------------------------ sign


def _sign(given: argparse.Namespace) -> int:
    from harness.proof import keyless, keys, signing
    from harness.proof.verify import Asked, examine
    from harness.store import write_whole

    if given.keyless and given.key:
        raise Mistake("--keyless takes no key")
    folder = run_folder(given.run).resolve()
    file = signing.KEYLESS if given.keyless else signing.FILE
    if (folder / file).exists() and not given.again:
        raise Mistake(f"{folder} is signed already: {file} is there; --again signs it anew")
    try:
        private = None if given.keyless else keys.private_key(given.key)
    except keys.NoKey as why:
        raise Mistake(str(why)) from None
    found = examine(folder, Asked(signatures=not given.again))
    for problem in found.problems:
        print(f"refused: {_inert(str(problem))}", file=sys.stderr)
    if found.problems or found.certificate is None:
        raise Mistake(f"{folder} is not signed: it is not to be believed", 1)
    if found.odd:
        name, what = next(iter(found.odd.items()))
        raise Mistake(f"{folder} is not signed: {name} in it is {what}; take it out", 1)
    try:
        if private is None:
            statement = signing.state(found.certificate, found.data, found.digests)
            data, by = keyless.sign(statement), "an identity of sigstore's"
        else:
            data = signing.seal(found.certificate, found.data, found.digests, private)
            by = f"the key {keys.short(signing.unseal(data).key)}"
        write_whole(folder / file, data)
    except keyless.Unavailable as why:
        raise Mistake(str(why), USAGE if keyless.NEEDS in str(why) else 1) from None
    except OSError as error:
        raise Mistake(f"{folder / file} can't be written: {error.strerror}") from None
    print(os.path.relpath(folder / file) if folder.is_relative_to(Path.cwd()) else folder / file)
    print(f"signed by {by}: {found.certificate.status}, {len(found.digests)} files")
    for note in found.notes:
        if note.startswith("not recomputed"):
            print(f"note: {_inert(note)}; it is signed as it is")
    return 0


# ------------------------------------------------------------------------------------------------- key


def _key(given: argparse.Namespace) -> int:
    from harness.proof import keys

    try:
        if given.what == "list":
            for id, name in keys.known_keys().items():
                print(f"{name:<24} {keys.short(id)}")
            return 0
        private, public, id = keys.new_key(given.name or keys.DEFAULT, Path(given.to) if given.to else None)
    except keys.NoKey as why:
        raise Mistake(str(why)) from None
    print(private)
    print(public)
    print(f"key {keys.short(id)}: keep the first to yourself, and give the second to whoever verifies")
    return 0
