"""Other ways to ask a language model, an axis at a time: each gives a sibling that shares its network where it can."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import mlx.core as mx
from mlx_lm.models.cache import can_trim_prompt_cache, make_prompt_cache, trim_prompt_cache
from msgspec.structs import replace

from harness.codec import digest_of
from harness.contract import Refused
from models import weights
from models.backend import check_compiles, check_tf32, uncompiled
from models.language.opening import opened
from models.language.options import Way
from models.language.prefix import filled
from models.language.prompts import Asked
from models.language.saving import adapted, save
from models.language.writing import APART, Begun, Manner, Said, Speech, Write, apart, begun, packing, together
from models.quantized import put

if TYPE_CHECKING:
    from models.language.speaker import Speaker

Ways = Mapping[str, "Callable[[], Speaker]"]

_SPOKEN = 4
"""Tokens of an earlier answer that a cache is trimmed of."""
_GROUPS = (64, 32)
_ONE = "it answers one prompt at a time"


def ways(speaker: Speaker, axis: str, asked: Any) -> Ways:
    """What the model has to offer under an axis, nothing where it knows none; Refused where it can't be varied."""
    found = _AXES.get(axis)
    return found(speaker, asked) if found else {}


# ------------------------------------------------------------------------------------------ told otherwise


def _speculative(speaker: Speaker, asked: Any) -> Ways:
    if speaker.way.draft is None:
        raise Refused("it has no draft model; declare `generate: {draft: ...}`")
    return {"without the draft": partial(speaker.other, way=_without(speaker.way, "draft", "draft_tokens"))}


def _kv_bits(speaker: Speaker, asked: Sequence[int] | None) -> Ways:
    if speaker.way.kv_bits is not None:
        return {"unquantized": partial(speaker.other, way=_without(speaker.way, "kv_bits", "kv_group_size"))}
    return {f"{bits} bits": partial(speaker.other, way=_packed(speaker, bits)) for bits in asked or [8]}


def _packed(speaker: Speaker, bits: int) -> Way:
    """With a cache of so many bits, in the largest groups that the heads can be cut into."""
    large, small = (replace(speaker.way, kv_bits=bits, kv_group_size=size) for size in _GROUPS)
    try:
        speaker.other(way=large)
    except Refused:
        speaker.other(way=small)
        return small
    return large


def _seed(speaker: Speaker, asked: Any) -> Ways:
    return {"another seed": partial(speaker.other, way=replace(speaker.way, seed=(speaker.way.seed + 1) % 2**32))}


def _without(way: Way, *keys: str) -> Way:
    plain = Way()
    return replace(way, **{key: getattr(plain, key) for key in keys})


# ---------------------------------------------------------------------------------------- answered otherwise


def _cache(speaker: Speaker, asked: Any) -> Ways:
    if speaker.way.prompt_cache is not None:
        return {"cold": partial(speaker.other, way=_without(speaker.way, "prompt_cache"))}
    begins = {"warm": _warm}
    fresh = [part for network in speaker.speech.networks() for part in make_prompt_cache(network)]
    if not fresh:
        raise Refused("it keeps no cache: nothing of a prompt can be reused")
    if can_trim_prompt_cache(fresh):
        begins["trimmed"] = _trimmed
    manners = {label: Manner(partial(apart, begin=begin), together=False) for label, begin in begins.items()}
    return {label: partial(speaker.other, manner=manner) for label, manner in manners.items()}


def _warm(speech: Speech, asked: Asked) -> Begun:
    """All of the prompt but its last token was computed before; of one token there is nothing to reuse."""
    *before, last = asked.tokens
    return ([last], filled(speech.networks(), before, **packing(speech.way))) if before else begun(speech, asked)


