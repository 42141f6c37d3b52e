"""Reads the file that `NAME_FILE` points at, however an editor or a secret store wrote it."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

MAX_BYTES = 1 << 20
"""The longest file that is read: a document of callers is some kilobytes."""

# UTF-32 before UTF-16, whose little-endian mark is the beginning of the other's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")


def read_setting(path: str) -> str:
    """Return what a file says, without a byte order mark and blanks around it.

    Raises ValueError with the reason, which quotes nothing of the file.
    """
    try:
        with Path(path).open("rb") as file:
            # One byte more tells that there is more, also of a device that never ends.
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(error.strerror or "it cannot be opened") from error
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    return _text(data).strip()


def _text(data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError("it is not text") from error
    if _CONTROLS.search(text):
        raise ValueError("it is not text")
    return text
