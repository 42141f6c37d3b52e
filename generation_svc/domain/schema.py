"""JSON values and the JSON Schemas that describe them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonSchema: TypeAlias = Mapping[str, Any]
JsonObject: TypeAlias = dict[str, JsonValue]
Steps: TypeAlias = tuple[str | int, ...]
"""The keys and indices that lead to a place in a JSON value."""


def spelled(steps: Steps) -> str:
    """Return a path as violations spell it, such as `shots[1].prompt`."""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
