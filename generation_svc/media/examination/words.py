"""Detects text files, read in pieces; HTML and XML are never served as text."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path

MAX_TEXT_BYTES = 16 * 2**20
"""What is longer is nothing that a person reads: it is a file."""
MAX_JSON_BYTES = 2**20
"""The longest text that is read as JSON."""
FILE_TYPE = "application/octet-stream"
_PIECE_BYTES = 2**18
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def text_type(path: Path) -> str:
    """Return the type of a text, FILE_TYPE for one in markup, empty for what is no text."""
    size = path.stat().st_size
    if not 0 < size <= MAX_TEXT_BYTES or not _is_text(path):
        return ""
    with path.open("rb") as file:
        begin = file.read(_PIECE_BYTES).decode("utf-8-sig", "ignore").lstrip()
    if begin.startswith("<"):
        return FILE_TYPE
    return "application/json" if size <= MAX_JSON_BYTES and _is_json(path) else "text/plain"


def _is_text(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                if _CONTROL.search(decoder.decode(piece)):
                    return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_json(path: Path) -> bool:
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict | list)
