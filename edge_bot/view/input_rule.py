"""The rules between the fields of a form: what is asked for, forbidden and bounded by what.

They are what a JSON Schema says with `oneOf`, `anyOf`, `allOf` and `if`, `then`, `else`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
"""A JSON Schema, or a part of one."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for the fields under certain inputs."""

    required: frozenset[str]
    forbidden: frozenset[str]
    """The fields that have no effect or are not taken."""
    bounds: Mapping[str, tuple[Schema, ...]]
    """What a value must keep beside the schema of its field."""
    either: tuple[tuple[tuple[str, ...], ...], ...]
    """Sets of fields, of each of which at least one must be given whole."""


def rules_of(schema: Schema, inputs: Mapping[str, Any], *, branch: Schema) -> Rules:
    """Return the rules in force under some inputs."""
    parts = [schema, branch, *_consequences(schema, inputs)]
    required: set[str] = set()
    forbidden: set[str] = set()
    bounds: dict[str, tuple[Schema, ...]] = {}
    for part in parts:
        required |= set(part.get("required", ()))
        if part is schema:
            continue
        for name, bound in part.get("properties", {}).items():
            if bound is False:
                forbidden.add(name)
            elif isinstance(bound, Mapping):
                bounds[name] = (*bounds.get(name, ()), bound)
    either = tuple(
        tuple(tuple(each.get("required", ())) for each in part["anyOf"])
        for part in parts
        if part.get("anyOf")
    )
    return Rules(frozenset(required - forbidden), frozenset(forbidden), bounds, either)


def holds(condition: Schema, inputs: Mapping[str, Any]) -> bool:
    """Tell whether inputs keep the schema of an `if`."""
    if "not" in condition and holds(condition["not"], inputs):
        return False
    if not set(condition.get("required", ())) <= inputs.keys():
        return False
    if "anyOf" in condition and not any(holds(each, inputs) for each in condition["anyOf"]):
        return False
    bounds: Mapping[str, Any] = condition.get("properties", {})
    return all(keeps(bound, inputs[name]) for name, bound in bounds.items() if name in inputs)


def keeps(bound: Schema | bool, value: Any) -> bool:
    """Tell whether a value keeps a bound."""
    if isinstance(bound, bool):
        return bound
    if "const" in bound and value != bound["const"]:
        return False
    if "enum" in bound and value not in bound["enum"]:
        return False
    if "not" in bound and keeps(bound["not"], value):
        return False
    if isinstance(value, str | list):
        of = "Length" if isinstance(value, str) else "Items"
        least, most = bound.get(f"min{of}", 0), bound.get(f"max{of}", len(value))
        return bool(least <= len(value) <= most)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return _within(bound, value)


def bounded(schema: Schema, bounds: tuple[Schema, ...]) -> Schema:
    """Return the schema of a field with bounds added to it."""
    merged = dict(schema)
    for bound in bounds:
        added = dict(bound)
        if "const" in added:
            added["enum"] = [added.pop("const")]
        if "enum" in added and "enum" in merged:
            added["enum"] = [each for each in merged["enum"] if each in added["enum"]]
        merged |= added
    return merged


def _consequences(schema: Schema, inputs: Mapping[str, Any]) -> Iterator[Schema]:
    for rule in schema.get("allOf", ()):
        if "if" not in rule:
            yield rule
            continue
        part = rule.get("then" if holds(rule["if"], inputs) else "else")
        if part:
            yield part


def _within(bound: Schema, number: float) -> bool:
    return bool(
        bound.get("minimum", number) <= number <= bound.get("maximum", number)
        and ("exclusiveMinimum" not in bound or number > bound["exclusiveMinimum"])
        and ("exclusiveMaximum" not in bound or number < bound["exclusiveMaximum"])
    )
