"""Writes the poster of a video: its first frame that can be decoded, as a small JPEG beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import VideoFrame
    from PIL.Image import Image

POSTER_SIDE = 320
"""The longest side of a poster: what chats take as a thumbnail."""
_QUALITY = 85


def poster_of(path: Path) -> Path:
    """Return where the poster of a video lies."""
    return path.with_suffix(".poster")


def write_poster(frame: VideoFrame, path: Path) -> tuple[int, int] | None:
    """Write a frame as people see it, and return its size.

    None where it cannot be written, which is no fault of the video's.
    """
    import av

    try:
        picture: Image = frame.to_image()  # type: ignore[no-untyped-call]
        turned = picture.rotate(frame.rotation, expand=True) if frame.rotation else picture
        turned.thumbnail((POSTER_SIDE, POSTER_SIDE))
        turned.convert("RGB").save(path, "JPEG", quality=_QUALITY)
    except (av.FFmpegError, MemoryError, ValueError, ArithmeticError):
        path.unlink(missing_ok=True)
        return None
    return turned.size
