"""Drawing: a prompt on a generated background, an instruction on a changed picture."""

import random
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from sandbox.kie.model import Size

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""

ACCEPTED_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SYSTEM_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")
SMALLEST_FONT = 14
LONGEST_TEXT = 1500
"""The number of letters that are drawn at most: more would not be read."""
STROKE = 2


class UnreadablePictureError(Exception):
    """The bytes are no picture that KIE takes."""


def paint(prompt: str, *, size: Size, seed: int) -> Image.Image:
    """Return a picture of the size with the prompt on a background that the seed chooses."""
    chance = random.Random(f"{prompt}{seed}")
    picture = _background(size, chance)
    write(picture, prompt, box=(0, 0, *size))
    return picture


def repaint(
    source: bytes, instruction: str, *, size: Size | None, strength: float, seed: int
) -> Image.Image:
    """Return the source in other colours, with the instruction on a banner below.

    No size keeps that of the source. Raises UnreadablePictureError.
    """
    original = opened(source)
    if size:
        original = ImageOps.fit(original, size)
    chance = random.Random(f"{instruction}{seed}")
    changed = tinted(chance, strength=strength)(original)
    banner = (0, changed.height * 3 // 4, *changed.size)
    ImageDraw.Draw(changed).rectangle(banner, fill=_colour(chance, lightness=30))
    write(changed, instruction, box=banner)
    return changed


def tinted(chance: random.Random, *, strength: float = 0.8) -> Callable[[Image.Image], Image.Image]:
    """Return what takes a picture into two colours of chance, as far as the strength says."""
    colours = _two_colours(chance)

    def change(picture: Image.Image) -> Image.Image:
        coloured = ImageOps.colorize(ImageOps.grayscale(picture), *colours)
        return Image.blend(picture.convert("RGB"), coloured, 0.3 + 0.5 * strength)

    return change


def encode_picture(picture: Image.Image, file_format: str) -> bytes:
    """Return the picture as `png`, `jpeg` or `webp`."""
    out = BytesIO()
    options = {"compress_level": 1} if file_format == "png" else {"quality": 85}
    is_flat = file_format == "jpeg" and picture.mode != "RGB"
    (picture.convert("RGB") if is_flat else picture).save(out, file_format.upper(), **options)
    return out.getvalue()


def opened(source: bytes) -> Image.Image:
    """Return the picture, upright; raises UnreadablePictureError."""
    try:
        with Image.open(BytesIO(source), formats=ACCEPTED_FORMATS) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UnreadablePictureError from error


def _background(size: Size, chance: random.Random) -> Image.Image:
    slope = Image.linear_gradient("L").rotate(chance.choice((0, 90, 180, 270))).resize(size)
    picture = ImageOps.colorize(slope, *_two_colours(chance))
    draw = ImageDraw.Draw(picture)
    for _ in range(5):
        centre = (chance.randrange(size[0]), chance.randrange(size[1]))
        draw.circle(centre, chance.randrange(min(size) // 4), fill=_colour(chance, lightness=60))
    return picture


def _two_colours(chance: random.Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return _colour(chance, lightness=22), _colour(chance, lightness=80)


def _colour(chance: random.Random, *, lightness: int) -> tuple[int, ...]:
    return ImageColor.getrgb(f"hsl({chance.randrange(360)}, 65%, {lightness}%)")


def write(picture: Image.Image, text: str, *, box: Box) -> None:
    """Put the text into the middle of the box, as large as fits, with a dark edge."""
    left, top, right, bottom = box
    if not text.strip():
        return
    shown = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
    layout, font = _fitted(shown, size=(right - left, bottom - top))
    ImageDraw.Draw(picture).multiline_text(
        ((left + right) / 2, (top + bottom) / 2),
        layout,
        font=font,
        anchor="mm",
        align="center",
        fill="white",
        stroke_width=STROKE,
        stroke_fill="black",
    )


def _fitted(text: str, *, size: Size) -> tuple[str, Font]:
    """Return the text in lines, and the largest font in which they fit; the rest is cut off."""
    width, height = size[0] * 0.9, size[1] * 0.9
    pixels = max(SMALLEST_FONT, min(size[1] // 3, size[0] // 10))
    while True:
        font = _font(pixels)
        lines = _wrapped(text, font=font, width=width)
        needed = _height(lines, font)
        if needed <= height:
            return "\n".join(lines), font
        if pixels == SMALLEST_FONT:
            return "\n".join(_cut(lines, share=height / needed)), font
        pixels = max(SMALLEST_FONT, pixels * 4 // 5)


def _height(lines: list[str], font: Font) -> float:
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    return draw.multiline_textbbox((0, 0), "\n".join(lines), font=font, stroke_width=STROKE)[3]


def _wrapped(text: str, *, font: Font, width: float) -> list[str]:
    """Break the text into lines, and words that are longer than a line."""
    lines = [""]
    for word in text.split():
        candidate = f"{lines[-1]} {word}".strip()
        if font.getlength(candidate) <= width:
            lines[-1] = candidate
        else:
            lines += _broken(word, font=font, width=width)
    return [line for line in lines if line]


def _broken(word: str, *, font: Font, width: float) -> list[str]:
    pieces = [""]
    for letter in word:
        if font.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _cut(lines: list[str], *, share: float) -> list[str]:
    kept = lines[: max(1, int(len(lines) * share))]
    return [*kept[:-1], f"{kept[-1]}…"]


@cache
def _font(pixels: int) -> Font:
    """Return a font with Cyrillic letters where there is one; Pillow's own has only Latin."""
    for source in (*_packaged_fonts(), *SYSTEM_FONTS):
        try:
            return ImageFont.truetype(source, pixels)
        except OSError:
            continue
    return ImageFont.load_default(pixels)


def _packaged_fonts() -> list[str]:
    spec = find_spec("fontpkg_roboto")
    if spec is None or spec.origin is None:
        return []
    return sorted(map(str, (Path(spec.origin).parent / "files").glob("Roboto[[]*.ttf")))
