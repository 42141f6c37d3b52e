"""Checks that the price of an entry speaks of fields that there are, and covers their values."""

from collections.abc import Iterator
from typing import Any

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
    properties = entry["input_schema"]["properties"]
    measured = {each["name"]: each["kind"] for each in entry.get("media_inputs", ())}
    for quantity in part["times"]:
        for field in _fields_of(quantity):
            if field not in properties:
                yield f"a price counts {field}, which is not in the input schema"
        for field in (quantity.get("seconds_of"), *quantity.get("longest_of", ())):
            if field is not None and measured.get(field) not in ("video", "audio"):
                yield f"a price counts the seconds of {field}, which is neither video nor audio"
        yield from _number_problems(entry, quantity)


def _number_problems(entry: _Entry, quantity: _Entry) -> Iterator[str]:
    field = quantity.get("field")
    rule = entry["input_schema"]["properties"].get(field, {})
    known = {"default"} & rule.keys() or {"absent", "at_most"} & quantity.keys()
    if field is not None and field not in _always_given(entry) and not known:
        yield f"a price counts {field}, which may be left out: say what then holds"
    if size := quantity.get("megapixels"):
        allowed = entry["input_schema"]["properties"].get(size["field"], {}).get("enum", ())
        for value in sorted(set(allowed) ^ set(size["values"])):
            yield f"the megapixels of {size['field']} and its values differ by {value!r}"


def _fields_of(quantity: _Entry) -> Iterator[str]:
    for key in ("field", "items", "seconds_of", "divided_by"):
        if key in quantity:
            yield quantity[key]
    yield from quantity.get("longest_of", ())
    if "characters" in quantity:
        yield quantity["characters"].partition("[]")[0]
    if "megapixels" in quantity:
        yield quantity["megapixels"]["field"]


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
        if "default" not in properties.get(field, {}) and field not in _always_given(entry):
            yield f"no rate holds where {field} is left out"


def _always_given(entry: _Entry) -> set[str]:
    """Return the fields that no inputs lack: required, or required by every branch."""
    schema = entry["input_schema"]
    branches = [set(branch.get("required", ())) for branch in schema.get("oneOf", ())]
    return {*schema["required"], *(set.intersection(*branches) if branches else ())}
