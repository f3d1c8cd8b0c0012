"""`hallmark schema` and `hallmark doctor`: what is here."""

from __future__ import annotations

import argparse
import os
import sys

from harness.verbs.given import Verb


def offer(verb: Verb) -> None:
    schema = verb("schema", _schema, "Print the JSON Schema of specs, for editors.")
    schema.add_argument("name", nargs="?", choices=["spec", "case", "outcome", "certificate"], default="spec")
    schema.add_argument("--write", action="store_true", help="write all of them to harness/schema in this checkout")
    verb("doctor", _doctor, "Say what is installed here and what this machine can measure.")


def _schema(given: argparse.Namespace) -> int:
    from harness.codec import to_pretty_json
    from harness.schemas import FOLDER, SCHEMAS

    if not given.write:
        sys.stdout.write(to_pretty_json(SCHEMAS[given.name]()).decode())
        return 0
    for name, make in SCHEMAS.items():
        path = FOLDER / f"{name}.json"
        path.write_bytes(to_pretty_json(make()))
        print(path)
    return 0


def _doctor(given: argparse.Namespace) -> int:
    import importlib

    from harness import numerics, provenance, rooms

    os.environ.setdefault("MLX_ENABLE_TF32", "0")
    facts = dict(provenance.machine())
    try:
        importlib.import_module("mlx.core").eval(importlib.import_module("mlx.core").ones(1))
        facts |= provenance.backend()
    except Exception as error:
        facts["mlx"] = f"not usable here ({error}); on Linux install mlx-hallmark[mlx], or [cuda12] or [cuda13]"
    groups = {"kinds": rooms.EVALUATORS, "sources": rooms.SOURCES, "variants": rooms.VARIANTS, "reports": rooms.REPORTS}
    facts |= {word: rooms.names(group) for word, group in groups.items()}
    for name, fact in facts.items():
        print(f"{name:<14} {', '.join(map(str, fact)) if isinstance(fact, list) else fact}")
    print("multiplication, 256 rows by 1024 x 1024 in float32, one thread; `--numerics fast` takes the first fast one:")
    for speed in numerics.speeds():
        rate = f"{speed.gflops:7.1f} GFLOP/s" if speed.gflops is not None else "      - "
        print(f"  {speed.name:<28} {rate}  {speed.detail}")
    if not numerics.lanes():
        print("  no fast BLAS is to be had here: `numerics: fast` computes as strict does, and says so")
    return 0