def _trimmed(speech: Speech, asked: Asked) -> Begun:
    """What an earlier answer to the prompt left behind, taken back as servers do; asked anew where that can't be."""
    *before, last = asked.tokens
    spoken = min(_SPOKEN, asked.most)
    cache = filled(speech.networks(), asked.tokens, spoken, **packing(speech.way)) if before else []
    if not before or not can_trim_prompt_cache(cache):
        return begun(speech, asked)
    trim_prompt_cache(cache, spoken + 1)
    return [last], cache


def _batch(speaker: Speaker, asked: Any) -> Ways:
    if not speaker.together:
        raise Refused(_ONE)
    return {"alone, token by token": partial(speaker.other, manner=APART)}


def _padding(speaker: Speaker, asked: Any) -> Ways:
    if not speaker.together:
        raise Refused(f"{_ONE}: nothing is padded")
    manner = Manner(partial(_beside, _positions(speaker.folder)), together=True)
    return {"beside a longer prompt": partial(speaker.other, manner=manner)}


def _positions(folder: Path) -> int | None:
    """How many tokens the network can take, if its config tells."""
    config = weights.read_config(folder)
    told = config.get("max_position_embeddings", (config.get("text_config") or {}).get("max_position_embeddings"))
    return told if type(told) is int else None


def _beside(most: int | None, speech: Speech, asked: Sequence[Asked], watched: bool) -> list[Said]:
    """The answers given beside one more prompt, to whose length all others are padded."""
    longest = max((one.tokens for one in asked), key=len)
    many = 2 * len(longest) + 8
    if most is not None:
        many = min(many, most - 1)  # it says a token, too
    if many <= len(longest):
        raise Refused(f"a prompt longer than {len(longest)} tokens does not fit beside: the model takes {most}")
    companion = Asked("", list(islice(cycle(longest), many)), None, 1)
    return together(speech, [*asked, companion], watched)[:-1]


def _compile(speaker: Speaker, asked: Any) -> Ways:
    check_compiles()

    def plainly() -> Speaker:
        with uncompiled():
            manner = speaker.manner
            return speaker.other(manner=manner._replace(write=partial(_uncompiled, manner.write)))

    return {"without mx.compile": plainly}


def _uncompiled(write: Write, speech: Speech, asked: Sequence[Asked], watched: bool) -> list[Said]:
    with uncompiled():
        return write(speech, asked, watched)


# --------------------------------------------------------------------------------------- opened otherwise


def _fused(speaker: Speaker, asked: Any) -> Ways:
    if not adapted(speaker.opened.network):
        raise Refused("it has no adapter apart; declare its `lora` without `fuse`")
    return {"fused": partial(_fuse, speaker)}


def _fuse(speaker: Speaker) -> Speaker:
    """As mlx-lm fuses, a packed layer into as many bits as it had."""
    network = copy.deepcopy(speaker.opened.network)  # arrays are shared
    put(network, {path: layer.fuse() for path, layer in adapted(network).items()})
    network.eval()
    mx.eval(network.parameters())
    digest = digest_of(["fused", speaker.digest])
    return speaker.other(opened=speaker.opened._replace(network=network, digest=digest))


def _reload(speaker: Speaker, asked: Any) -> Ways:
    return {"saved and loaded again": partial(_reloaded, speaker)}


def _reloaded(speaker: Speaker) -> Speaker:
    held = speaker.opened
    with TemporaryDirectory(prefix="hallmark-") as name:
        save(held.network, held.folder, Path(name))
        again = opened(Path(name), None, held.trusted)
        mx.eval(again.network.parameters())  # an adapter's are read when they are first used
    return speaker.other(opened=again._replace(folder=held.folder, draft=held.draft, drafter=held.drafter))


def _tf32(speaker: Speaker, asked: Any) -> Ways:
    check_tf32()
    return {}


_AXES: Mapping[str, Callable[[Speaker, Any], Ways]] = {
    "batch": _batch,
    "cache": _cache,
    "compile": _compile,
    "fused": _fused,
    "kv_bits": _kv_bits,
    "padding": _padding,
    "reload": _reload,
    "seed": _seed,
    "speculative": _speculative,
    "tf32": _tf32,
}
