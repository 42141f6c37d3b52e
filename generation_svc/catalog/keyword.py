"""JSON Schema keywords that are checked differently from the library.

Each tells more exactly where a mistake is, or ends before an oversized value costs time:

- `required`, `dependentRequired`, `additionalProperties` and a `false` property point at the
  field itself;
- `oneOf` gives the mistakes of the branch that was most likely meant;
- `multipleOf` compares decimals: 0.7 is no multiple of 0.1 in binary floats;
- `items` and `uniqueItems` do not look into a list that is too long anyway.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from generation_svc.domain.schema import JsonSchema

MAX_UNKNOWN_FIELDS = 10
"""How many unknown fields of an object are named; the others are counted."""
_WRONG_CHOICE = 100
"""How much a value that names another branch weighs against an ordinary mistake."""
_AMBIGUOUS = "Matches more than one of the allowed forms. Give exactly one of them."
_TWICE = "Must not be given twice."
_Errors = Iterator[ValidationError]


def _properties(validator: Any, rules: dict[str, Any], value: Any, _: JsonSchema) -> _Errors:
    if isinstance(value, dict):
        for name, rule in rules.items():
            if name in value and rule is False:
                yield ValidationError("forbidden", validator="properties", path=[name])
            elif name in value:
                yield from validator.descend(value[name], rule, path=name, schema_path=name)


def _multiple_of(_: Validator, step: float, value: Any, __: JsonSchema) -> _Errors:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # By their decimal spelling: in binary 0.7 / 0.1 is 6.999…
    if is_number and Decimal(str(value)) % Decimal(str(step)):
        yield ValidationError(f"{value} is not a multiple of {step}")


def _required(_: Validator, names: list[str], value: Any, __: JsonSchema) -> _Errors:
    if isinstance(value, dict):
        yield from (_missing(name) for name in names if name not in value)


def _dependent(_: Validator, rules: dict[str, list[str]], value: Any, __: JsonSchema) -> _Errors:
    if isinstance(value, dict):
        for field, names in rules.items():
            if field in value:
                yield from (_missing(name) for name in names if name not in value)


def _additional(_: Validator, allowed: Any, value: Any, schema: JsonSchema) -> _Errors:
    if not isinstance(value, dict) or allowed is not False:
        return
    unknown = sorted(value.keys() - schema.get("properties", {}).keys())
    for name in unknown[:MAX_UNKNOWN_FIELDS]:
        yield ValidationError("unknown", validator="additionalProperties", path=[name])
    if len(unknown) > MAX_UNKNOWN_FIELDS:
        more = len(unknown) - MAX_UNKNOWN_FIELDS
        yield ValidationError(f"There are {more} more unknown fields.", validator="propertyNames")


def _one_of(validator: Any, branches: list[Any], value: Any, _: JsonSchema) -> _Errors:
    tried = [
        list(validator.descend(value, branch, schema_path=index))
        for index, branch in enumerate(branches)
    ]
    count = sum(not mistakes for mistakes in tried)
    if count > 1:
        yield ValidationError(_AMBIGUOUS, validator="oneOf")
    # The errors of all branches at once would tell a person to do things that exclude each other.
    elif not count:
        yield from min(tried, key=_distance)


def _any_of(validator: Any, branches: list[Any], value: Any, _: JsonSchema) -> _Errors:
    if not any(validator.evolve(schema=branch).is_valid(value) for branch in branches):
        yield ValidationError("no branch holds", validator="anyOf")


def _items(validator: Any, items: Any, value: Any, schema: JsonSchema) -> _Errors:
    if isinstance(value, list) and len(value) <= schema.get("maxItems", len(value)):
        for index, item in enumerate(value):
            yield from validator.descend(item, items, path=index)


def _unique(_: Validator, is_wanted: bool, value: Any, schema: JsonSchema) -> _Errors:
    if is_wanted and isinstance(value, list) and len(value) <= schema.get("maxItems", len(value)):
        for index, item in enumerate(value):
            if item in value[:index]:
                yield ValidationError(_TWICE, validator="uniqueItems", path=[index])


def _missing(name: str) -> ValidationError:
    return ValidationError("missing", validator="required", path=[name])


def _distance(mistakes: list[ValidationError]) -> int:
    """Return how far a branch is from what was given; a wrong constant says that it is another."""
    return sum(_WRONG_CHOICE if each.validator == "const" else 1 for each in mistakes)


InputValidator: type[Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "properties": _properties,
        "multipleOf": _multiple_of,
        "required": _required,
        "dependentRequired": _dependent,
        "additionalProperties": _additional,
        "oneOf": _one_of,
        "anyOf": _any_of,
        "items": _items,
        "uniqueItems": _unique,
    },
)
"""Validates inputs against the schema of a model."""
