"""Checks that what a price is multiplied with can be counted for all inputs of the schema.

A quote must never end in a fault: each field that is counted is there or has something that holds
in its place, is of a type that can be counted, and is not below zero.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_Entry = dict[str, Any]


def quantity_problems(entry: _Entry, quantity: _Entry) -> Iterator[str]:
    """Yield what is wrong with one quantity of a price, each with the field."""
    properties = entry["input_schema"]["properties"]
    strange = [field for field in fields_of(quantity) if field not in properties]
    yield from (f"a price counts {field}, which is not in the input schema" for field in strange)
    if strange:
        return
    match quantity:
        case {"field": field}:
            yield from _number_problems(entry, quantity, field=field)
        case {"items": field} if properties[field].get("type") != "array":
            yield f"a price counts the items of {field}, which is no list"
        case {"characters": path} if not _is_text(properties, path):
            yield f"a price counts the characters of {path}, which is no text"
        case {"megapixels": size}:
            yield from _size_problems(entry, size)


def fields_of(quantity: _Entry) -> Iterator[str]:
    """Yield the fields that a quantity is counted from."""
    for key in ("field", "items", "seconds_of", "divided_by"):
        if key in quantity:
            yield quantity[key]
    yield from quantity.get("longest_of", ())
    if "characters" in quantity:
        yield quantity["characters"].partition("[]")[0]
    if "megapixels" in quantity:
        yield quantity["megapixels"]["field"]


def always_given(entry: _Entry) -> set[str]:
    """Return the fields that no inputs lack: required, or required by every branch."""
    schema = entry["input_schema"]
    branches = [set(branch.get("required", ())) for branch in schema.get("oneOf", ())]
    return {*schema["required"], *(set.intersection(*branches) if branches else ())}


def _is_known(entry: _Entry, field: str) -> bool:
    """Return whether a field has a value in all inputs, its default included."""
    rule = entry["input_schema"]["properties"][field]
    return "default" in rule or field in always_given(entry)


def _number_problems(entry: _Entry, quantity: _Entry, *, field: str) -> Iterator[str]:
    rule = entry["input_schema"]["properties"][field]
    if not {"absent", "at_most"} & quantity.keys() and not _is_known(entry, field):
        yield f"a price counts {field}, which may be left out: say what then holds"
    yield from _range_problems(field, rule, may_be_negative="at_most" in quantity)
    if (divisor := quantity.get("divided_by")) is not None:
        yield from _divisor_problems(entry, divisor)


def _divisor_problems(entry: _Entry, field: str) -> Iterator[str]:
    rule = entry["input_schema"]["properties"][field]
    if not _is_known(entry, field):
        yield f"a price is divided by {field}, which may be left out"
    yield from _range_problems(field, rule, may_be_negative=False)
    if _is_number(rule) and _least(rule) == 0:
        yield f"a price is divided by {field}, which may be 0"


def _range_problems(field: str, rule: _Entry, *, may_be_negative: bool) -> Iterator[str]:
    if not _is_number(rule):
        yield f"a price counts {field}, which is no number"
        return
    least = _least(rule)
    if not may_be_negative and (least is None or least < 0):
        yield f"a price counts {field}, which may be below 0"


def _is_number(rule: _Entry) -> bool:
    """Return whether all values of a field are numbers, or texts that are spelled as one."""
    if "enum" not in rule:
        return rule.get("type") in ("integer", "number")
    return all(_NUMBER.fullmatch(str(value)) for value in rule["enum"])


def _least(rule: _Entry) -> Decimal | None:
    """Return the least number of a field; None where it has none."""
    if "enum" in rule:
        return min(Decimal(str(value)) for value in rule["enum"])
    told = [rule[word] for word in ("minimum", "exclusiveMinimum") if word in rule]
    return max((Decimal(str(each)) for each in told), default=None)


def _is_text(properties: _Entry, path: str) -> bool:
    field, _, inner = path.partition("[].")
    rule = properties[field]
    if not inner:
        return bool(rule.get("type") == "string")
    items = rule.get("items", {})
    branches = [items, *items.get("oneOf", ())]
    told = [each["properties"][inner] for each in branches if inner in each.get("properties", {})]
    is_list_of_objects = rule.get("type") == "array" and items.get("type") == "object"
    return is_list_of_objects and bool(told) and all(each.get("type") == "string" for each in told)


def _size_problems(entry: _Entry, size: _Entry) -> Iterator[str]:
    field = size["field"]
    allowed = entry["input_schema"]["properties"][field].get("enum", ())
    for value in dict.fromkeys((*allowed, *size["values"])):
        if value not in allowed or value not in size["values"]:
            yield f"the megapixels of {field} and its values differ by {value!r}"
    if not _is_known(entry, field):
        yield f"a price counts the megapixels of {field}, which may be left out: give it a default"
