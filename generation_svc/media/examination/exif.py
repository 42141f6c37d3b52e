"""Reads the one EXIF entry that matters for an image: its orientation."""

from __future__ import annotations

import struct

PREFIX = b"Exif\0\0"
"""What EXIF begins with in a JPEG, and in some WebP files."""

_ORIENTATION = 0x0112
_SHORT = 3
_MOST_ENTRIES = 512
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def orientation_of(exif: bytes) -> int:
    """Read the orientation from 1 to 8; whatever cannot be read is 1, as it is for every viewer."""
    exif = exif.removeprefix(PREFIX)
    order = _ORDERS.get(exif[:4])
    if order is None:
        return 1
    try:
        return _find(exif, order)
    except struct.error:
        return 1


def minimal(orientation: int) -> bytes:
    """Return EXIF, without its prefix, that says nothing but the orientation."""
    entry = struct.pack(">HHIHH", _ORIENTATION, _SHORT, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


def _find(exif: bytes, order: str) -> int:
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for position in range(min(count, _MOST_ENTRIES)):
        place = start + 2 + 12 * position
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, place)
        if tag == _ORIENTATION:
            return value if kind == _SHORT and 1 <= value <= 8 else 1
    return 1
