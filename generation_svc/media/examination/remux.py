"""Writes an uploaded clip anew, with its pictures and its sound and nothing else.

Metadata, chapters, covers, subtitles and the tracks in which cameras keep places and movements stay
behind; what is seen and heard is copied, not encoded again. So is the rotation. Cameras hide the
place and their serial number in messages between the pictures of H.264, too: those go.

A header is not believed: a clip that says that it is much longer than what is there was cut off, or
made to lead astray.
"""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from generation_svc.media.examination.camera_message import filter_for
from generation_svc.media.examination.clip import MAX_PACKETS, MAX_STREAMS, Clip, probe
from generation_svc.media.examination.layout import Fault, Refused
from generation_svc.media.examination.packet import timed
from generation_svc.media.examination.sniff import (
    HEAD_BYTES,
    MATROSKA,
    MP4,
    QUICKTIME,
    WEBM,
    ClipFormat,
)

if TYPE_CHECKING:
    from av import AudioStream, VideoStream
    from av.container import InputContainer, OutputContainer

    Playable: TypeAlias = VideoStream | AudioStream

_MUXERS = {"mov": "mp4", "aac": "adts"}
"""FFmpeg's names of formats that it writes under another name than it reads them."""
_MP4_CODECS = frozenset(
    {"h264", "hevc", "av1", "mpeg4", "aac", "mp3", "ac3", "eac3", "alac", "opus"}
)
"""What a film of a telephone may hold for being written as MP4, which every model reads."""
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1", "libdav1d", "opus", "vorbis"})
"""What a Matroska may hold for being written as WebM, which is the same for fewer codecs."""
_TOLERATED_SECONDS = 2.0
_WRITTEN_AS_IT_CAME = 0x7FFF_0000
"""Sizes from here on say that the length was not known when the header was written."""
_TOLERATED_SHARE = 0.05
_READ_OPTIONS = {
    "protocol_whitelist": "file",
    "probesize": "8388608",
    "analyzeduration": "10000000",
}
_WRITE_OPTIONS = {"fflags": "+bitexact"}
"""Nothing is written of who wrote it."""
_FORMAT_OPTIONS = {
    "mp4": {"movflags": "+faststart"},
    "mov": {"movflags": "+faststart"},
    "mp3": {"id3v2_version": "0"},
}


def rewrite(path: Path, clip_format: ClipFormat) -> Clip:
    """Say what an uploaded clip is, and leave in its file what of it is kept. Raises Refused."""
    import av

    av.logging.set_level(None)
    beside = path.with_suffix(".new")
    try:
        kept_format, declared = _copied(path, beside, clip_format)
    except (av.FFmpegError, MemoryError, ValueError, ArithmeticError) as error:
        raise _damaged() from error
    clip = probe(beside, kept_format)
    if clip is None or clip.duration_ms is None:
        raise _damaged()
    _check_length(declared, clip.duration_ms / 1000)
    beside.replace(path)
    return clip


def _copied(path: Path, to: Path, clip_format: ClipFormat) -> tuple[ClipFormat, float]:
    """Copy what is seen and heard; return its format and the seconds that the header declares."""
    import av

    with ExitStack() as stack:
        source = stack.enter_context(
            av.open(
                f"file:{path}",
                format=clip_format.demuxer,
                options=_READ_OPTIONS,
                metadata_errors="replace",
            )
        )
        streams = _streams(source, clip_format)
        kept_format = _kept_format(clip_format, streams)
        muxer = _muxer(kept_format)
        options = {**_WRITE_OPTIONS, **_FORMAT_OPTIONS.get(muxer, {})}
        target = stack.enter_context(av.open(f"file:{to}", "w", format=muxer, options=options))
        declared = _declared_seconds(source, streams, path=path)
        _copy(source, target, streams)
    return kept_format, declared


def _streams(container: InputContainer, clip_format: ClipFormat) -> list[Playable]:
    """Return the film and its sound, the first of each that is known. Raises Refused."""
    from av.stream import Disposition

    if len(container.streams) > MAX_STREAMS:
        raise Refused(Fault.LIMIT, "The file has too many tracks.")
    films = (
        film
        for film in container.streams.video
        if film.codec_context and not film.disposition & Disposition.attached_pic
    )
    sounds = (sound for sound in container.streams.audio if sound.codec_context)
    found = [next(films, None), next(sounds, None)]
    streams = [stream for stream in found if stream is not None]
    if found[0] is not None and not clip_format.video_type:
        raise Refused(Fault.UNKNOWN, "No model accepts videos of this type.")
    if not streams:
        raise Refused(Fault.UNKNOWN, "The file holds no video and no sound that can be played.")
    return streams


def _kept_format(clip_format: ClipFormat, streams: list[Playable]) -> ClipFormat:
    """Return the format to write: one that more models read, where it holds the same codecs."""
    codecs = {stream.codec_context.name for stream in streams}
    if clip_format is MATROSKA and codecs <= _WEBM_CODECS:
        return WEBM
    return MP4 if clip_format in (QUICKTIME, MATROSKA) and codecs <= _MP4_CODECS else clip_format


def _muxer(clip_format: ClipFormat) -> str:
    if clip_format is QUICKTIME:
        return "mov"
    if clip_format is WEBM:
        return "webm"
    return _MUXERS.get(clip_format.demuxer, clip_format.demuxer)


def _copy(source: InputContainer, target: OutputContainer, streams: list[Playable]) -> None:
    targets = {each.index: target.add_stream_from_template(each, opaque=True) for each in streams}
    filters = {
        each.index: filter_for(each.codec_context.name, each.codec_context.extradata)
        for each in streams
    }
    for count, packet in enumerate(timed(source.demux(streams))):
        if count > MAX_PACKETS:
            raise Refused(Fault.LIMIT, "The file is too long.")
        messages = filters[packet.stream.index]
        if messages:
            messages.blank(memoryview(packet))
        packet.stream = targets[packet.stream.index]
        target.mux(packet)


def _declared_seconds(container: InputContainer, streams: list[Playable], *, path: Path) -> float:
    """Return the length that headers declare; 0 where none does, or where FFmpeg guessed it."""
    if container.format.name in ("mp3", "aac"):
        return 0.0
    if container.format.name == "wav":  # FFmpeg tells the length of what is there
        return _wav_seconds(path)
    lengths = ((stream.duration, stream.time_base) for stream in streams)
    each = [length * base for length, base in lengths if length and base]
    each += [Fraction(container.duration, 1_000_000)] if container.duration else []
    return float(max(each, default=0))


def _wav_seconds(path: Path) -> float:
    """Return the length that a WAV's header declares; 0 for one that was written as it came."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    rate = head[head.find(b"fmt ") + 16 :][:4]
    size = head[head.find(b"data") + 4 :][:4]
    is_found = b"fmt " in head and b"data" in head
    bytes_per_second, declared = int.from_bytes(rate, "little"), int.from_bytes(size, "little")
    is_known = is_found and bytes_per_second and declared < _WRITTEN_AS_IT_CAME
    return declared / bytes_per_second if is_known else 0.0


def _check_length(declared: float, found: float) -> None:
    if declared > found * (1 + _TOLERATED_SHARE) + _TOLERATED_SECONDS:
        text = f"The file says that it plays for {declared:.0f} s, but it holds only {found:.0f} s"
        raise Refused(Fault.DAMAGED, f"{text}: it is incomplete.")


def _damaged() -> Refused:
    return Refused(Fault.DAMAGED, "The video or sound is damaged or incomplete.")
