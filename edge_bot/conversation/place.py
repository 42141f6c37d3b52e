"""The places at which answers stand in the inputs.

A place is `prompt`, `shots[1].prompt` in the second object of a list, or `shots[1]`, which is
that object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

from edge_bot.view.input_form import JsonValue

_ITEM = re.compile(r"(\w+)\[(\d+)\](?:\.(\w+))?")


@dataclass(frozen=True, slots=True)
class ItemPlace:
    """The place of an object of a list, or of an answer in it."""

    path: str
    """The place of the list."""
    index: int
    """Which object of the list it is, from 0."""
    name: str
    """The name of the input in the object; empty if the object itself is meant."""


def item_of(place: str) -> ItemPlace | None:
    """Return where in a list a place is; None if it is in none."""
    found = _ITEM.fullmatch(place)
    return ItemPlace(found[1], int(found[2]), found[3] or "") if found else None


def value_at(inputs: Mapping[str, JsonValue], place: str) -> JsonValue:
    """Return the answer at a place; None if there is none."""
    item = item_of(place)
    if not item:
        return inputs.get(place)
    items = inputs.get(item.path, [])
    if item.index >= len(items):
        return None
    return items[item.index].get(item.name) if item.name else items[item.index]


def placed(inputs: Mapping[str, JsonValue], place: str, value: JsonValue) -> dict[str, JsonValue]:
    """Return the inputs with an answer at a place, in a new item if there is none yet."""
    answered = deepcopy(dict(inputs))
    item = item_of(place)
    if not item:
        return {**answered, place: value}
    items = answered.setdefault(item.path, [])
    if item.index >= len(items):
        items.append({})
    items[min(item.index, len(items) - 1)][item.name] = value
    return answered
