"""A language model under test, the real mlx-lm on a tiny llama: what it is asked, what it answers, what it refuses."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from harness.codec import plain
from harness.contract import Question, Refused
from harness.shelf import Shelf
from models import language, weights

from .conftest import WORDS, Write

pytestmark = pytest.mark.mlx

PROMPTS = [
    "the cat sat on",
    "dog",
    "one two three plus four",
    "it was a big red cat and then the dog ran under the tree and it was so",
    "no",
    "a small blue mat",
]
MANY = 12


def _questions(inputs: Sequence[Any]) -> list[Question]:
    return [Question(f"q{at}", input) for at, input in enumerate(inputs)]


def _open(folder: Path, **generate: Any) -> Any:
    class Site(Shelf):
        def weights(self, declared: dict[str, Any]) -> Path:
            return folder.parent / str(declared["mlx_lm"])

    return language.open(folder, {"generate": {"max_tokens": MANY, **generate}}, Site(folder, print))


def _answers(model: Any, inputs: Sequence[Any] = PROMPTS) -> list[Any]:
    return list(model.answer(_questions(inputs)))


def _tokens(answers: list[Any]) -> list[list[int]]:
    return [answer["tokens"] for answer in answers]


@pytest.fixture(scope="module")
def model(tiny: Path) -> Any:
    return _open(tiny)


@pytest.fixture(scope="module")
def greedy(model: Any) -> list[Any]:
    return _answers(model)


# --------------------------------------------------------------------------------------------- greedily


def test_an_answer_is_a_text_its_tokens_and_how_likely_each_was(model: Any, greedy: list[Any]) -> None:
    assert model.together
    assert len({tuple(tokens) for tokens in _tokens(greedy)}) == len(PROMPTS)
    for answer in greedy:
        assert plain(answer) == answer
        assert answer.keys() == {"text", "tokens", "logprobs", "finish"}
        assert answer["text"] == " ".join(WORDS[token] for token in answer["tokens"])
        assert len(answer["tokens"]) == len(answer["logprobs"])
        assert all(logprob <= 0 for logprob in answer["logprobs"])
        assert answer["finish"] == ("length" if len(answer["tokens"]) == MANY else "stop")
        assert 2 not in answer["tokens"]


def test_a_batch_answers_what_each_prompt_alone_does(model: Any, greedy: list[Any]) -> None:
    alone = [model.answer([question])[0] for question in _questions(PROMPTS)]
    assert _tokens(alone) == _tokens(greedy)
    assert [answer["text"] for answer in alone] == [answer["text"] for answer in greedy]
    for one, other in zip(alone, greedy, strict=True):
        np.testing.assert_allclose(one["logprobs"], other["logprobs"], atol=1e-5)


def test_a_recurrent_network_is_asked_one_at_a_time(written: Write, tmp_path: Path) -> None:
    shape = {"state_size": 8, "conv_kernel": 4, "use_bias": False, "use_conv_bias": True, "time_step_rank": 4}
    model = _open(written(tmp_path / "mamba", model_type="mamba", **shape))
    assert not model.together
    answers = _answers(model)
    assert len({tuple(tokens) for tokens in _tokens(answers)}) > 1
    for answer, found in zip(answers, model.weigh(_questions(PROMPTS), answers), strict=True):
        said = found[range(len(answer["tokens"])), answer["tokens"]]
        np.testing.assert_allclose(said, answer["logprobs"], atol=1e-4)
    prefixed = _open(model.folder, prompt_cache={"prefix": "it was a"})
    assert _tokens(_answers(prefixed, [PROMPTS[3]])) == [_tokens(answers)[3]]
    with pytest.raises(Refused, match="this model keeps no key-value cache, and `kv_bits` does nothing; drop it"):
        _open(model.folder, kv_bits=4)
    with pytest.raises(Refused, match="speculative decoding takes back what was drafted in vain, and the model's cach"):
        _open(model.folder, draft={"mlx_lm": "mamba"})


def test_a_batch_over_a_sliding_window_answers_as_each_prompt_alone(written: Write, tmp_path: Path) -> None:
    window = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 6}
    model = _open(written(tmp_path / "sliding", **window))
    assert model.together
    assert _tokens(_answers(model)) == [model.answer([question])[0]["tokens"] for question in _questions(PROMPTS)]
    prefixed = _open(model.folder, prompt_cache={"prefix": "it was a"})
    assert _answers(prefixed, [PROMPTS[3]])[0]["tokens"] == _tokens(_answers(model))[3]


def test_the_same_batch_twice_and_a_model_opened_again_give_the_same_bits(
    tiny: Path, model: Any, greedy: list[Any]
) -> None:
    assert _answers(model) == greedy
    again = _open(tiny)
    assert again.digest == model.digest
    assert _answers(again) == greedy


def test_it_writes_as_mlx_lm_does(model: Any, greedy: list[Any]) -> None:
    from mlx_lm import generate

    for prompt, answer in zip(PROMPTS, greedy, strict=True):
        assert generate(model.speech.network, model.speech.tokenizer, prompt, max_tokens=MANY) == answer["text"]


def test_the_token_that_ends_a_text_ends_the_answer_and_is_no_part_of_it(
    tiny: Path, greedy: list[Any], written: Write, tmp_path: Path
) -> None:
    whole = next(answer["tokens"] for answer in greedy if len(set(answer["tokens"])) > 4)
    end = whole[4]
    ending = _open(written(tmp_path / "ending", eos_token_id=end))
    for answer, before in zip(_answers(ending), _tokens(greedy), strict=True):
        cut = before.index(end) if end in before else len(before)
        assert answer["tokens"] == before[:cut]
        assert answer["finish"] == ("stop" if cut < MANY or len(before) < MANY else "length")


def test_max_tokens_is_the_ways_or_the_questions_own(tiny: Path, greedy: list[Any]) -> None:
    inputs = [PROMPTS[0], {"prompt": PROMPTS[2], "max_tokens": 3}, {"prompt": PROMPTS[3], "max_tokens": 1}]
    answers = _answers(_open(tiny, max_tokens=5), inputs)
    assert _tokens(answers) == [_tokens(greedy)[0][:5], _tokens(greedy)[2][:3], _tokens(greedy)[3][:1]]


@pytest.mark.parametrize("way", [{}, {"kv_bits": 8, "kv_group_size": 32}], ids=["together", "alone"])
def test_an_answer_ends_before_a_stop_text(tiny: Path, way: dict[str, Any]) -> None:
    plainly = _answers(_open(tiny, **way))
    at = next(at for at, answer in enumerate(plainly) if len(set(answer["tokens"][:6])) > 4)
    words = plainly[at]["text"].split()
    stop = f"{words[4]} {words[5]}"
    answers = _answers(_open(tiny, stop=["never said", stop], **way))
    for answer, before in zip(answers, plainly, strict=True):
        kept, found, _ = before["text"].partition(stop)
        assert answer["text"] == kept
        assert answer["tokens"] == before["tokens"][: len(kept.split())]
        assert len(answer["logprobs"]) == len(answer["tokens"])
        assert answer["finish"] == ("stop" if found else before["finish"])
    assert answers[at]["finish"] == "stop"


def test_logprobs_can_be_left_out(tiny: Path, greedy: list[Any]) -> None:
    for way in ({}, {"kv_bits": 8, "kv_group_size": 32}):
        answers = _answers(_open(tiny, logprobs=False, **way), PROMPTS[:2])
        assert [answer.keys() for answer in answers] == [{"text", "tokens", "finish"}] * 2
    assert _tokens(answers) == _tokens(greedy)[:2]


# ---------------------------------------------------------------------------------------------- by chance


def test_what_is_drawn_follows_from_the_seed_and_the_question_alone(tiny: Path, greedy: list[Any]) -> None:
    model = _open(tiny, temperature=1.0, seed=1)
    drawn = _answers(model)
    assert _answers(model) == drawn
    others = [Question("other", "the tree"), *_questions(PROMPTS)[::-1]]
    assert _tokens(model.answer(others))[:0:-1] == _tokens(drawn)
    assert _tokens(_answers(_open(tiny, temperature=1.0, seed=2))) != _tokens(drawn)
    assert _tokens(drawn) != _tokens(greedy)
    assert _tokens(model.answer([Question("x", "no")])) != _tokens(model.answer([Question("y", "no")]))


def test_what_may_be_drawn_can_be_narrowed_to_the_most_likely(tiny: Path, greedy: list[Any]) -> None:
    for way in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
        assert _tokens(_answers(_open(tiny, temperature=1.0, **way))) == _tokens(greedy)
    wide = _open(tiny, temperature=1.0)
    assert _answers(_open(tiny, temperature=1.0, top_k=1000)) == _answers(wide)


# ------------------------------------------------------------------------------------------- other ways


def test_a_prefix_computed_once_changes_no_answer(tiny: Path, greedy: list[Any]) -> None:
    inputs = [
        "it was a big red cat",
        "it was a big dog",
        "it was a",
        {"tokens": [1, *map(WORDS.index, ["it", "was", "a"]), 30]},
    ]
    plainly = _answers(_open(tiny), inputs)
    for way in ({}, {"draft": {"mlx_lm": tiny.name}}):
        model = _open(tiny, prompt_cache={"prefix": "it was a"}, **way)
        assert model.together == (not way)
        assert _tokens(_answers(model, inputs)) == _tokens(plainly)
        assert _tokens(_answers(model, inputs)) == _tokens(plainly)
    refused = _answers(model, ["it was the cat", {"tokens": [1, 30]}])
    assert [str(one) for one in refused] == ["the prompt does not begin with the prefix of `prompt_cache`"] * 2
    assert len(_answers(_open(tiny, prompt_cache={"prefix": "it was a b"}), ["it was a big dog"])[0]["tokens"]) == MANY


def test_what_all_chats_with_one_system_message_begin_with_is_a_prefix_too(tiny: Path) -> None:
    chats = [{"messages": [{"role": "user", "content": content}]} for content in PROMPTS[:3]]
    cached = _open(tiny, system="so it is", prompt_cache={})
    assert cached.speech.prefix.text == "system : so it is . user : "
    assert _tokens(_answers(cached, chats)) == _tokens(_answers(_open(tiny, system="so it is"), chats))


def test_a_quantized_cache_is_used_from_the_first_token(tiny: Path, greedy: list[Any]) -> None:
    eight, two = (_open(tiny, kv_bits=bits, kv_group_size=32) for bits in (8, 2))
    assert not eight.together
    fine, rough = _answers(eight), _answers(two)
    assert _tokens(rough) != _tokens(greedy)
    for near, true in zip(fine, greedy, strict=True):
        assert near["logprobs"][:1] == pytest.approx(true["logprobs"][:1], abs=0.05)
        assert near["logprobs"] != true["logprobs"] or near["tokens"] == []


@pytest.mark.parametrize("tokens", [1, 3])
def test_a_draft_changes_no_answer_whoever_drafts(tiny: Path, greedy: list[Any], written: Write, tokens: int) -> None:
    other = written(tiny.parent / "drafting", seed=5, num_hidden_layers=1)
    for draft in (tiny, other):
        model = _open(tiny, draft={"mlx_lm": draft.name}, draft_tokens=tokens)
        assert not model.together
        assert _tokens(_answers(model)) == _tokens(greedy)
        assert model.facts()["generate"]["draft"] == weights.digest(draft)


def test_a_draft_of_another_tokenizer_is_refused(tiny: Path, written: Write) -> None:
    written(tiny.parent / "stranger", words=[*WORDS[:3], *reversed(WORDS[3:])])
    with pytest.raises(Refused, match="the draft model has another tokenizer than the model it drafts for"):
        _open(tiny, draft={"mlx_lm": "stranger"})


def test_a_cache_that_cannot_be_quantized_is_told_of_when_the_model_is_opened(tiny: Path, written: Write) -> None:
    with pytest.raises(Refused, match="the key-value cache of this model can't be quantized with `kv_bits`"):
        _open(tiny, kv_bits=4, kv_group_size=128)


# --------------------------------------------------------------------------------------------------- inputs


def test_a_prompt_asked_as_tokens_or_as_a_mapping_is_the_same_prompt(model: Any, greedy: list[Any]) -> None:
    tokens = [1, *(WORDS.index(word) for word in PROMPTS[0].split())]
    answers = _answers(model, [{"prompt": PROMPTS[0]}, {"tokens": tokens}, f"<s> {PROMPTS[0]}"])
    assert _tokens(answers) == [_tokens(greedy)[0]] * 3


def test_chats_are_put_to_it_as_its_template_says(tiny: Path, model: Any) -> None:
    chat = [{"role": "user", "content": "the cat"}]
    begun = [*chat, {"role": "assistant", "content": "it was"}]
    asked = {
        "user : the cat . assistant :": {"messages": chat},
        "system : so . user : the cat . assistant :": {"messages": [{"role": "system", "content": "so"}, *chat]},
        "user : the cat . assistant : it was": {"messages": begun},
    }
    for text, input in asked.items():
        assert model.prompts.read(Question("q", input)).text == text
    as_tokens = [{"tokens": [WORDS.index(word) for word in text.split()]} for text in asked]
    assert _tokens(_answers(model, list(asked.values()))) == _tokens(_answers(model, as_tokens))
    always = _open(tiny, chat=True, system="so")
    assert always.prompts.read(Question("q", "the cat")).text == "system : so . user : the cat . assistant :"
    assert always.prompts.read(Question("q", {"messages": chat})) == always.prompts.read(Question("q", "the cat"))


@pytest.mark.parametrize(
    ("input", "said"),
    [
        *[
            (input, "an input is a text, {prompt: ...}, {messages: [...]} or {tokens: [...]}")
            for input in (None, 7, [], {}, {"text": "a"}, {"prompt": "a", "tokens": [1]}, {"prompt": 7})
        ],
        ("", "the prompt is empty"),
        ({"prompt": ""}, "the prompt is empty"),
        ({"tokens": []}, "`tokens` of an input is a list of whole numbers, at least one"),
        ({"tokens": [True]}, "`tokens` of an input is a list of whole numbers, at least one"),
        ({"tokens": [1, 99]}, f"the prompt has the token 99; the model knows 0 to {len(WORDS) - 1}"),
        ({"tokens": [-1]}, f"the prompt has the token -1; the model knows 0 to {len(WORDS) - 1}"),
        ({"prompt": "a", "max_tokens": 0}, "`max_tokens` of an input is a whole number from 1"),
        ({"messages": []}, "`messages` of an input is a list of {role: ..., content: ...}, at least one"),
        (
            {"messages": [{"role": "user"}]},
            "`messages` of an input is a list of {role: ..., content: ...}, at least one",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "the chat template refuses these messages: no tools here"),
    ],
)
def test_an_input_that_can_not_be_read_is_refused_alone(model: Any, greedy: list[Any], input: Any, said: str) -> None:
    first, odd, last = _answers(model, [PROMPTS[0], input, PROMPTS[2]])
    assert isinstance(odd, Refused)
    assert str(odd) == said
    assert _tokens([first, last]) == [_tokens(greedy)[0], _tokens(greedy)[2]]


def test_chats_are_refused_where_the_way_or_the_model_has_none(tiny: Path, tmp_path: Path, written: Write) -> None:
    chat = {"messages": [{"role": "user", "content": "the cat"}]}
    system = {"messages": [{"role": "system", "content": "so"}, *chat["messages"]]}
    (refused,) = _answers(_open(tiny, chat=False), [chat])
    assert str(refused) == "the input is a chat, and `chat` is false"
    answers = _answers(_open(tiny, system="so"), [system, "the cat"])
    assert str(answers[0]) == "the chat has a system message of its own, and `system` gives another; drop one"
    assert str(answers[1]) == (
        "`system` takes a chat, and this is a plain prompt; write `chat: true`, or ask {messages: ...}"
    )
    bare = _open(written(tmp_path / "bare", template=None))
    (refused,) = _answers(bare, [chat])
    assert str(refused) == "the model has no chat template; ask {prompt: ...}, or put chat_template.jinja beside it"


# ------------------------------------------------------------------------------------------------ weighing


def test_an_answer_weighed_is_as_likely_as_it_was_when_written(tiny: Path, model: Any) -> None:
    for answers in (_answers(model), _answers(_open(tiny, temperature=1.0))):
        weighed = model.weigh(_questions(PROMPTS), answers)
        for answer, found in zip(answers, weighed, strict=True):
            tokens = answer["tokens"]
            assert found.dtype == np.float32
            assert found.shape == (len(tokens), len(WORDS))
            np.testing.assert_allclose(np.exp(found).sum(axis=-1), 1, atol=1e-5)
            np.testing.assert_allclose(found[range(len(tokens)), tokens], answer["logprobs"], atol=1e-5)


def test_a_large_batch_is_weighed_in_parts(model: Any, greedy: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from models.language import weighing

    whole = model.weigh(_questions(PROMPTS), greedy)
    monkeypatch.setattr(weighing, "MOST", 1)
    for one, other in zip(model.weigh(_questions(PROMPTS), greedy), whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("input", "answer", "said"),
    [
        ("", {"tokens": [3]}, "the prompt is empty"),
        ("dog", {"tokens": [99]}, f"the answer has no `tokens` from 0 to {len(WORDS) - 1}"),
        ("dog", {"text": "so"}, f"the answer has no `tokens` from 0 to {len(WORDS) - 1}"),
        ("dog", "so", f"the answer has no `tokens` from 0 to {len(WORDS) - 1}"),
    ],
)
def test_what_can_not_be_weighed_is_refused(model: Any, input: str, answer: Any, said: str) -> None:
    with pytest.raises(Refused) as refused:
        model.weigh(_questions(["the cat", input]), [{"tokens": [3]}, answer])
    assert str(refused.value) == said


def test_an_answer_of_no_tokens_has_no_places_to_weigh(model: Any) -> None:
    none, one = model.weigh(_questions(["the cat", "dog"]), [{"tokens": []}, {"tokens": [3]}])
    assert (none.shape, one.shape) == ((0, len(WORDS)), (1, len(WORDS)))
    assert model.weigh([], []) == []


# ------------------------------------------------------------------------------------------------- as a whole


def test_its_facts_say_what_answered_and_how(tiny: Path, tmp_path: Path, written: Write) -> None:
    facts = plain(dict(_open(tiny, stop=["x"], chat=True).facts()))
    assert facts["weights"] == weights.footprint(tiny)
    assert (facts["dtype"], facts["type"]) == ("float32", "llama")
    assert facts["generate"] == {"max_tokens": MANY, "temperature": 0.0, "stop": ["x"], "chat": True}
    assert facts["mlx_lm"]
    assert facts["transformers"]
    assert "made" not in facts
    made = written(tmp_path / "made", made=[{"prune": {"sparsity": 0.5}}], words=[*WORDS[:-1], "else"])
    other = _open(made).facts()
    assert other["made"] == [{"prune": {"sparsity": 0.5}}]
    assert other["tokenizer"] != facts["tokenizer"]


def test_nothing_asks_the_network(tiny: Path, tmp_path: Path, written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "tempting", _name_or_path="somebody/model", transformers_version="4.0.0")
    asked: list[Any] = []

    def refuse(*where: Any, **_: Any) -> NoReturn:
        asked.append(where)
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(_answers(_open(folder))) == len(PROMPTS)
    assert asked == []


def test_the_wish_to_be_online_is_left_as_it_was(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from huggingface_hub import constants

    from models.language.folder import offline

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with offline():
        assert constants.HF_HUB_OFFLINE
        assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert not constants.HF_HUB_OFFLINE
    assert os.environ["HF_HUB_OFFLINE"] == "0"
