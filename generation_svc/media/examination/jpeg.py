"""The structure of a JPEG: its segments and scans, read without decoding anything.

A progressive picture is decoded once for each of its scans, so a file of half a megabyte with
thousands of empty ones keeps a decoder busy for half a minute. A picture whose scans have fewer
bits than blocks has no pixels: a decoder fills it with grey and says nothing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from generation_svc.media.examination import exif
from generation_svc.media.examination.layout import (
    Layout,
    check_size,
    damaged,
    too_many,
)

MAX_SCANS = 64
"""The most scans: encoders write up to a dozen, those that search for the best order some 20."""
MAX_SEGMENTS = 2_000
"""The most segments; a photo with its profile and thumbnails has some 50."""

_EOI, _SOS, _DRI = 0xD9, 0xDA, 0xDD
_APP0, _APP1, _APP14, _COM = 0xE0, 0xE1, 0xEE, 0xFE
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, _DRI})
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_FRAMES = frozenset({*_SEQUENTIAL, 0xC2, 0xC9, 0xCA})
_ARITHMETIC = frozenset({0xC9, 0xCA})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_METADATA = frozenset({*range(_APP0, 0xF0), _COM})

# Both are linear: a run of 0xFF is passed one by one, and each match is where the next search ends.
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_NOTHING_YET = 16
_ICC = b"ICC_PROFILE\0"


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    start: int
    """Where its marker stands."""
    body: bytes
    end: int
    """Where the next one may begin; behind a scan's pixels."""
    pixels: int = 0
    """How many bytes of pixels follow the header of a scan."""


