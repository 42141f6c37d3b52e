"""Says when the first packets of a film are decoded, where its container does not.

Matroska keeps only when a picture is shown. FFmpeg learns the rest from the pictures themselves,
but not of the first few, which are decoded before it knows how far apart the two are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from av import Packet
    from av.stream import Stream

    AnyPacket: TypeAlias = Packet[Stream]

MOST_UNTIMED = 64
"""More packets than any codec puts between decoding a picture and showing it."""


def timed(packets: Iterable[AnyPacket]) -> Iterator[AnyPacket]:
    """Yield packets with the time at which each is decoded; those that have none at all go.

    Raises ValueError for a stream that never tells.
    """
    waiting: dict[int, list[AnyPacket]] = defaultdict(list)
    for packet in packets:
        if packet.dts is not None:
            yield from _told_backwards(waiting.pop(packet.stream.index, []), packet.dts)
            yield packet
        elif packet.pts is not None:
            held = waiting[packet.stream.index]
            held.append(packet)
            if len(held) > MOST_UNTIMED:
                raise ValueError("a stream does not say when its packets are decoded")


def _told_backwards(held: list[AnyPacket], known: int) -> list[AnyPacket]:
    """Place packets one behind the other in front of the first time that is known."""
    for packet in reversed(held):
        known -= max(packet.duration or 0, 1)
        packet.dts = known
    return held
