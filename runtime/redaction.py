"""What no log line may hold: registered values and the shapes of secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, urlsplit

from pydantic import SecretStr

MASK = "***"
"""What stands in a text where a secret stood."""

MIN_SECRET_CHARS = 6
"""The length from which a value is searched for; shorter ones would tear ordinary words."""

_SLASH = r"(?:/|%2[Ff])"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A Telegram file link gives the file to anyone who has it, so all of it goes.
    (re.compile(rf"({_SLASH}file{_SLASH})bot[^\s\"'<>\\]+"), rf"\1{MASK}"),
    (re.compile(r"\d{6,}(?::|%3[Aa])[A-Za-z0-9_-]{30,}"), MASK),
    (re.compile(r"(?i)\b(bearer)(\s+|%20|\+)[\w.~+/=-]{6,}"), rf"\1\2{MASK}"),
    (
        re.compile(rf"({_SLASH}callbacks{_SLASH}[a-z0-9-]{{1,32}}{_SLASH}+)[^/\s\"'?#&<>\\]+"),
        rf"\1{MASK}",
    ),
    (re.compile(rf"({_SLASH}media{_SLASH})[\w-]{{56}}(?![\w-])"), rf"\1{MASK}"),
)


class Redactor:
    """Replaces every registered value, and every text shaped like a secret, by `***`."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def register(self, *secrets: str | SecretStr | None) -> None:
        """Have these values replaced from now on, in each form a log line may show them in.

        Meant for values that live as long as the process; what passes through, such as a callback
        token, is known by its shape instead.
        """
        for secret in secrets:
            value = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
            self._forms.update(_forms(value or ""))
        # Of a secret that begins with another one the rest would stay in the text.
        longest_first = sorted(self._forms, key=len, reverse=True)
        if longest_first:
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text


def _forms(value: str) -> Iterator[str]:
    for part in (value, _password(value)):
        if len(part) >= MIN_SECRET_CHARS:
            # As it is, and as URLs, JSON and tracebacks write it.
            yield from (part, quote(part), quote(part, safe=""), quote_plus(part))
            yield from (json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1])
            yield repr(part)[1:-1]


def _password(value: str) -> str:
    try:
        return urlsplit(value).password or ""
    except ValueError:
        return ""


redactor = Redactor()
"""The redactor of this process: every log line goes through it."""

redact = redactor.register
"""Register secret values of this process."""
