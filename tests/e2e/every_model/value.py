"""The values that each field of a model is tried with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from generation_svc.catalog.example import field_value, value_at
from generation_svc.domain.input_check import DifferenceCheck
from generation_svc.domain.media_input import MediaInput
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject

SMALL = 8
"""The most values of a field whose pairs with those of others are tried, too."""
LONGEST_TEXT = 5_000
"""The length to which a text is tried where a model takes longer ones."""
LATE = 60
"""What is added to a number that must be above another one."""
MOST_MEDIA = 4
"""The number of media to which a list is tried where a model takes more."""


class _Absent:
    def __repr__(self) -> str:
        return "left out"


ABSENT: Any = _Absent()
"""Stands for a field that is left out."""


@dataclass(frozen=True)
class Values:
    """The values of one field."""

    field: str
    small: tuple[Any, ...]
    """Those that are tried in pairs with those of other fields; none for a large field."""
    alone: tuple[Any, ...]
    """Those that are tried once."""

    @property
    def all(self) -> tuple[Any, ...]:
        return (*self.small, *self.alone)


def values_of(model: Model, rng: random.Random) -> list[Values]:
    """Return what each field is tried with."""
    return [_values(model, name, rng) for name in model.properties]


def _values(model: Model, name: str, rng: random.Random) -> Values:
    schema: Any = model.properties[name]
    plain, alone = [*_plain(model, name, schema, rng)], [*_extreme(model, name, schema, rng)]
    if not _is_needed(model, name):
        plain.insert(0, ABSENT)
    is_small = len(plain) <= SMALL
    return Values(
        name, tuple(plain) if is_small else (), tuple(alone if is_small else plain + alone)
    )


def _is_needed(model: Model, name: str) -> bool:
    """Return whether a field is required, if only because each branch requires it."""
    branches = model.input_schema.get("oneOf", ())
    in_all = bool(branches) and all(name in each.get("required", ()) for each in branches)
    return in_all or name in model.required


def _plain(model: Model, name: str, schema: Any, rng: random.Random) -> Iterator[Any]:
    if "const" in schema:
        yield schema["const"]
    elif "enum" in schema:
        yield from schema["enum"]
    elif schema["type"] == "boolean":
        yield from (True, False)
    elif schema["type"] in ("integer", "number") and {"minimum", "maximum"} <= schema.keys():
        yield from _numbers(schema)
    elif schema["type"] == "array" and "enum" in schema["items"]:
        least = max(1, schema.get("minItems", 0))
        choices = schema["items"]["enum"]
        yield from ([(choices * 2)[n : n + least] for n in range(len(choices))])
    elif "examples" in schema:
        yield from schema["examples"]
    else:
        yield _late_enough(model, name, field_value(model, name, rng=rng))


def _numbers(schema: Any) -> Iterator[float]:
    """Yield the smallest number, one in the middle and the largest."""
    least, most, step = schema["minimum"], schema["maximum"], schema.get("multipleOf", 1)
    middle = least + step * (int((most - least) / step) // 2)
    for number in dict.fromkeys((least, round(middle, 6), most)):
        yield int(number) if number == int(number) else number


def _extreme(model: Model, name: str, schema: Any, rng: random.Random) -> Iterator[Any]:
    """Yield the longest text, the longest list, and what the objects of a list may hold."""
    is_open = "maxLength" in schema and not {"enum", "const", "examples"} & schema.keys()
    if schema["type"] == "string" and model.special_input(name) is None and is_open:
        yield _longest(schema["maxLength"])
    if schema["type"] == "array":
        yield from _lists(model, name, schema, rng)


def _longest(most: int) -> str:
    """Return words without a space at the end, which would not be kept."""
    return ("abcdefghi " * LONGEST_TEXT)[: min(most, LONGEST_TEXT) - 1] + "z"


def _lists(model: Model, name: str, schema: Any, rng: random.Random) -> Iterator[Any]:
    items = schema["items"]
    if items.get("type") == "object":
        for branch in items.get("oneOf", (items,)):
            yield from _objects(model, name, branch, rng)
    elif isinstance(model.special_input(name), MediaInput):
        most = max(schema.get("minItems", 1), min(schema["maxItems"], MOST_MEDIA))
        yield [value_at(model, items, path=name, rng=rng)] * most


def _objects(model: Model, name: str, branch: Any, rng: random.Random) -> Iterator[Any]:
    """Yield lists of which the first object holds each value that a field of it takes."""
    least = max(1, model.properties[name].get("minItems", 0))
    for field, rule in branch["properties"].items():
        path = f"{name}[].{field}"
        made = value_at(model, rule, path=path, rng=rng)
        for value in rule.get("enum", (made,)):
            items = [value_at(model, branch, path=f"{name}[]", rng=rng) for _ in range(least)]
            first: Any = items[0]
            first[field] = deepcopy(value)
            _keep_apart(model, name, first)
            yield items


def _keep_apart(model: Model, name: str, item: JsonObject) -> None:
    """Have the end in an object of a list follow its start."""
    for check in model.checks:
        if isinstance(check, DifferenceCheck) and check.holder == name and check.start in item:
            start: Any = item[check.start]
            item[check.end] = start + (check.at_least or check.at_most or 1)


def _late_enough(model: Model, name: str, value: Any) -> Any:
    """Return a number that can follow any start from which it must be apart."""
    ends = (each for each in model.checks if isinstance(each, DifferenceCheck))
    is_end = any(each.end == name and each.at_most is None for each in ends)
    return value + LATE if is_end else value
