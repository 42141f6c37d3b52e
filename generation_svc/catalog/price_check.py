"""Checks that the price of an entry speaks of fields that there are, and covers their values."""

from collections.abc import Iterator
from typing import Any

from generation_svc.catalog.quantity_check import always_given, quantity_problems

_Entry = dict[str, Any]


def price_problems(entry: _Entry) -> Iterator[str]:
    """Yield what is wrong with the price of each offer."""
    for offer in entry["offers"]:
        for number, part in enumerate(offer["price"].get("parts", ())):
            yield from _condition_problems(entry, part)
            yield from _quantity_problems(entry, part)
            if number == 0 and "partial" not in offer["price"]:
                yield from _gaps(entry, part)


def _condition_problems(entry: _Entry, part: _Entry) -> Iterator[str]:
    properties = entry["input_schema"]["properties"]
    for rate in part["rates"]:
        for field, wanted in rate.get("when", {}).items():
            if field not in properties:
                yield f"a price depends on {field}, which is not in the input schema"
                continue
            values = wanted if isinstance(wanted, list) else [wanted]
            allowed = properties[field].get("enum")
            if allowed and not isinstance(wanted, dict):
                for value in (each for each in values if each not in allowed):
                    yield f"a price depends on {field} being {value!r}, which it can never be"


def _quantity_problems(entry: _Entry, part: _Entry) -> Iterator[str]:
    measured = {each["name"]: each["kind"] for each in entry.get("media_inputs", ())}
    for quantity in part["times"]:
        for field in (quantity.get("seconds_of"), *quantity.get("longest_of", ())):
            if field is not None and measured.get(field) not in ("video", "audio"):
                yield f"a price counts the seconds of {field}, which is neither video nor audio"
        yield from quantity_problems(entry, quantity)


def _gaps(entry: _Entry, part: _Entry) -> Iterator[str]:
    """Yield the fields some of whose values no rate speaks of, where none holds always."""
    if any("when" not in rate for rate in part["rates"]):
        return
    properties = entry["input_schema"]["properties"]
    for field in {name for rate in part["rates"] for name in rate["when"]}:
        spoken = [rate["when"][field] for rate in part["rates"] if field in rate["when"]]
        if len(spoken) < len(part["rates"]) or any(isinstance(each, dict) for each in spoken):
            continue
        values = [v for each in spoken for v in (each if isinstance(each, list) else [each])]
        for missing in (v for v in properties.get(field, {}).get("enum", ()) if v not in values):
            yield f"no rate speaks of {field} {missing!r}: add one, or say why in `partial`"
        if "default" not in properties.get(field, {}) and field not in always_given(entry):
            yield f"no rate holds where {field} is left out"
