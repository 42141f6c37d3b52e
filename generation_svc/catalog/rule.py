"""The rule of one field: checks values against it, and puts it into words."""

import json
from typing import Any

from generation_svc.catalog.keyword import InputValidator
from generation_svc.domain.schema import JsonSchema, JsonValue

_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
}


def keeps(schema: JsonSchema, value: JsonValue) -> bool:
    """Tell whether a value keeps a schema."""
    return InputValidator(schema).is_valid(value)


def wanted(schema: JsonSchema) -> str:
    """Say what the field's schema asks for, such as `a number from 0 to 20 in steps of 0.1`."""
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if "enum" in schema:
        return "one of " + ", ".join(json.dumps(v, ensure_ascii=False) for v in schema["enum"])
    if "pattern" in schema:
        return "text such as " + " or ".join(
            json.dumps(v, ensure_ascii=False) for v in schema["examples"]
        )
    if schema.get("type") == "array":
        return list_words(schema) + _item_words(schema.get("items", {}))
    words = _TYPE_WORDS.get(schema.get("type", ""), "another value")
    return words + _range_words(schema) + _length_words(schema)


def list_words(schema: JsonSchema, *, item: str = "item") -> str:
    """Say how long a list may be, such as `a list of 1 to 5 items`."""
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if most is None:
        return f"a list of {item}s" if not least else f"a list of {least} or more {item}s"
    many = item if most == 1 else f"{item}s"
    if least == most:
        return f"a list of {most} {many}"
    return f"a list of {f'{least} to' if least else 'up to'} {most} {many}"


def condition_words(condition: JsonSchema) -> str:
    """Say when a condition holds, such as `mode is "pro"`."""
    rules: dict[str, Any] = condition.get("properties", {})
    named = [f"{field} is {_either(rule)}" for field, rule in rules.items()]
    given = [f"{field} is given" for field in condition.get("required", ()) if field not in rules]
    left_out = [f"{field} is left out" for field in condition.get("not", {}).get("required", ())]
    return " and ".join((*named, *given, *left_out))


def _either(rule: JsonSchema) -> str:
    values = [rule["const"]] if "const" in rule else rule.get("enum", ())
    return " or ".join(json.dumps(value, ensure_ascii=False) for value in values) or wanted(rule)


def _item_words(items: JsonSchema) -> str:
    is_plain = items.get("type") not in (None, "object", "array")
    return f", each {wanted(items)}" if is_plain else ""


def _range_words(schema: JsonSchema) -> str:
    lowest, highest, step = (schema.get(key) for key in ("minimum", "maximum", "multipleOf"))
    above = schema.get("exclusiveMinimum")
    words = (
        f" from {lowest}" if lowest is not None else f" above {above}" if above is not None else ""
    )
    words += f" {'to' if words else 'up to'} {highest}" if highest is not None else ""
    return words + (f" in steps of {step}" if step is not None else "")


def _length_words(schema: JsonSchema) -> str:
    longest = schema.get("maxLength")
    return f" of up to {longest} characters" if longest is not None else ""
