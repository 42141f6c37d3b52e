"""What a task makes: files, and what the record says of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from sandbox.kie.picture import encode_picture

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=True)
class Made:
    """A file that was made: the bytes, and how many zeros come after them."""

    content: bytes
    mime_type: str
    ending: str
    padding: int = 0


@dataclass(kw_only=True)
class Result:
    """What `resultJson` will hold, with files in the places of their links."""

    told: Json
    ids: dict[str, str] = field(default_factory=dict)
    """The ids that later tasks may name, each with its kind: `audio`, `persona`, `voice`."""


def files(*made: Made) -> Result:
    """Return a result of files alone."""
    return Result(told={"resultUrls": list(made)})


def linked(told: Any, publish: Callable[[Made], str]) -> Any:
    """Return the same with links in the places of the files."""
    if isinstance(told, Made):
        return publish(told)
    if isinstance(told, dict):
        return {key: linked(value, publish) for key, value in told.items()}
    return [linked(each, publish) for each in told] if isinstance(told, list) else told


def picture_file(picture: Image.Image, file_format: str) -> Made:
    """Return the picture as a file: `png`, `jpeg` or `webp`."""
    content = encode_picture(picture, file_format)
    return Made(content=content, mime_type=f"image/{file_format}", ending=file_format)


def video_file(content: bytes, ending: str = "mp4", *, padding: int = 0) -> Made:
    """Return a video as a file: `mp4` or `mov`."""
    mime_type = {"mov": "video/quicktime"}.get(ending, "video/mp4")
    return Made(content=content, mime_type=mime_type, ending=ending, padding=padding)


def sound_file(content: bytes, ending: str = "mp3") -> Made:
    """Return sound as a file."""
    mime_type = {"wav": "audio/wav"}.get(ending, "audio/mpeg")
    return Made(content=content, mime_type=mime_type, ending=ending)
