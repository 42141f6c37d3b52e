"""Pictures made of given ones: larger, cut out, in layers, several in one."""

import random
from collections.abc import Sequence

from PIL import Image, ImageColor, ImageDraw, ImageOps

from sandbox.kie.picture import repaint
from sandbox.kie.probe import Size

LARGEST_SIDE = 4096
LEAST_GROWTH = 1.1
LAYER_SHARES = ((0.05, 0.1, 0.5, 0.6), (0.45, 0.3, 0.95, 0.9), (0.2, 0.55, 0.7, 0.98))
"""Where in the picture the cut-outs of the layers lie: left, top, right, bottom."""


def enlarged(picture: Image.Image, *, factor: float) -> Image.Image:
    """Return the picture larger by the factor, as far as `LARGEST_SIDE`, but always larger."""
    room = max(LARGEST_SIDE / max(picture.size), LEAST_GROWTH)
    scale = max(LEAST_GROWTH, min(factor, room))
    size = (round(picture.width * scale), round(picture.height * scale))
    return picture.resize(size, Image.Resampling.BICUBIC)


def cut_out(picture: Image.Image) -> Image.Image:
    """Return what is in the middle; around it everything is transparent."""
    inset = (picture.width // 8, picture.height // 8)
    return _cut(picture, (*inset, picture.width - inset[0], picture.height - inset[1]))


def layers(picture: Image.Image, *, count: int) -> list[Image.Image]:
    """Return the ground and then the layers that lie on it, which are transparent around."""
    shares = LAYER_SHARES[: count - 1]
    boxes = [
        (left * picture.width, top * picture.height, right * picture.width, low * picture.height)
        for left, top, right, low in shares
    ]
    return [ImageOps.posterize(picture.convert("RGB"), 3), *(_cut(picture, box) for box in boxes)]


def composed(
    pictures: Sequence[bytes], prompt: str, *, size: Size | None, strength: float, seed: int
) -> Image.Image:
    """Return the first picture changed, with the others small along its upper edge."""
    changed = repaint(pictures[0], prompt, size=size, strength=strength, seed=seed)
    side = max(16, min(changed.size) // 6)
    for number, content in enumerate(pictures[1:]):
        small = repaint(content, "", size=(side, side), strength=0, seed=seed)
        changed.paste(small, (4 + number * (side + 4), 4))
    return changed


def marked(picture: Image.Image, boxes: Sequence[tuple[int, int, int, int]]) -> Image.Image:
    """Return the picture with numbered frames around its parts."""
    shown = picture.convert("RGB")
    draw = ImageDraw.Draw(shown)
    for number, box in enumerate(boxes):
        hue = random.Random(number).randrange(360)
        draw.rectangle(box, outline=ImageColor.getrgb(f"hsl({hue}, 90%, 50%)"), width=3)
    return shown


def mask(size: Size, box: tuple[float, float, float, float]) -> Image.Image:
    """Return a picture that is white within the ellipse in the box, and black elsewhere."""
    drawn = Image.new("L", size)
    ImageDraw.Draw(drawn).ellipse(box, fill=255)
    return drawn


def _cut(picture: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    cut = picture.convert("RGBA")
    cut.putalpha(mask(picture.size, box))
    return cut
