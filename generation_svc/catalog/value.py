"""Normalises values so that PostgreSQL and KIE accept them unchanged."""

import json
import math
import re

from generation_svc.domain.schema import JsonValue

MAX_INTEGER = 2**53 - 1
"""The largest integer that a double, and so a Struct, tells from all its neighbours.

2**53 may have been 2**53 + 1 when it was sent.
"""

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and lone surrogates: jsonb refuses some of them, and no prompt needs any."""

_SHOWN_LENGTH = 60


def normalise(value: JsonValue) -> JsonValue:
    """Return the value with a whole float made into an integer; a Struct gives 30.0 for 30."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def flaw(value: JsonValue) -> str | None:
    """Say why a normalised value could never be stored or sent, or None."""
    if isinstance(value, float) and not math.isfinite(value):
        return "Must be a finite number."
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return (
            f"Must be a number from -{MAX_INTEGER} to {MAX_INTEGER}:"
            " larger numbers lose digits on the way."
        )
    return _text_flaw(value) if isinstance(value, str) else None


def shown(value: JsonValue) -> str:
    """Return a short, printable form of what was given, for a violation."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str) and len(value) > _SHOWN_LENGTH:
        return f"text of {len(value)} characters"
    return json.dumps(value, ensure_ascii=False)


def printable(name: str) -> str:
    """Return a field's name, cut and escaped so that any message can carry it."""
    return _FORBIDDEN.sub(lambda found: f"\\u{ord(found.group()):04x}", name[:_SHOWN_LENGTH])


def _text_flaw(text: str) -> str | None:
    found = _FORBIDDEN.search(text)
    if found is None:
        return None
    code = f"U+{ord(found.group()):04X}"
    return f"Must not contain the character {code} (at position {found.start() + 1})."
