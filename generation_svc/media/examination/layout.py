"""The layout of an image file, and the reasons to refuse one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_PIXELS = 64_000_000
"""The largest number of pixels: a telephone's 50 megapixels fit, a decompression bomb does not."""

MAX_SIDE = 32_768
"""The longest side: a panorama fits, a line of 60 million pixels does not."""


class Fault(StrEnum):
    """Why a file is not taken."""

    UNKNOWN = "unknown"
    """It is of no known type."""
    DAMAGED = "damaged"
    """It is broken or was cut off: another copy of it may be whole."""
    LIMIT = "limit"
    """It asks for more than is allowed; so will every copy of it."""


class Refused(Exception):
    """The bytes are no picture that is taken; the text is a sentence for people."""

    def __init__(self, fault: Fault, text: str) -> None:
        self.fault = fault
        self.text = text
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture's file, read by its structure alone: nothing of it was decoded."""

    width: int
    """As stored, before its orientation is applied."""
    height: int
    end: int
    """Where the picture ends; what stands behind it is none of it."""
    clean: bytes
    """The same picture without metadata: colours and orientation are kept."""
    orientation: int = 1
    """The EXIF orientation, 1 to 8."""
    frames: int = 1

    @property
    def seen_size(self) -> tuple[int, int]:
        """The width and height that a person sees."""
        is_turned = self.orientation >= 5
        return (self.height, self.width) if is_turned else (self.width, self.height)


def damaged() -> Refused:
    """Return what is raised for a broken file."""
    return Refused(Fault.DAMAGED, "The image is damaged or incomplete.")


def too_many(what: str) -> Refused:
    """Return what is raised for a file of too many parts."""
    return Refused(Fault.LIMIT, f"The image has too many {what}.")


def check_size(width: int, height: int, *, most: int = MAX_PIXELS) -> None:
    """Raise Refused for a picture without pixels or with too many of them."""
    if width < 1 or height < 1:
        raise damaged()
    if width * height > most:
        megapixels = most // 10**6
        raise Refused(Fault.LIMIT, f"The image has more than {megapixels} megapixels.")
    if max(width, height) > MAX_SIDE:
        raise Refused(Fault.LIMIT, f"The image has a side of more than {MAX_SIDE} pixels.")
