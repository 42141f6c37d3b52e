"""Parses foreign JSON within bounds; what cannot be parsed is None, never an exception."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]

MAX_SIZE = 4 * 2**20
"""The longest text that is read, in bytes or characters: the notes of a song are long."""

MAX_DEPTH = 32
"""The deepest nesting that is read."""

_TASK_ID = re.compile(r"[!-~]{1,128}")
_HUGE = 10**39
_NO_FIELDS: Document = {}


def decode(text: bytes | str) -> Any:
    """Return the JSON value, or None for text that is not JSON, too long or nested too deep."""
    if len(text) > MAX_SIZE:
        return None
    try:
        value = json.loads(_as_text(text), parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return value if _is_shallow(value) else None


def as_document(value: object) -> Document:
    """Return an object as it is, and no fields for everything else."""
    return value if isinstance(value, dict) else _NO_FIELDS


def code_of(document: Document) -> int | None:
    """Return the code of an envelope, a number or digits; None if there is none."""
    code = document.get("code")
    if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) < 10:
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def message_of(document: Document) -> str:
    """Return the message of an envelope: `msg` live, `message` in older documents."""
    spellings = (document.get(name) for name in ("msg", "message"))
    return next((clean(text) for text in spellings if isinstance(text, str)), "")


def as_task_id(value: object) -> str | None:
    """Return a task's id, printable ASCII of at most 128 characters; None for all else.

    A number is an id, too: one that was not read would be paid for twice.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _HUGE:
        value = str(value)
    return value if isinstance(value, str) and _TASK_ID.fullmatch(value) else None


def strings_at(value: object, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the strings at the end of a path; a list on the way stands for its members."""
    if isinstance(value, list):
        for member in value:
            yield from strings_at(member, path)
    elif path:
        yield from strings_at(as_document(value).get(path[0]), path[1:])
    elif isinstance(value, str):
        yield value


def objects_at(value: object, path: tuple[str, ...]) -> Iterator[Document]:
    """Yield the objects at the end of a path; a list stands for its members."""
    if isinstance(value, list):
        for member in value:
            yield from objects_at(member, path)
    elif path:
        yield from objects_at(as_document(value).get(path[0]), path[1:])
    elif isinstance(value, dict):
        yield value


def clean(text: str) -> str:
    """Return the text without what a database cannot hold: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def _as_text(text: bytes | str) -> str:
    if isinstance(text, str):
        return text
    return text.decode(json.detect_encoding(text), "replace")


def _is_shallow(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return True
    return False


def _children(node: object) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []
