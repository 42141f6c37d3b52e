"""Matches the shape choices of a model to the shape of a picture.

The catalog names shapes as the providers do: `16:9`, `portrait_4_3`, `square_hd`, `1024x768`; its
labels say how many pixels that is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from atelier.generation.v1.model_pb2 import ModelChoice, ModelOption

Size = tuple[int, int]
"""A width and a height; with a zero it is not known."""

_SIDES = re.compile(r"(?<![\d.])(\d{1,5})\s*[:x×*]\s*(\d{1,5})(?![\d.])")
_NAMED = re.compile(r"(portrait|landscape)_(\d+)_(\d+)(?:_.*)?")
_PIXELS = re.compile(r"(\d{3,5})\s*[x×]\s*(\d{3,5})")


class _Shape(NamedTuple):
    ratio: float
    """The logarithm of width by height: upright and flat are equally far from square."""
    pixels: int
    """The number of pixels; 0 if it is unknown."""


def nearest_choice(option: ModelOption, *, size: Size) -> ModelChoice | None:
    """Return the choice whose shape is nearest to a picture's; None for an option of other things.

    Of two of the same shape it is the one whose number of pixels is nearest to the default's.
    """
    shapes = [_shape_of(choice) for choice in option.choices]
    default = _default_shape(option, shapes)
    if default is None or min(size) <= 0:
        return None
    wanted = _ratio(size)

    def distance(index: int) -> tuple[float, int]:
        shape = shapes[index] or default
        return round(abs(shape.ratio - wanted), 3), abs(shape.pixels - default.pixels)

    known = [index for index, shape in enumerate(shapes) if shape is not None]
    return option.choices[min(known, key=distance)]


def _default_shape(option: ModelOption, shapes: Sequence[_Shape | None]) -> _Shape | None:
    """Return the shape of the default: where that has none, as `auto`, the provider chooses."""
    pairs = zip(option.choices, shapes, strict=True)
    return next((shape for choice, shape in pairs if choice.value == option.default_value), None)


def _shape_of(choice: ModelChoice) -> _Shape | None:
    value = choice.value.string_value
    size = _size_of(value)
    if size is None or min(size) <= 0:
        return None
    told = _PIXELS.search(choice.labels.get("en", value))
    pixels = int(told[1]) * int(told[2]) if told else 0
    return _Shape(_ratio(size), pixels)


def _size_of(value: str) -> Size | None:
    if value.startswith("square"):
        return 1, 1
    if named := _NAMED.fullmatch(value):
        short, long = sorted((int(named[2]), int(named[3])))
        return (short, long) if named[1] == "portrait" else (long, short)
    sides = _SIDES.fullmatch(value)
    return (int(sides[1]), int(sides[2])) if sides else None


def _ratio(size: Size) -> float:
    return math.log(size[0] / size[1])
