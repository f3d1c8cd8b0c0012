"""Language models of random weights and a few kilobytes, in the mlx-lm layout, for tests of what is done with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_ALL = """<unk> <s> </s> the a cat dog sat ran on under mat tree and then it was red blue big small system user
assistant : . one two three four five six seven eight nine ten plus is so not yes no up down"""
WORDS = _ALL.split()
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    "{{ m.role }} : {{ m.content }}{% if not loop.last or not continue_final_message %} . {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}assistant :{% endif %}"
)
CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-5,
    "vocab_size": len(WORDS),
    "tie_word_embeddings": False,
    "eos_token_id": 2,
}

Write = Callable[..., Path]


def write(folder: Path, seed: int = 0, template: str | None = TEMPLATE, words: list[str] = WORDS, **told: Any) -> Path:
    """A model of random weights, large enough for its answers to differ from prompt to prompt; a llama unless told."""
    import mlx.core as mx
    from mlx.utils import tree_flatten, tree_map

    from models import language

    folder.mkdir(parents=True, exist_ok=True)
    config = {**CONFIG, **told}
    mx.random.seed(seed)
    model = language.blank(config)
    model.update(tree_map(lambda x: x * 3 if x.ndim == 2 else x, model.parameters()))
    mx.save_safetensors(
        str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())), metadata={"format": "mlx"}
    )
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder, words, template)
    return folder


def write_tokenizer(folder: Path, words: list[str] = WORDS, template: str | None = TEMPLATE) -> None:
    """A word a token; a prompt begins with <s>."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", chat_template=template
    )
    fast.save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of 80,000 random weights."""
    pytest.importorskip("mlx.core")
    pytest.importorskip("mlx_lm")
    return write(tmp_path_factory.mktemp("language") / "tiny")


@pytest.fixture
def written() -> Write:
    """Writes another."""
    return write


@pytest.fixture
def words() -> list[str]:
    """The words of its tokenizer, in the order of their tokens."""
    return WORDS
