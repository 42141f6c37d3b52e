"""Finds what a schema says about one place in the inputs, in any of its branches."""

from collections.abc import Iterable, Iterator

from generation_svc.domain.schema import JsonSchema

_BRANCHES = ("oneOf", "anyOf", "allOf")


def fields_of(schema: JsonSchema) -> dict[str, JsonSchema]:
    """Return what a schema says of each field of an object; its branches, where it says nothing."""
    fields: dict[str, JsonSchema] = {}
    for branch in _branches(schema):
        for name, rule in fields_of(branch).items():
            fields[name] = _either(fields.get(name, {}), rule)
    for name, rule in schema.get("properties", {}).items():
        fields[name] = rule if isinstance(rule, dict) else {}
    return fields


def schema_at(schema: JsonSchema, steps: Iterable[str | int]) -> JsonSchema:
    """Return what a schema says of a place; nothing where it knows none."""
    for step in steps:
        found = schema.get("items", {}) if isinstance(step, int) else fields_of(schema).get(step)
        schema = found if isinstance(found, dict) else {}
    return schema


def _branches(schema: JsonSchema) -> Iterator[JsonSchema]:
    for keyword in _BRANCHES:
        yield from (each for each in schema.get(keyword, ()) if isinstance(each, dict))
    yield from (schema[word] for word in ("then", "else") if isinstance(schema.get(word), dict))


def _either(one: JsonSchema, other: JsonSchema) -> JsonSchema:
    """Return the rule of a field that two branches have; constants become a choice of them."""
    values = [value for rule in (one, other) for value in _constants(rule)]
    merged = {**one, **other}
    if values and "const" in merged:
        del merged["const"]
        merged["enum"] = values
    return merged


def _constants(rule: JsonSchema) -> list[object]:
    return [rule["const"]] if "const" in rule else list(rule.get("enum", ()))
