"""Secrets never reach the record: values of the environment and keys of well-known shapes, whoever says them.

What a spec or its cases say themselves is no secret: a planted key, that a model must not repeat, stays to be found.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

_LEAST = 8
"""A secret of fewer characters would blot out ordinary words."""
_NAMED = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASS|PASSWD|PASSWORD|PASSPHRASE|CREDENTIALS?|PRIVATE|PAT|DSN|COOKIE)S?(?:_|$)",
    re.IGNORECASE,
)
_SHAPES = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[^-]*(?:-----END (?:[A-Z]+ )*PRIVATE KEY-----)?",
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "a Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{35}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "an API key": r"\bsk-(?:[a-z]+-)*[A-Za-z0-9_-]{20,}",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
}


def is_secret(name: str, value: str) -> bool:
    """Whether a value of the environment is one that nobody should read, as far as its name tells."""
    return bool(_NAMED.search(name)) and len(value) >= _LEAST and not value.isdigit() and not os.path.exists(value)


def _glance(pattern: str) -> Callable[[str], Any]:
    """Whether there is anything to find, told in a tenth of the time that replacing it would take."""
    import re2

    search = re2.compile(pattern).search

    def glance(text: str) -> Any:
        try:
            return search(text)
        except UnicodeError:  # of a lone surrogate; the slow way knows them
            return True

    return glance


class Redactor:
    """Takes secrets out of plain values; `said` gives the text of what the plan says of a check, asked for rarely."""

    def __init__(self, environ: Mapping[str, str], said: Callable[[], str]) -> None:
        self._said = said
        # What is no text can't be in a plain answer.
        secrets = {value: name for name, value in environ.items() if is_secret(name, value) and value.isprintable()}
        self._names = secrets
        longest_first = sorted(secrets, key=len, reverse=True)
        own = "|".join(re.escape(value) for value in longest_first)
        shapes = "|".join(f"(?P<s{at}>{shape})" for at, shape in enumerate(_SHAPES.values()))
        self._pattern = re.compile(f"(?P<own>{own})|{shapes}" if own else shapes)
        self._kinds = list(_SHAPES)
        self._glance = _glance(self._pattern.pattern)

    def __call__(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return self._pattern.sub(self._blot, value) if len(value) >= _LEAST and self._glance(value) else value
        if kind is dict:
            return {self(key): self(item) for key, item in value.items()}
        if kind is list or kind is tuple:
            return [self(item) for item in value]
        return value

    def _blot(self, found: re.Match[str]) -> str:
        text = found[0]
        if json.dumps(text)[1:-1] in self._said() or json.dumps(text, ensure_ascii=False)[1:-1] in self._said():
            return text
        group = found.lastgroup or ""
        return f"[redacted: {self._names[text] if group == 'own' else self._kinds[int(group[1:])]}]"
