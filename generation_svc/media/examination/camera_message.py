"""Blanks the messages that cameras write between the pictures of H.264 and HEVC.

AVCHD cameras keep the place, the time and their model there (SEI, user data). A message becomes
filler of the same length, in place, so that nothing else of a packet moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_H264_SEI, _H264_FILLER = 6, 12
_HEVC_SEI, _HEVC_FILLER = (39, 40), 38
_USER_DATA = 5
_CONFIGURED = 1
"""The version that the codec's setup has where units have their length before them."""


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Knows the units of one stream."""

    codec: str
    length_bytes: int

    def blank(self, data: memoryview) -> None:
        """Blank the messages in a packet; what cannot be read is left to the decoder to refuse."""
        for unit in self._units(data):
            if self.codec == "h264" and unit[0] & 31 == _H264_SEI:
                _fill(unit, head=bytes([_H264_FILLER]))
            elif self.codec == "hevc" and _is_hevc_message(unit):
                _fill(unit, head=bytes([_HEVC_FILLER << 1, unit[1]]))

    def _units(self, data: memoryview) -> Iterator[memoryview]:
        at = 0
        while at + self.length_bytes < len(data):
            start = at + self.length_bytes
            size = int.from_bytes(data[at:start])
            at = start + size
            if not size or at > len(data):
                return
            yield data[start:at]


def filter_for(codec: str, extradata: bytes | None) -> MessageFilter | None:
    """Return what blanks the messages of a stream; None for a codec that has none."""
    place = {"h264": 4, "hevc": 21}.get(codec)
    if place is None or extradata is None or len(extradata) <= place:
        return None
    return MessageFilter(codec, (extradata[place] & 3) + 1) if extradata[0] == _CONFIGURED else None


def _is_hevc_message(unit: memoryview) -> bool:
    return len(unit) > 2 and unit[0] >> 1 & 63 in _HEVC_SEI and unit[2] == _USER_DATA


def _fill(unit: memoryview, *, head: bytes) -> None:
    """Write filler over a unit: set bits, and the bit that ends it."""
    rest = len(unit) - len(head)
    if rest > 0:
        unit[:] = head + b"\xff" * (rest - 1) + b"\x80"
