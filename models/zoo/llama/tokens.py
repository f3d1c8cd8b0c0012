"""The llama's own tokenizer: a token a word or sign, two for a number, in the files that mlx-lm reads.

`38` is `3` and `##8`: a digit of tens is another token than one of units, and text comes back from tokens as it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from models.zoo.llama.task import TENS, UNITS

PAD, BOS, EOS, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
SPECIAL = (PAD, BOS, EOS, UNKNOWN)
WORDS = ("=", "+", "-", "plus", "minus", "swap", "and", "in", "digits", "words", "take", "from")
TEENS = (
    "ten",
    "eleven",
    "twelve",
    *(f"{stem}teen" for stem in ("thir", "four", "fif", "six", "seven", "eigh", "nine")),
)
"""Numbers that no lesson has, like `zero`: for whoever teaches it more; they make the vocabulary one of 64."""
DIGITS = "0123456789"
VOCABULARY = (*SPECIAL, *WORDS, *UNITS, *TENS, "zero", *TEENS, *DIGITS, *(f"##{digit}" for digit in DIGITS))
IDS = {token: id for id, token in enumerate(VOCABULARY)}
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if not loop.first %} {% endif %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}"
    "{% elif message['role'] == 'user' and not message['content'].rstrip().endswith('=') %} ={% endif %}"
    "{% endfor %}"
)
"""A chat is written as a prompt is; a user may leave out the `=`."""


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.WordPiece(dict(IDS), unk_token=UNKNOWN))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(f"{BOS} $A", special_tokens=[(BOS, IDS[BOS])])
    made.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    made.add_special_tokens(list(SPECIAL))
    return made


def write(folder: Path) -> None:
    """tokenizer.json, tokenizer_config.json and the chat template."""
    from transformers import PreTrainedTokenizerFast

    made: Any = PreTrainedTokenizerFast
    made(
        tokenizer_object=tokenizer(),
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNKNOWN,
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    ).save_pretrained(str(folder))
