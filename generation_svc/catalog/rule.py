"""The rule of one field: whether a value keeps it, and what it asks for in words."""

from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from generation_svc.domain.model import JsonSchema, JsonValue

_TYPE_WORDS = {"string": "text", "integer": "a whole number", "number": "a number"}


def keeps(schema: JsonSchema, value: JsonValue) -> bool:
    """Tell whether a value keeps the field's schema; a list or an object never does."""
    return not isinstance(value, list | dict) and _DecimalValidator(schema).is_valid(value)


def wanted(schema: JsonSchema) -> str:
    """Say what the field's schema asks for, such as `a number from 0 to 20 in steps of 0.1`."""
    if schema["type"] == "boolean":
        return "true or false"
    if "enum" in schema:
        return "one of " + ", ".join(f'"{value}"' for value in schema["enum"])
    return _TYPE_WORDS[schema["type"]] + _range_words(schema) + _length_words(schema)


def _range_words(schema: JsonSchema) -> str:
    lowest, highest, step = (schema.get(key) for key in ("minimum", "maximum", "multipleOf"))
    words = f" from {lowest}" if lowest is not None else ""
    words += f" {'to' if words else 'up to'} {highest}" if highest is not None else ""
    return words + (f" in steps of {step}" if step is not None else "")


def _length_words(schema: JsonSchema) -> str:
    longest = schema.get("maxLength")
    return f" of up to {longest} characters" if longest is not None else ""


def _multiple_of(_: Validator, step: float, value: Any, __: JsonSchema) -> Any:
    """Compare steps as decimals: 0.7 is no multiple of 0.1 in binary floats."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and Decimal(str(value)) % Decimal(str(step)):
        yield ValidationError(f"{value} is not a multiple of {step}")


_DecimalValidator: type[Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"multipleOf": _multiple_of}
)
