"""Removes callback tokens from stored texts, however they are escaped.

The provider repeats the address that it was given, and so the true token, in `param`, which is JSON
in JSON with an address in it: the token can stand there behind any number of escapes, and be
escaped itself. So the text is unescaped layer by layer, in each order, since it is unknown
what was escaped last; every layer is searched, and each find is cut out of the text as it came.
"""

import re
from array import array
from collections.abc import Iterator
from typing import TypeAlias

from generation_svc.lifecycle.callback_address import ADDRESS

MAX_ESCAPES = 100_000
"""How many escapes all layers together may have: they are read in the loop that serves calls."""

MAX_CHARS = 8 << 20
"""How long all layers together may be."""

MIN_TOKEN_CHARS = 16
"""The shortest path token that is looked for; ours have 32, and anybody may post to `/a`."""

_JSON = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_PERCENT = re.compile(r"%([0-9a-fA-F]{2})()")
_NOTHING = re.compile("()()\0")
"""UTF-16 that was taken for something else is full of them."""
_ESCAPING = "\\%\0"
_MARK = "***"
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_Span = tuple[int, int]
_Layer: TypeAlias = "tuple[str, array[int]]"
"""A text, and where each of its characters begins in the text as it came."""


class _TooDeep(Exception):
    """The text has more layers of escapes than any honest sender would use."""


def redact(text: str, *, token: str) -> str | None:
    """Return the text without tokens; None if it is escaped so often that it cannot be told.

    A text that comes to another address than its own holds a token that is not the path's.
    """
    try:
        spans = [
            (origins[start], origins[end])
            for layer, origins in _layers(text)
            for start, end in _found(layer, token)
        ]
    except _TooDeep:
        return None
    return _without(text, sorted(spans))


def _layers(text: str) -> Iterator[_Layer]:
    waiting = [(text, array("I", range(len(text) + 1)))]
    # Hashes and not the texts: the layers of a body may hold megabytes together.
    seen, chars, escapes = {hash(text)}, len(text), 0
    while waiting:
        layer = waiting.pop()
        yield layer
        escapes += sum(map(layer[0].count, _ESCAPING))
        if escapes > MAX_ESCAPES or chars > MAX_CHARS:
            raise _TooDeep
        for inner in filter(
            None, (_unescaped(layer, each) for each in (_JSON, _PERCENT, _NOTHING))
        ):
            if hash(inner[0]) not in seen:
                seen.add(hash(inner[0]))
                chars += len(inner[0])
                waiting.append(inner)


def _found(layer: str, token: str) -> Iterator[_Span]:
    for match in ADDRESS.finditer(layer):
        yield match.span(1)
    if len(token) >= MIN_TOKEN_CHARS:
        for match in re.finditer(re.escape(token), layer):
            yield match.span()


def _unescaped(layer: _Layer, escape: "re.Pattern[str]") -> "_Layer | None":
    """Remove one layer of one kind of escape; None if there is none."""
    text, origins = layer
    pieces: list[str] = []
    starts, end = array("I"), 0
    for match in escape.finditer(text):
        meaning = _meaning(match)
        pieces += (text[end : match.start()], meaning)
        starts += origins[end : match.start() + len(meaning)]
        end = match.end()
    return ("".join([*pieces, text[end:]]), starts + origins[end:]) if end else None


def _meaning(match: "re.Match[str]") -> str:
    number, char = match.groups()
    return chr(int(number, 16)) if number else _CONTROLS.get(char, char)


def _without(text: str, spans: list[_Span]) -> str:
    kept: list[str] = []
    end = 0
    for start, stop in spans:
        if start >= end:
            kept += (text[end:start], _MARK)
        end = max(end, stop)
    return "".join([*kept, text[end:]])
