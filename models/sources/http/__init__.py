"""A model that a server answers for, in the way of OpenAI's API: mlx_lm.server, LM Studio, vLLM.

models:
  remote: {http: {url: "http://127.0.0.1:8080/v1", model: my-llama, max_tokens: 200}}
  keyed:  {http: {url: "https://llm.acme.com/v1", model: acme-8b, key_env: ACME_KEY, timeout: 20, concurrency: 8}}

No proxy is used, whatever the environment says, and no redirect to another host is followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.contract import Objection, Site

if TYPE_CHECKING:
    from models.sources.http.remote import Remote

_SECONDS = {"type": "number", "exclusiveMinimum": 0, "maximum": 86400}
_OWN = {"model", "messages", "prompt", "stream", "n", "max_tokens", "temperature", "top_p", "seed", "stop", "logprobs"}
_PARTS: dict[str, Any] = {
    "url": {"type": "string", "description": 'the address of the API, such as "http://127.0.0.1:8080/v1"'},
    "model": {"type": "string", "minLength": 1, "description": "the name of the model, as the server knows it"},
    "api": {
        "enum": ["auto", "chat", "completions"],
        "description": "chat, completions, or auto: chat for messages, completions for a prompt",
    },
    "max_tokens": {"type": "integer", "minimum": 1, "description": "the most tokens of an answer, at least 1"},
    "temperature": {"type": "number", "minimum": 0, "description": "how much chance there is in it; 0 unless told"},
    "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "a share above 0, at most 1"},
    "seed": {"type": "integer", "description": "a whole number, for servers that take one"},
    "stop": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "a text at which the answer ends, or a list of them",
    },
    "logprobs": {"type": "boolean", "description": "true to ask for the log-probability of each token"},
    "extra": {
        "type": "object",
        "description": "other fields of each request, as the server names them",
    },
    "key_env": {"type": "string", "description": "the NAME of the environment variable that holds the API key"},
    "timeout": {**_SECONDS, "description": "seconds above 0 that a question may take with all its tries; 60"},
    "connect_timeout": {**_SECONDS, "description": "seconds above 0 that a connection may take; 10 unless told"},
    "retries": {
        "type": "integer",
        "minimum": 0,
        "maximum": 20,
        "description": "how often a question is asked again where the server is away or busy, from 0 to 20; 2",
    },
    "backoff": {
        **_SECONDS,
        "description": "seconds above 0 before the first retry, twice as many each time; 0.5 unless told",
    },
    "concurrency": {
        "type": "integer",
        "minimum": 1,
        "maximum": 256,
        "description": "how many questions of a batch are asked at once, from 1 to 256; 4 unless told",
    },
    "max_response_mb": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1024,
        "description": "the most megabytes of a response, above 0, at most 1024; 16 unless told",
    },
}
SCHEMA = {
    "properties": {
        "http": {
            "type": "object",
            "properties": _PARTS,
            "required": ["url", "model"],
            "additionalProperties": False,
            "description": 'a mapping such as {url: "http://127.0.0.1:8080/v1", model: my-llama}',
        }
    }
}
BATCH = 16

_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_DECIDES = ("url", "model", "api", "max_tokens", "temperature", "top_p", "seed", "stop", "logprobs", "extra")


def faults(options: Mapping[str, Any], site: Site) -> Iterator[Objection]:
    """What can be said without asking anybody; what may be a secret is not said again."""
    from models.sources.http.address import mistake

    given = options["http"]
    if (wrong := mistake(given["url"])) is not None:
        yield Objection(("http", "url"), "url", *wrong)
    if not _NAME.fullmatch(given.get("key_env", "_")):
        said = "`key_env` does not look like the name of an environment variable"
        yield Objection(("http", "key_env"), "key", said, "write its NAME in capitals, such as ACME_KEY; never the key")
    for key in sorted(given.get("extra", {}).keys() & _OWN):
        instead = f"write `{key}:` beside `extra:`" if key in _PARTS else "leave it out"
        yield Objection(("http", "extra", key), "extra", f"`{key}` is no extra field: it is written for you", instead)


def recipe(options: Mapping[str, Any], site: Site) -> Mapping[str, Any]:
    """What is asked, and of whom; not how long we wait for it."""
    return {key: options["http"][key] for key in _DECIDES if key in options["http"]}


def remarks(options: Mapping[str, Any], site: Site, ids: set[str]) -> Iterator[str]:
    given = options["http"]
    yield f"{given['url']} answers as `{given['model']}`; nothing is known here of the weights behind it"
    if "key_env" in given and given["url"].lower().startswith("http:"):
        yield f"the key in `{given['key_env']}` is sent unencrypted to {given['url']}"


def open(options: Mapping[str, Any], site: Site) -> Remote:
    from models.sources.http.remote import Remote

    return Remote(options["http"], recipe(options, site))
