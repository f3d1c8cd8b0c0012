"""A smaller llama with the same tokenizer, half as often right: a draft for speculative decoding, and a student.

One layer, 37,056 parameters, a third of the work for every token; what it drafts wrong, the other must mend.
"""

from __future__ import annotations

from pathlib import Path

from harness.contract import Site
from models.zoo import llama

VERSION = 1
STEPS = 150

open = llama.open


def build(folder: Path, seed: int, data: Path | None, site: Site) -> None:
    llama.check(data)
    from models.zoo.llama import training

    shape = {"num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 64}
    training.build(folder, training.Course("llama-draft", STEPS, shape), seed, site.say)
