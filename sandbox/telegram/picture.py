"""Photos as Telegram keeps them: checked, and turned into JPEGs of several sizes."""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageOps

from sandbox.telegram.error import bad_request
from sandbox.telegram.limit import (
    PHOTO_RATIO,
    PHOTO_SIDES,
    PHOTO_SIDES_SUM,
    THUMBNAIL_BYTES,
    THUMBNAIL_SIDE,
)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")


@dataclass(frozen=True)
class Picture:
    """One size of a photo."""

    data: bytes
    width: int
    height: int


def photo_sizes(data: bytes) -> list[Picture]:
    """Return the sizes of a photo, smallest first; raise a 400 for what is no photo."""
    image = _opened(data)
    if sum(image.size) > PHOTO_SIDES_SUM or max(image.size) > PHOTO_RATIO * min(image.size):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    longest = max(image.size)
    sides = [side for side in PHOTO_SIDES if side < longest]
    return [_resized(image, side) for side in [*sides, min(longest, PHOTO_SIDES[-1])]]


def thumbnail(data: bytes) -> Picture | None:
    """Return the preview of a document that is a picture."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            return _resized(image.convert("RGB"), THUMBNAIL_SIDE)
    except (OSError, Image.DecompressionBombError):
        return None


def sent_thumbnail(data: bytes) -> Picture | None:
    """Return the preview that a bot has sent along; nothing for one that Telegram ignores."""
    try:
        with Image.open(BytesIO(data), formats=("JPEG",)) as image:
            is_small = len(data) <= THUMBNAIL_BYTES and max(image.size) <= THUMBNAIL_SIDE
            return Picture(data, *image.size) if is_small else None
    except (OSError, Image.DecompressionBombError):
        return None


def _opened(data: bytes) -> Image.Image:
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            turned = ImageOps.exif_transpose(image)
            return _on_white(turned)
    except (OSError, Image.DecompressionBombError) as error:
        raise bad_request("IMAGE_PROCESS_FAILED") from error


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")


def _resized(image: Image.Image, side: int) -> Picture:
    copy = image.copy()
    copy.thumbnail((side, side), Image.Resampling.LANCZOS)
    output = BytesIO()
    copy.save(output, "JPEG", quality=87)
    return Picture(output.getvalue(), *copy.size)
