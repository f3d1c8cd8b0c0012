"""A folder opened: its network and tokenizer, and the network that drafts for it if one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
from mlx_lm.models.cache import can_trim_prompt_cache, make_prompt_cache

from harness.contract import Refused
from models import weights
from models.language import folder as folders


class Opened(NamedTuple):
    """What a folder holds, opened once for all ways to ask it."""

    folder: Path
    trusted: bool
    digest: str
    network: Any
    tokenizer: Any
    choices: int
    """Tokens that the network knows."""
    draft: Any = None
    """The network that drafts, or None."""
    drafter: str | None = None
    """Its digest."""


def opened(folder: Path, draft: Path | None, trusted: bool) -> Opened:
    network, tokenizer = folders.load(folder, trusted)
    found = Opened(folder, trusted, weights.digest(folder), network, tokenizer, _choices(network))
    if draft is None:
        return found
    drafter = weights.digest(draft)
    return found._replace(draft=_drafting(found, folders.load(draft, trusted)), drafter=drafter)


def _drafting(opened: Opened, draft: folders.Loaded) -> Any:
    """The network that drafts, if it can draft for this one."""
    if draft.tokenizer.get_vocab() != opened.tokenizer.get_vocab() or _choices(draft.network) > opened.choices:
        raise Refused("the draft model has another tokenizer than the model it drafts for")
    for which, whose in ((opened.network, "the model"), (draft.network, "the draft model")):
        if not can_trim_prompt_cache(make_prompt_cache(which)):
            raise Refused(f"speculative decoding takes back what was drafted in vain, and {whose}'s cache can't")
    return draft.network


def _choices(network: Any) -> int:
    """How many tokens the network knows: the shape of what it would say, which costs no computing."""
    return int(network(mx.array([[0]])).shape[-1])
