"""Normalises inputs before they are checked, stored and sent."""

from collections.abc import Mapping

from generation_svc.catalog.shape import fields_of
from generation_svc.catalog.value import flaw, normalise
from generation_svc.domain.media_input import field_of, holders
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject, JsonSchema, JsonValue, Steps

MAX_FLAWS = 1000
"""How many values that can never be stored are told of in one request."""


def tidied(model: Model, inputs: Mapping[str, JsonValue]) -> JsonObject:
    """Return the inputs as a person would have written them; what is wrong stays as it is."""
    whole = _object(model.input_schema, inputs)
    for each in model.media_inputs:
        if each.is_list:
            _make_list(whole, each.name)
    return whole


def without_flaws(given: JsonObject) -> tuple[JsonObject, dict[Steps, str]]:
    """Return the inputs with null for what can never be stored, and what is wrong with it.

    Of so many flaws that nobody made them by mistake, the first ones are told.
    """
    found: dict[Steps, str] = {}
    return {name: _clean(value, (name,), found=found) for name, value in given.items()}, found


def _object(schema: JsonSchema, value: Mapping[str, JsonValue]) -> JsonObject:
    fields = fields_of(schema)
    made = {name: _tidy(fields.get(name, {}), each) for name, each in value.items()}
    return {
        name: each
        for name, each in made.items()
        if each != "" or not _is_free_text(fields.get(name, {}))
    }


def _tidy(schema: JsonSchema, value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return _object(schema, value)
    if isinstance(value, list):
        return [_tidy(schema.get("items", {}), each) for each in value]
    if isinstance(value, str) and _is_free_text(schema):
        return value.strip()
    return normalise(value)


def _is_free_text(schema: JsonSchema) -> bool:
    return schema.get("type") == "string" and not schema.keys() & {"enum", "const"}


def _make_list(inputs: JsonObject, name: str) -> None:
    """Make one media a list of it: who knows the model by one media may go on with that."""
    for _, holder in holders(inputs, name):
        if isinstance(holder.get(field_of(name)), str):
            holder[field_of(name)] = [holder[field_of(name)]]


def _clean(value: JsonValue, steps: Steps, *, found: dict[Steps, str]) -> JsonValue:
    if isinstance(value, dict):
        return {name: _clean(each, (*steps, name), found=found) for name, each in value.items()}
    if isinstance(value, list):
        return [_clean(each, (*steps, index), found=found) for index, each in enumerate(value)]
    description = flaw(value)
    if description is None:
        return value
    # null stands in for it, so that the rules of the schema can still be checked for the rest.
    if len(found) < MAX_FLAWS:  # the sentences of a list of 700,000 would take seconds
        found[steps] = description
    return None
