"""A model opened in this process, and the record of what it is and of what it computes with."""

from __future__ import annotations

import os
import time
from typing import Any, NamedTuple

from harness import provenance
from harness.codec import digest_of, plain
from harness.contract import Declared, Model, Numerics, Refused, Setting, Site
from harness.redaction import Redactor
from harness.shelf import open_model


class Opened(NamedTuple):
    model: Model
    setting: Setting
    seconds: float
    """That opening it took."""


def numerics_of(asked: Numerics, threads: int = 1) -> dict[str, Any]:
    """What this process computes with, put in place before any model is opened."""
    os.environ.setdefault("MLX_ENABLE_TF32", "0")
    if asked == "strict" and "LD_PRELOAD" not in os.environ:
        return {"numerics": "strict"}
    from harness import numerics

    why = numerics.put_in_front(threads) if asked == "fast" else None
    return {**numerics.facts(), **({"numerics_why": why} if why else {})}


def open_here(key: str, declared: Declared, site: Site, numerics: dict[str, Any]) -> Opened:
    begin = time.perf_counter()
    model = open_model(declared, site)
    if declared.was and model.digest != declared.was:
        raise Refused(f"it is not what it was in that run: {model.digest} answers now, and {declared.was} did then")
    facts = {**Redactor(os.environ, str)(plain(dict(model.facts()))), "digest": model.digest, "recipe": declared.recipe}
    setting = setting_of(key, {**facts, **provenance.backend(), **numerics, **provenance.machine()})
    return Opened(model, setting, time.perf_counter() - begin)


def setting_of(model: str, facts: dict[str, Any]) -> Setting:
    return Setting(id=digest_of([model, facts])[7:19], model=model, facts=facts)
