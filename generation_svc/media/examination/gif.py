"""The structure of a GIF: its blocks up to the trailer, read without decoding anything."""

from __future__ import annotations

import struct

from generation_svc.media.examination.layout import Layout, check_size, damaged, too_many

MAX_FRAMES = 5_000
"""The most frames: a film of three minutes fits."""
MAX_BLOCKS = 1_000_000
"""The most blocks of data; 50 MiB in blocks of their full 255 bytes are 205,000."""

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B


def read(data: bytes) -> Layout:
    """Read a GIF's structure; raises Refused."""
    if len(data) < 13:
        raise damaged()
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    check_size(width, height)
    frames, end = _walk(data, 13 + _table_bytes(flags))
    return Layout(width=width, height=height, end=end, clean=data[:end], frames=frames)


def _walk(data: bytes, at: int) -> tuple[int, int]:
    """Count the frames and find the end; a last byte that is missing is forgiven, as by viewers."""
    frames = 0
    while at < len(data) and data[at] != _TRAILER:
        kind = data[at]
        if kind == _IMAGE and at + 10 < len(data):
            frames += 1
            at = _behind_blocks(data, at + 11 + _table_bytes(data[at + 9]))
        elif kind == _EXTENSION:
            at = _behind_blocks(data, at + 2)
        else:
            raise damaged()
    if not frames:
        raise damaged()
    if frames > MAX_FRAMES:
        raise too_many("frames")
    return frames, min(at + 1, len(data))


def _behind_blocks(data: bytes, at: int) -> int:
    for _ in range(MAX_BLOCKS):
        if at >= len(data):
            raise damaged()
        length = data[at]
        at += 1 + length
        if not length:
            return at
    raise too_many("blocks")


def _table_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
