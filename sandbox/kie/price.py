"""What a task takes, in KIE credits: computed from the price of its model and what was asked."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from sandbox.kie.entry import Json, Price, PricePart

DECIDED = 3
"""How much a model makes where it decides itself: seconds, layers."""

Seconds = Mapping[str, float]
"""The seconds of what was given, summed by field."""


def cost_of(price: Price, fields: Json, *, seconds: Seconds) -> float:
    """Return the credits for one task; the fields have their defaults."""
    total = sum((_part(part, fields, seconds) for part in price.parts), Decimal(0))
    return float(round(total, 4))


def _part(part: PricePart, fields: Json, seconds: Seconds) -> Decimal:
    rate = next((each for each in part.rates if holds(each.when, fields)), None)
    if rate is None:
        return Decimal(0)
    amount = Decimal(rate.credits)
    for quantity in part.times:
        amount *= _amount(quantity, fields, seconds)
    return amount


def holds(when: Json, fields: Mapping[str, Any]) -> bool:
    """Return whether every condition is met; a list names the values that meet it."""
    return all(_meets(expected, fields.get(name)) for name, expected in when.items())


def _meets(expected: Any, value: Any) -> bool:
    if isinstance(expected, dict):
        return bool((value not in (None, "", [])) == expected.get("present", True))
    return bool(value in expected if isinstance(expected, list) else value == expected)


def _amount(quantity: Json, fields: Json, seconds: Seconds) -> Decimal:
    """Return how many units there are; what names no quantity is an error of the document."""
    if "field" in quantity:
        return _counted(quantity, fields, quantity["field"])
    key = next(each for each in _AMOUNTS if each in quantity)
    return _AMOUNTS[key](quantity, fields, seconds)


def _items(quantity: Json, fields: Json, seconds: Seconds) -> Decimal:
    count = len(fields.get(quantity["items"]) or ())
    return Decimal(max(0, count - int(quantity.get("beyond", 0))))


def _seconds(quantity: Json, fields: Json, seconds: Seconds) -> Decimal:
    return _whole(seconds.get(quantity["seconds_of"], 0.0))


def _longest(quantity: Json, fields: Json, seconds: Seconds) -> Decimal:
    return max(_whole(seconds.get(name, 0.0)) for name in quantity["longest_of"])


def _characters(quantity: Json, fields: Json, seconds: Seconds) -> Decimal:
    count = sum(len(str(text)) for text in values_at(fields, quantity["characters"]))
    return Decimal(count) / int(quantity.get("per", 1))


def _megapixels(quantity: Json, fields: Json, seconds: Seconds) -> Decimal:
    table = quantity["megapixels"]
    return Decimal(str(table["values"].get(str(fields.get(table["field"])), 1)))


_AMOUNTS: Mapping[str, Callable[[Json, Json, Seconds], Decimal]] = {
    "items": _items,
    "seconds_of": _seconds,
    "longest_of": _longest,
    "characters": _characters,
    "megapixels": _megapixels,
    "constant": lambda quantity, fields, seconds: Decimal(str(quantity["constant"])),
    "at_most": lambda quantity, fields, seconds: decided(quantity["at_most"]),
}


def decided(ceiling: Any) -> Decimal:
    """Return how much a model makes that decides itself, within its ceiling."""
    most = Decimal(str(ceiling))
    return min(most, Decimal(DECIDED)) if most >= 1 else most / 2


def _counted(quantity: Json, fields: Json, name: str) -> Decimal:
    """Return a number in the fields; one that is below zero or missing lets the model decide."""
    found = [number(value) for value in values_at(fields, name)]
    if not found and "absent" in quantity:
        return number(quantity["absent"])
    if (not found or min(found) < 0) and "at_most" in quantity:
        return decided(quantity["at_most"])
    total = sum(found, Decimal(0))
    divisor = quantity.get("divided_by")
    return _whole(total / number(fields.get(divisor, 1))) if divisor else total


def _whole(amount: float | Decimal) -> Decimal:
    return Decimal(math.ceil(round(float(amount), 3)))


def number(value: Any) -> Decimal:
    """Return a number, from the beginning of a text as well."""
    found = re.match(r"-?\d+(\.\d+)?", str(value))
    return Decimal(found.group()) if found else Decimal(0)


def values_at(fields: Any, path: str) -> Iterator[Any]:
    """Yield what stands at a path such as `dialogue[].text`."""
    name, _, rest = path.partition(".")
    found = fields.get(name.removesuffix("[]")) if isinstance(fields, Mapping) else None
    for each in found if isinstance(found, list) else [found]:
        if rest:
            yield from values_at(each, rest)
        elif each is not None:
            yield each
