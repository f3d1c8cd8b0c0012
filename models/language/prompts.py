"""What a language model is asked: a question's input as the tokens of its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from harness.contract import Question, Refused
from models.language.options import Way

_FORMS = ("prompt", "messages", "tokens")
_KINDS = "an input is a text, {prompt: ...}, {messages: [...]} or {tokens: [...]}"


class Asked(NamedTuple):
    """A prompt, ready for the network."""

    id: str
    tokens: list[int]
    text: str | None
    """As it was before it became tokens; None where it was asked as tokens."""
    most: int
    """The most tokens its answer may have."""


class Prompts:
    """Reads inputs by a tokenizer, the way that was told."""

    def __init__(self, tokenizer: Any, way: Way, choices: int) -> None:
        self.tokenizer = tokenizer
        self.way = way
        self.choices = choices
        """Tokens that the network knows."""

    def read(self, question: Question) -> Asked | Refused:
        try:
            return self._read(question)
        except Refused as refused:
            return refused

    def _read(self, question: Question) -> Asked:
        input: Any = {"prompt": question.input} if isinstance(question.input, str) else question.input
        form = next((form for form in _FORMS if isinstance(input, dict) and form in input), None)
        if form is None or input.keys() - {form, "max_tokens"}:
            raise Refused(_KINDS)
        most = input.get("max_tokens", self.way.max_tokens)
        if type(most) is not int or not 1 <= most <= 1_000_000:
            raise Refused("`max_tokens` of an input is a whole number from 1")
        text: str | None = None
        if form == "tokens":
            tokens = input["tokens"]
            if not isinstance(tokens, list) or not tokens or not all(type(token) is int for token in tokens):
                raise Refused("`tokens` of an input is a list of whole numbers, at least one")
        else:
            text = self._chat(input["messages"]) if form == "messages" else self._prompt(input["prompt"])
            tokens = self.encoded(text, chat=form == "messages" or self.way.chat is True)
        self._check(tokens)
        return Asked(question.id, tokens, text, most)

    def _check(self, tokens: Sequence[int]) -> None:
        if not tokens:
            raise Refused("the prompt has no tokens")
        if odd := next((token for token in tokens if not 0 <= token < self.choices), None):
            raise Refused(f"the prompt has the token {odd}; the model knows 0 to {self.choices - 1}")

    def answered(self, answer: Any) -> list[int]:
        """The tokens of an answer, or Refused where the network does not know one of them."""
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        if not isinstance(tokens, list) or not all(type(t) is int and 0 <= t < self.choices for t in tokens):
            raise Refused(f"the answer has no `tokens` from 0 to {self.choices - 1}")
        return tokens

    def expected(self, asked: Asked, expected: Any) -> tuple[list[int], list[int]]:
        """The tokens of a prompt and of what is expected of it: of a text, as the two are read together."""
        if isinstance(expected, dict) and "tokens" in expected:
            if not (tokens := self.answered(expected)):
                raise Refused("what is expected has no token of its own")
            return asked.tokens, tokens
        text = expected.get("text") if isinstance(expected, dict) else expected
        if not isinstance(text, str) or not text:
            raise Refused("how likely an answer is takes an `expect` that is a text, {text: ...} or {tokens: [...]}")
        if asked.text is None:
            return asked.tokens, self.encoded(text, chat=True)
        chat = self.encoded(asked.text, chat=False) != asked.tokens
        whole = self.encoded(asked.text + text, chat=chat)
        pairs = enumerate(zip(asked.tokens, whole, strict=False))
        given = next((at for at, (a, b) in pairs if a != b), min(len(asked.tokens), len(whole)))
        if not 0 < given < len(whole):
            raise Refused("what is expected has no token of its own")
        return whole[:given], whole[given:]

    def encoded(self, text: str, *, chat: bool) -> list[int]:
        """A text's tokens; a chat's template writes special tokens itself, and so may a prompt."""
        first = self.tokenizer.bos_token
        special = not chat and (first is None or not text.startswith(first))
        return list(self.tokenizer.encode(text, add_special_tokens=special))

    def _prompt(self, prompt: Any) -> str:
        if not isinstance(prompt, str) or not prompt:
            raise Refused("the prompt is empty" if prompt == "" else _KINDS)
        if self.way.chat is True:
            return self._chat([{"role": "user", "content": prompt}])
        if self.way.system is not None:
            raise Refused(
                "`system` takes a chat, and this is a plain prompt; write `chat: true`, or ask {messages: ...}"
            )
        return prompt

    def _chat(self, messages: Any) -> str:
        if self.way.chat is False:
            raise Refused("the input is a chat, and `chat` is false")
        if not isinstance(messages, list) or not messages or not all(_is_message(message) for message in messages):
            raise Refused("`messages` of an input is a list of {role: ..., content: ...}, at least one")
        return self.written(messages)

    def written(self, messages: list[dict[str, Any]], *, asks: bool = True) -> str:
        """A chat as the template writes it; one that `asks` ends where the assistant is to speak, or to speak on."""
        if self.way.system is not None:
            if messages[0]["role"] == "system":
                raise Refused("the chat has a system message of its own, and `system` gives another; drop one")
            messages = [{"role": "system", "content": self.way.system}, *messages]
        if not self.tokenizer.has_chat_template:
            raise Refused("the model has no chat template; ask {prompt: ...}, or put chat_template.jinja beside it")
        begun = messages[-1]["role"] == "assistant"
        how = {"add_generation_prompt": asks and not begun, "continue_final_message": asks and begun}
        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, **how))
        except Exception as error:  # a template is a program of the model's maker, and raises as it likes
            raise Refused(f"the chat template refuses these messages: {str(error).split(chr(10))[0][:200]}") from error

    def prefix(self) -> tuple[str, list[int]] | None:
        """The text that every prompt begins with, and its tokens, if the way names one."""
        if self.way.prompt_cache is None:
            return None
        text = self.way.prompt_cache.prefix
        chat = text is None or self.way.chat is True or self.way.system is not None
        if text is None:
            one, other = (self.written([{"role": "user", "content": said}]) for said in ("a", "z"))
            text = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
        tokens = self.encoded(text, chat=chat)
        self._check(tokens)
        return text, tokens


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str) and message.keys() > {"role"}
