"""Examines video and audio by reading all of it and decoding its beginning.

Nothing that a header says is believed: the length is that of the packets that are there, the size
that of the first frame that was decoded. FFmpeg is told the format, and may open this file alone:
its playlists and references to other files stay closed. It is loaded when it is needed first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from generation_svc.media.examination.layout import MAX_PIXELS, MAX_SIDE
from generation_svc.media.examination.poster import write_poster
from generation_svc.media.examination.sniff import ClipFormat

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoStream
    from av.container import InputContainer
    from av.stream import Stream

    Playable: TypeAlias = VideoStream | AudioStream
    AnyPacket: TypeAlias = Packet[Stream]

MAX_STREAMS = 16
"""The number of streams of a film with many languages."""
MAX_PACKETS = 4_000_000
"""What a day of sound has; reading them takes seconds."""
MAX_PACKETS_TO_A_FRAME = 256
"""How many packets may come before the first picture or the first sound."""
MAX_SECONDS = 48 * 3600
"""The longest that something is said to play."""
_OPTIONS = {"protocol_whitelist": "file", "probesize": "8388608", "analyzeduration": "10000000"}


@dataclass(frozen=True, slots=True)
class Clip:
    """A video or a piece of sound."""

    mime_type: str
    width: int
    """As a person sees it; 0 for sound."""
    height: int
    duration_ms: int | None
    """None for what nobody can say."""
    poster_size: tuple[int, int] | None = None
    """The width and height of the poster that was written; None if there is none."""


def probe(path: Path, clip_format: ClipFormat, *, poster: Path | None = None) -> Clip | None:
    """Say what a file of this format is; None for one that holds nothing that can be played.

    The first frame of a video that can be decoded becomes a JPEG where a poster is wanted.
    """
    import av

    av.logging.set_level(None)
    broken = (av.FFmpegError, MemoryError, ValueError, ArithmeticError)
    try:
        with av.open(
            f"file:{path}",
            format=clip_format.demuxer,
            options=_OPTIONS,
            metadata_errors="replace",
        ) as container:
            return _read(container, clip_format, reading=_Reading(poster))
    except broken:
        return None


def _read(container: InputContainer, clip_format: ClipFormat, *, reading: _Reading) -> Clip | None:
    stream = _main_stream(container)
    is_video = stream is not None and stream.type == "video"
    mime_type = clip_format.video_type if is_video else clip_format.audio_type
    if stream is None or stream.codec_context is None or not mime_type:
        return None
    stream.codec_context.thread_count = 1
    if not _is_read(container, stream, reading=reading):
        return None
    return reading.clip(mime_type, stream)


def _is_read(container: InputContainer, stream: Playable, *, reading: _Reading) -> bool:
    """Read a stream to its end, or to where it is broken, as players do; False for nothing."""
    import av

    try:
        for packet in container.demux(stream):
            if not reading.take(packet):
                return False
    except av.FFmpegError:
        return reading.is_decoded
    return reading.is_decoded


def _main_stream(container: InputContainer) -> Playable | None:
    """Return the pictures of a film, or the sound of what has none but a cover."""
    from av.stream import Disposition

    if len(container.streams) > MAX_STREAMS:
        return None
    for film in container.streams.video:
        if not film.disposition & Disposition.attached_pic:
            return film if _is_bounded(film) else None
    return next(iter(container.streams.audio), None)


def _is_bounded(film: VideoStream) -> bool:
    """Return whether frames of this size are decoded; one whose codec is unknown has no size."""
    if film.codec_context is None:
        return False
    return film.width * film.height <= MAX_PIXELS and max(film.width, film.height) <= MAX_SIDE


class _Reading:
    """A stream that is read to its end."""

    def __init__(self, poster: Path | None = None) -> None:
        self._poster = poster
        self._poster_size: tuple[int, int] | None = None
        self._packets = 0
        self._start: float | None = None
        self._end = 0.0
        self._size = (0, 0)
        self.is_decoded = False
        """Whether something of it could be seen or heard."""

    def take(self, packet: AnyPacket) -> bool:
        """Count a packet; return False for a stream that is nothing, or has no end."""
        self._packets += 1
        if not self.is_decoded:
            self._decode(packet)
            if self._packets > MAX_PACKETS_TO_A_FRAME and not self.is_decoded:
                return False
        if packet.pts is not None and packet.time_base is not None:
            start = float(packet.pts * packet.time_base)
            length = float((packet.duration or 0) * packet.time_base)
            self._start = start if self._start is None else min(self._start, start)
            self._end = max(self._end, start + length)
        return self._packets <= MAX_PACKETS

    def _decode(self, packet: AnyPacket) -> None:
        import av

        try:
            frames = packet.decode()
        except av.FFmpegError:  # the first packets of a stream may refer to what is not there
            return
        for frame in frames:
            self.is_decoded = True
            if isinstance(frame, av.VideoFrame):
                is_turned = frame.rotation % 180 != 0
                seen = (frame.width, frame.height)
                self._size = seen[::-1] if is_turned else seen
                if self._poster:
                    self._poster_size = write_poster(frame, self._poster)
            return

    def clip(self, mime_type: str, stream: Playable) -> Clip:
        """Say what was read."""
        seconds = self._end - max(self._start or 0.0, 0.0)
        duration_ms = round(seconds * 1000) if 0 < seconds <= MAX_SECONDS else None
        width, height = self._size if stream.type == "video" else (0, 0)
        return Clip(mime_type, width, height, duration_ms, self._poster_size)
