"""How large a result is to be: the proportions that were asked for, in few pixels.

Real results have up to 4096 pixels a side; these have some hundred, so that thousands can be made.
A higher resolution is still larger than a lower one.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from sandbox.kie.probe import Size

_PROPORTIONS = ("aspect_ratio", "ratio", "image_size", "size")
_RESOLUTIONS = ("resolution", "image_resolution", "output_resolution", "quality", "mode", "size")
_WORDS = {"square": (1, 1), "square_hd": (1, 1), "portrait": (9, 16), "landscape": (16, 9)}
_PAIR = re.compile(r"(portrait_|landscape_)?(\d+)\s?[:x*_×]\s?(\d+)", re.IGNORECASE)
_LINES = re.compile(r"(\d+(?:\.\d+)?)(p|k)?", re.IGNORECASE)
_WIDTHS = {"basic": 1024, "standard": 1024, "std": 720, "pro": 1080, "high": 2048, "ultra": 4096}
PICTURE_SIDES = (384, 768)
"""The longest side of the smallest and of the largest picture."""
VIDEO_SIDES = (320, 480)


def size_for(
    fields: Mapping[str, Any], *, sides: tuple[int, int], like: Size | None, usual: Size
) -> Size:
    """Return the size of a result; `like` is that of a given picture, which `auto` follows."""
    width, height = _proportion(fields) or like or usual
    longest = _longest(fields, sides)
    scale = longest / max(width, height)
    return _even(width * scale), _even(height * scale)


def _proportion(fields: Mapping[str, Any]) -> Size | None:
    for name in _PROPORTIONS:
        value = str(fields.get(name, ""))
        if found := _PAIR.fullmatch(value):
            turn, one, other = found.groups()
            pair = (int(one), int(other))
            return pair[::-1] if (turn or "").lower() == "portrait_" else pair
        if value in _WORDS:
            return _WORDS[value]
    return None


def _longest(fields: Mapping[str, Any], sides: tuple[int, int]) -> int:
    least, most = sides
    told = (_lines(str(fields.get(name, ""))) for name in _RESOLUTIONS)
    wanted = next((lines for lines in told if lines), 720.0)
    share = (min(wanted, 4096) - 360) / (4096 - 360)
    return round(least + (most - least) * math.sqrt(max(0.0, share)))


def _lines(value: str) -> float:
    """Return the lines of a resolution such as `720p`, `2K` or `high`; 0 for other words."""
    if value.lower() in _WIDTHS:
        return _WIDTHS[value.lower()]
    found = _LINES.fullmatch(value)
    if found is None:
        return 0
    return float(found[1]) * (1024 if (found[2] or "").lower() == "k" else 1)


def _even(pixels: float) -> int:
    """Return an even number, which H.264 asks for."""
    return max(32, round(pixels / 2) * 2)