@dataclass(slots=True)
class _Frame:
    """What a frame's header says, and what its scans have brought so far."""

    marker: int
    width: int
    height: int
    sampling: dict[int, tuple[int, int]]
    """How often each component is sampled, across and down."""
    begun: set[int] = field(default_factory=set)
    """The components that have a scan with their first coefficient."""
    scans: int = 0
    missing_bits: list[int] = field(default_factory=lambda: [_NOTHING_YET] * 64)
    """How many low bits of each coefficient of the first component are still to come."""

    def blocks(self, component: int) -> int:
        """Return how many blocks a component has at least."""
        across, down = self.sampling[component]
        widest = max(each for each, _ in self.sampling.values())
        highest = max(each for _, each in self.sampling.values())
        columns = -(-self.width * across // (8 * widest))
        return columns * -(-self.height * down // (8 * highest))

    def note(self, first: int, last: int, *, missing_bits: int) -> None:
        """Note which coefficients of the first component a scan brought, and how exactly."""
        if self.marker not in _PROGRESSIVE:
            first, last, missing_bits = 0, 63, 0
        if not first <= last < 64:
            raise damaged()
        for place in range(first, last + 1):
            self.missing_bits[place] = min(self.missing_bits[place], missing_bits)

    @property
    def is_whole(self) -> bool:
        """Whether every component was begun, and the one with the shapes has come to its end.

        Of a progressive picture that was cut off, all that a decoder sees is that it is blurred.
        """
        return self.begun == set(self.sampling) and not any(self.missing_bits)


def read(data: bytes) -> Layout:
    """Read a JPEG's structure; raises Refused."""
    kept: list[bytes] = []
    frame: _Frame | None = None
    orientation = 1
    for segment in _segments(data):
        if segment.marker in _FRAMES:
            frame = _read_frame(segment, earlier=frame)
        elif segment.marker == _SOS:
            _read_scan(segment, frame=frame)
        elif segment.marker == _APP1 and segment.body.startswith(exif.PREFIX):
            orientation = exif.orientation_of(segment.body) if orientation == 1 else orientation
        kept.append(_without_metadata(data, segment))
        if segment.marker == _EOI:
            return _layout(frame, kept, orientation=orientation, end=segment.end)
    raise damaged()


def _segments(data: bytes) -> Iterator[_Segment]:
    """Give the segments after the first marker; like decoders, pass over what lies between."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            raise damaged()
        segment = _segment(data, found)
        yield segment
        at = segment.end
    raise too_many("segments")


def _segment(data: bytes, found: re.Match[bytes]) -> _Segment:
    marker, start, at = found[1][0], found.start(), found.end()
    if marker == _EOI or 0xD0 <= marker <= 0xD7 or marker == 0x01:
        return _Segment(marker, start, b"", at)
    if marker not in _FRAMES | _TABLES | _METADATA | {_SOS}:
        raise damaged()
    length = int.from_bytes(data[at : at + 2], "big")
    end = at + length
    if length < 2 or end > len(data):
        raise damaged()
    if marker != _SOS:
        return _Segment(marker, start, data[at + 2 : end], end)
    after = _SCAN_END.search(data, end)
    if after is None:
        raise damaged()
    return _Segment(marker, start, data[at + 2 : end], after.start(), after.start() - end)


def _read_frame(segment: _Segment, *, earlier: _Frame | None) -> _Frame:
    body = segment.body
    if earlier or len(body) < 6 or len(body) != 6 + 3 * body[5] or not 1 <= body[5] <= 4:
        raise damaged()
    height, width = struct.unpack_from(">HH", body, 1)
    check_size(width, height)
    parts = [body[at : at + 3] for at in range(6, len(body), 3)]
    sampling = {part[0]: (part[1] >> 4, part[1] & 15) for part in parts}
    is_sane = all(1 <= across <= 4 and 1 <= down <= 4 for across, down in sampling.values())
    if len(sampling) != len(parts) or not is_sane:
        raise damaged()
    return _Frame(segment.marker, width, height, sampling)


def _read_scan(segment: _Segment, *, frame: _Frame | None) -> None:
    body = segment.body
    if frame is None or not body or len(body) != 4 + 2 * body[0]:
        raise damaged()
    first, last, precision = body[-3:]
    frame.scans += 1
    if frame.scans > MAX_SCANS:
        raise too_many("scans")
    components = set(body[1:-3:2])
    if not components <= set(frame.sampling):
        raise damaged()
    if next(iter(frame.sampling)) in components:
        frame.note(first, last, missing_bits=precision & 15)
    is_first = frame.marker not in _PROGRESSIVE or (first == 0 and precision >> 4 == 0)
    if is_first:
        frame.begun |= components
        _check_bits(segment, frame=frame, components=components)


def _check_bits(segment: _Segment, *, frame: _Frame, components: set[int]) -> None:
    """Refuse a scan with fewer bits than its blocks need: one for a coefficient, one for its end.

    Arithmetic coding needs fewer than one.
    """
    least = 0 if frame.marker in _ARITHMETIC else 1 if frame.marker in _PROGRESSIVE else 2
    if segment.pixels * 8 < least * sum(map(frame.blocks, components)):
        raise damaged()


def _without_metadata(data: bytes, segment: _Segment) -> bytes:
    """Return the bytes of a segment that belong to the picture."""
    body = segment.body
    match segment.marker:
        case 0xE0 if body.startswith(b"JFIF\0") and len(body) >= 12:
            return _written(_APP0, body[:12] + b"\0\0")  # its thumbnail may show what was cropped
        case 0xE2 if _is_profile(body):
            return data[segment.start : segment.end]
        case 0xEE if body.startswith(b"Adobe") and len(body) >= 12:
            return _written(_APP14, body[:12])
        case marker if marker in _METADATA or 0xD0 <= marker <= 0xD7 or marker == 0x01:
            return b""
    return data[segment.start : segment.end]


def _is_profile(body: bytes) -> bool:
    """Return whether a segment is a part of a colour profile, and the first one begins as one."""
    if not body.startswith(_ICC) or len(body) < 14:
        return False
    return body[12] != 1 or body[14 + 36 : 14 + 40] == b"acsp"


def _written(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def _layout(frame: _Frame | None, kept: list[bytes], *, orientation: int, end: int) -> Layout:
    if frame is None or not frame.is_whole:
        raise damaged()
    head = [b"\xff\xd8"]
    if kept[0][:2] == b"\xff\xe0":
        head.append(kept.pop(0))  # JFIF wants to be the first
    if orientation != 1:
        head.append(_written(_APP1, exif.PREFIX + exif.minimal(orientation)))
    return Layout(
        width=frame.width,
        height=frame.height,
        end=end,
        clean=b"".join(head + kept),
        orientation=orientation,
    )
