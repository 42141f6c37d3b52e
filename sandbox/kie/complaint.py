"""What KIE says about wrong fields, from the schema of a model.

Known from live answers are the texts for a field that is missing, for a value outside its
options and for too many addresses; the others are inferred from them. Fields that the model does
not know are ignored.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError

from sandbox.kie.entry import Entry, Json
from sandbox.kie.price import number, values_at

PROMPT_MISSING = "prompt is required"
MISSING = "This field is required"
_TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "array": "an array",
    "object": "an object",
}
_OUT_OF_RANGE = "This {name} is out of range"
_OUTSIDE = "This {name} is not within the range of allowed options"
_TEXTS = {
    "required": MISSING,
    "enum": _OUTSIDE,
    "const": _OUTSIDE,
    "minimum": _OUT_OF_RANGE,
    "maximum": _OUT_OF_RANGE,
    "exclusiveMinimum": _OUT_OF_RANGE,
    "exclusiveMaximum": _OUT_OF_RANGE,
    "multipleOf": _OUT_OF_RANGE,
    "maxLength": "{name} exceeds the limit of {limit}",
    "minLength": "{name} must have at least {limit} characters",
    "maxItems": "The number of {name} must not exceed {limit}",
    "minItems": "The number of {name} must be at least {limit}",
    "pattern": "This {name} is not valid",
    "anyOf": MISSING,
    "oneOf": "The fields must be those of exactly one form of input",
}
_UNWANTED = "This {name} cannot be used here"
_BETWEEN_FIELDS = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "dependentRequired"})
_STEPS_OF_TENTH = 1e-6
"""What a number may miss a step by: binary floats miss most tenths."""


def complaint(entry: Entry, given: Mapping[str, Any]) -> str | None:
    """Return what is wrong: what is missing, then each field in order, then rules between them."""
    fields = {name: value for name, value in given.items() if value is not None}
    for name in entry.input.get("required", ()):
        if fields.get(name) in (None, ""):
            return PROMPT_MISSING if name == "prompt" else MISSING
    errors = [each for each in entry.checker.iter_errors(fields) if not _is_near(each)]
    if errors:
        order = [*entry.fields]
        return _text(min(errors, key=lambda error: _place(error, order)))
    return next(_distances(entry, fields), None)


def _place(error: ValidationError, order: list[str]) -> tuple[bool, int]:
    is_rule = bool(error.absolute_schema_path) and error.absolute_schema_path[0] in _BETWEEN_FIELDS
    name = _field(error)
    return is_rule, order.index(name) if name in order else len(order)


def _field(error: ValidationError) -> str:
    names = [str(each) for each in error.absolute_path if isinstance(each, str)]
    return names[0] if names else ""


def _text(error: ValidationError) -> str:
    names = [str(each) for each in error.absolute_path if isinstance(each, str)]
    name = names[-1] if names else "input"
    if error.validator == "type":
        return f"This {name} must be {_TYPES.get(str(error.validator_value), 'of another type')}"
    text = _TEXTS.get(str(error.validator), _UNWANTED)
    return text.format(name=name, limit=error.validator_value)


def _is_near(error: ValidationError) -> bool:
    """Return whether a number misses its step only because it is a binary float."""
    if error.validator != "multipleOf":
        return False
    steps = float(error.instance) / float(error.validator_value)  # type: ignore[arg-type]
    return abs(steps - round(steps)) < _STEPS_OF_TENTH


def _distances(entry: Entry, fields: Json) -> Iterator[str]:
    for check in entry.checks:
        rule = check.get("difference", {})
        holders = values_at(fields, rule["in"]) if "in" in rule else [fields]
        for holder in holders if rule else ():
            if not _is_apart(rule, holder):
                yield _OUT_OF_RANGE.format(name=rule["to"])


def _is_apart(rule: Json, holder: Any) -> bool:
    if rule["from"] not in holder or rule["to"] not in holder:
        return True
    apart = float(number(holder[rule["to"]]) - number(holder[rule["from"]]))
    return bool(rule.get("minimum", apart) <= apart <= rule.get("maximum", apart))
