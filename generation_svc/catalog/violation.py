"""Turns schema errors into sentences that a person can act on."""

from collections.abc import Iterator
from typing import Any

from jsonschema.exceptions import ValidationError

from generation_svc.catalog.keyword import InputValidator
from generation_svc.catalog.media import special_words
from generation_svc.catalog.rule import condition_words, list_words, wanted
from generation_svc.catalog.shape import fields_of, schema_at
from generation_svc.catalog.value import shown
from generation_svc.domain.model import Model, nearest_name
from generation_svc.domain.schema import JsonObject, JsonSchema, Steps


def mistakes(model: Model, given: JsonObject) -> Iterator[tuple[Steps, str]]:
    """Yield each place that breaks the schema, once, and what would be right there."""
    seen: set[Steps] = set()
    for error in InputValidator(model.input_schema).iter_errors(given):
        steps = tuple(error.absolute_path)
        if steps not in seen:
            seen.add(steps)
            yield steps, _description(model, error, steps=steps)


def unknown_words(model: Model, steps: Steps) -> str:
    """Say that there is no such field, and which one is most likely meant."""
    *parents, name = steps
    names = fields_of(schema_at(model.input_schema, parents)) if parents else model.properties
    if not parents and name in model.unsupported_fields:
        return model.unsupported_fields[str(name)]
    what = f"{model.id} has no such field" if not parents else "No such field here"
    nearest = nearest_name(str(name), names)
    if nearest is not None:
        return f'{what}. Did you mean "{nearest}"?'
    return f"{what}. {'The' if parents else 'Its'} fields are {', '.join(names)}."


def _description(model: Model, error: ValidationError, *, steps: Steps) -> str:
    when = _condition(model.input_schema, error)
    schema = _schema_of(model, error, steps=steps)
    instance: Any = error.instance
    rule: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            return unknown_words(model, steps)
        case "propertyNames" | "uniqueItems" | "oneOf":
            return error.message
        case "required" | "dependentRequired":
            return f"Required{when}: give {_words(model, schema, steps=steps)}."
        case "minItems" | "maxItems":
            return f"Must be {list_words(schema)}{when}, not of {len(instance)}."
        case "anyOf":
            return f"Give at least one of {', '.join(_named_in(rule))}{when}."
        case "properties":
            return f"Must be left out{when}{_reason(model.input_schema, error)}."
        case _:
            words = _words(model, schema, steps=steps)
            return f"Must be {words}{when}, not {shown(instance)}."


def _schema_of(model: Model, error: ValidationError, *, steps: Steps) -> JsonSchema:
    """Return all that is known of the place: a rule may say but one thing of it."""
    whole = schema_at(model.input_schema, steps)
    rule: Any = error.schema
    if error.validator in ("required", "dependentRequired", "properties"):
        rule = fields_of(rule).get(str(steps[-1]), {})
    if error.validator == "const" and error.instance not in whole.get("enum", (error.instance,)):
        return whole  # no branch has this constant
    return {**whole, **rule}


def _words(model: Model, schema: JsonSchema, *, steps: Steps) -> str:
    return special_words(model, steps) or wanted(schema)


def _condition(schema: JsonSchema, error: ValidationError) -> str:
    """Say under which condition the broken rule holds, from its place in the schema."""
    words, node = "", schema
    for step in error.absolute_schema_path:
        if step in ("then", "else") and "if" in node:
            joint = "when" if step == "then" else "unless"
            words = f" {joint} {condition_words(node['if'])}"
        try:
            node = node[step]  # type: ignore[index] # a keyword, or a position in a list
        except (KeyError, IndexError, TypeError):
            break
    return words


def _reason(schema: JsonSchema, error: ValidationError) -> str:
    """Say why a field must be left out, where the rule says it."""
    word, number, *_ = (*error.absolute_schema_path, "", "")
    has_no_effect = word == "allOf" and "$comment" in schema["allOf"][int(number)]
    return ": it has no effect then" if has_no_effect else ""


def _named_in(branches: list[JsonSchema]) -> list[str]:
    return [name for branch in branches for name in branch.get("required", ())]
