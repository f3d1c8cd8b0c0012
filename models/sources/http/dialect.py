"""What is said to such a server, and what is understood of its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from harness.contract import Refused

_SENT = ("max_tokens", "top_p", "seed", "stop", "logprobs")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Garbage(Exception):
    """A body that is no answer; what is wrong with it."""


class Spoken(NamedTuple):
    answer: dict[str, Any]
    fingerprint: str
    """What the server says of the setting it answered in, where it does."""


def request(input: Any, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Where below the API's address a question goes, and the body that asks it."""
    key, asked = _asked(input)
    api = options.get("api", "auto")
    if api == "auto":
        api = "chat" if key == "messages" else "completions"
    if api == "chat" and key == "prompt" and isinstance(asked, str):
        key, asked = "messages", [{"role": "user", "content": asked}]
    if (api == "chat") != (key == "messages"):
        raise Refused(f"`api: {api}` takes no {'messages' if key == 'messages' else 'tokens'}; leave `api` out")
    body = {"model": options["model"], key: asked, "temperature": options.get("temperature", 0), "stream": False}
    body |= {name: options[name] for name in _SENT if name in options}
    return ("/chat/completions" if api == "chat" else "/completions"), {**body, **options.get("extra", {})}


def _asked(input: Any) -> tuple[str, Any]:
    match input:
        case str():
            return "prompt", input
        case {"prompt": str(prompt), **nothing} if not nothing:
            return "prompt", prompt
        case {"messages": list(messages), **nothing} if not nothing:
            return "messages", messages
        case {"tokens": list(tokens), **nothing} if not nothing:
            return "prompt", tokens
    raise Refused("an http model is asked a text, {prompt: ...}, {messages: [...]} or {tokens: [...]}, not this input")


def understand(data: bytes) -> Spoken:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        raise Garbage(f"not JSON: {in_short(data)}") from None
    if not isinstance(said, dict):
        raise Garbage(f"not an object: {in_short(data)}")
    choices = said.get("choices")
    if "error" in said and not choices:
        raise Garbage(f"an error: {complaint(data)}")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Garbage(f"no `choices`: {in_short(data)}")
    answer = {"text": _text(choices[0], data), "finish": choices[0].get("finish_reason")}
    answer |= _scored(choices[0].get("logprobs"))
    if isinstance(usage := said.get("usage"), dict):
        answer["usage"] = {name: usage[name] for name in _COUNTS if isinstance(usage.get(name), int)}
    fingerprint = said.get("system_fingerprint")
    return Spoken(answer, fingerprint if isinstance(fingerprint, str) else "")


def _text(choice: Mapping[str, Any], data: bytes) -> str:
    message = choice.get("message")
    if isinstance(message, dict) and "content" in message:
        text = message["content"]
        text = "" if text is None else text  # as some servers write an empty answer
    else:
        text = choice.get("text")
    if not isinstance(text, str):
        raise Garbage(f"no text in its first choice: {in_short(data)}")
    return text


def _scored(logprobs: Any) -> dict[str, Any]:
    """Tokens and their log-probabilities, in either of the two forms in which servers give them."""
    if not isinstance(logprobs, dict):
        return {}
    if isinstance(content := logprobs.get("content"), list) and all(isinstance(each, dict) for each in content):
        key = "id" if all("id" in each for each in content) else "token"
        return {"tokens": [each.get(key) for each in content], "logprobs": [each.get("logprob") for each in content]}
    if isinstance(scores := logprobs.get("token_logprobs"), list):
        return {"tokens": logprobs.get("tokens"), "logprobs": scores}
    return {}


def complaint(data: bytes) -> str:
    """What a server says of an error, in one line."""
    try:
        said = json.loads(data)["error"]
        said = said["message"] if isinstance(said, dict) else said
    except (ValueError, RecursionError, KeyError, TypeError):
        return in_short(data)
    return " ".join(str(said).split())[:200] or "nothing"


def in_short(data: bytes) -> str:
    text = " ".join(data[:400].decode("utf-8", "replace").split())
    return repr(text if len(text) <= 80 else f"{text[:80]}...") if text else "an empty body"
