"""The four free models as KIE checks and prices them (kie-api.md §4).

KIE's own texts are known for a missing field and for a value outside its options; the texts for
a prompt that is too long and a number out of range are inferred from them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Size = tuple[int, int]
"""Width and height in pixels."""
Rule = Callable[[str, Any], str | None]
"""Takes a field's name and value, returns KIE's complaint or none."""

RATIOS: Mapping[str, Size] = MappingProxyType(
    {
        "1:1": (1024, 1024),
        "4:3": (1024, 768),
        "3:4": (768, 1024),
        "16:9": (1280, 720),
        "9:16": (720, 1280),
    }
)
SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "square": (512, 512),
        "square_hd": (1024, 1024),
        "portrait_4_3": (768, 1024),
        "portrait_16_9": (576, 1024),
        "landscape_4_3": (1024, 768),
        "landscape_16_9": (1024, 576),
    }
)


def _choice(*options: Any) -> Rule:
    def check(name: str, value: Any) -> str | None:
        is_one = any(type(value) is type(option) and value == option for option in options)
        return None if is_one else f"This {name} is not within the range of allowed options"

    return check


def _number(low: float, high: float) -> Rule:
    def check(name: str, value: Any) -> str | None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if is_number and low <= value <= high else f"This {name} is out of range"

    return check


def _text(longest: int) -> Rule:
    def check(name: str, value: Any) -> str | None:
        if not isinstance(value, str):
            return f"This {name} must be a string"
        return None if len(value) <= longest else f"{name} exceeds the limit of {longest}"

    return check


def _whole(name: str, value: Any) -> str | None:
    return None if type(value) is int else f"This {name} must be an integer"


_FLAG = _choice(True, False)
_QWEN: Mapping[str, Rule] = {
    "guidance_scale": _number(0, 20),
    "negative_prompt": _text(500),
    "seed": _whole,
    "output_format": _choice("png", "jpeg"),
    "acceleration": _choice("none", "regular", "high"),
    "enable_safety_checker": _FLAG,
    "nsfw_checker": _FLAG,
}


@dataclass(frozen=True, kw_only=True)
class Model:
    """What KIE knows about one model."""

    price: float
    """KIE credits per picture, or per megapixel."""
    per_megapixel: bool = False
    required: Mapping[str, str] = field(default_factory=dict)
    """The fields that must be there and hold something, each with KIE's complaint."""
    rules: Mapping[str, Rule]
    size: Size | None = (1024, 1024)
    """The size when none is asked for; none takes the size of the picture that is changed."""

    def known(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that the model reads; it ignores the others."""
        return {name: fields[name] for name in self.rules if fields.get(name) is not None}

    def complaint(self, fields: Mapping[str, Any]) -> str | None:
        """Return what KIE says about wrong fields, or none; unknown fields are ignored."""
        for name, text in self.required.items():
            if fields.get(name) in (None, ""):
                return text
        checks = (self.rules[name](name, value) for name, value in self.known(fields).items())
        return next((text for text in checks if text), None)

    def size_of(self, fields: Mapping[str, Any]) -> Size | None:
        """Return the size of the pictures asked for; none means that of the input."""
        known = self.known(fields)
        ratio, size = known.get("aspect_ratio", ""), known.get("image_size", "")
        return RATIOS.get(ratio) or SIZES.get(size) or self.size

    def count_of(self, fields: Mapping[str, Any]) -> int:
        """Return how many pictures are asked for."""
        return int(self.known(fields).get("num_images", 1))

    def cost(self, fields: Mapping[str, Any]) -> float:
        """Return what a task takes, in KIE credits."""
        width, height = self.size_of(fields) or (1000, 1000)
        amount = width * height / 1e6 if self.per_megapixel else 1
        return round(self.price * amount * self.count_of(fields), 2)


_PROMPT = {"prompt": "prompt is required"}
_EDIT = {**_PROMPT, "image_url": "This field is required"}

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "z-image": Model(
            price=0.8,
            # It took an empty input and billed it, so nothing is required here.
            rules={
                "prompt": _text(1000),
                "aspect_ratio": _choice(*RATIOS),
                "nsfw_checker": _FLAG,
            },
        ),
        "qwen/text-to-image": Model(
            price=4,
            per_megapixel=True,
            required=_PROMPT,
            rules={
                **_QWEN,
                "prompt": _text(5000),
                "image_size": _choice(*SIZES),
                "num_inference_steps": _number(2, 250),
            },
        ),
        "qwen/image-to-image": Model(
            price=4,
            required=_EDIT,
            size=None,
            rules={
                **_QWEN,
                "prompt": _text(5000),
                "image_url": _text(10_000),
                "strength": _number(0, 1),
                "num_inference_steps": _number(2, 250),
            },
        ),
        "qwen/image-edit": Model(
            price=6,
            per_megapixel=True,
            required=_EDIT,
            size=SIZES["landscape_4_3"],
            rules={
                **_QWEN,
                "prompt": _text(2000),
                "image_url": _text(10_000),
                "image_size": _choice(*SIZES),
                "num_inference_steps": _number(2, 49),
                "num_images": _choice("1", "2", "3", "4"),
                "sync_mode": _FLAG,
            },
        ),
    }
)
"""The models that the stand-in runs; every other name is refused as unsupported."""
