"""A caller's inputs against a model's schema, with every mistake named at once."""

from collections.abc import Iterator, Mapping

from generation_svc.catalog.picture import FORMS, picture_flaw
from generation_svc.catalog.rule import keeps, wanted
from generation_svc.catalog.value import flaw, normalise, printable, shown
from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.domain.model import JsonValue, Model, nearest_name

MAX_UNKNOWN_FIELDS = 10
"""How many unknown fields are named; all violations have to fit into 8 KiB of trailers."""


def validate_inputs(model: Model, inputs: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the inputs as they are stored and sent, with the defaults that KIE needs.

    Whole floats become integers, free text loses the whitespace around it, and an optional text
    that is then empty is left out. Fields come in the schema's order. Raises InvalidInputs with
    one violation per field, the model's fields first, then the unknown ones by name.
    """
    given = _normalised(model, inputs)
    violations = (*_field_violations(model, given), *_unknown_violations(model, given))
    if violations:
        raise InvalidInputs(violations)
    complete = model.provider_defaults | given
    return {field: complete[field] for field in model.properties if field in complete}


def _normalised(model: Model, inputs: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    stripped = {
        field: value.strip() if isinstance(value, str) and _is_free_text(model, field) else value
        for field, value in inputs.items()
    }
    return {
        field: normalise(value)
        for field, value in stripped.items()
        if value != "" or not _is_free_text(model, field)
    }


def _is_free_text(model: Model, field: str) -> bool:
    schema = model.properties.get(field, {})
    return schema.get("type") == "string" and "enum" not in schema


def _field_violations(model: Model, given: Mapping[str, JsonValue]) -> Iterator[FieldViolation]:
    for field in model.properties:
        description = _mistake(model, field, given=given)
        if description is not None:
            yield _violation(field, description)


def _mistake(model: Model, field: str, *, given: Mapping[str, JsonValue]) -> str | None:
    schema, picture = model.properties[field], model.picture_at(field)
    words = f"a picture: {FORMS}" if picture else wanted(schema)
    if field not in given:
        return f"Required: give {words}." if field in model.required else None
    value = given[field]
    if (unstorable := flaw(value)) is not None:
        return unstorable
    if not keeps(schema, value):
        return f"Must be {words}, not {shown(value)}."
    return picture_flaw(picture, str(value)) if picture else None


def _unknown_violations(model: Model, given: Mapping[str, JsonValue]) -> Iterator[FieldViolation]:
    unknown = sorted(set(given) - set(model.properties))
    for field in unknown[:MAX_UNKNOWN_FIELDS]:
        yield _violation(field, model.unsupported_fields.get(field) or _correction(model, field))
    if len(unknown) > MAX_UNKNOWN_FIELDS:
        more = len(unknown) - MAX_UNKNOWN_FIELDS
        yield FieldViolation("inputs", f"There are {more} more unknown fields.")


def _correction(model: Model, field: str) -> str:
    nearest = nearest_name(field, model.properties)
    if nearest is not None:
        return f'{model.id} has no such field. Did you mean "{nearest}"?'
    return f"{model.id} has no such field. Its fields are {', '.join(model.properties)}."


def _violation(field: str, description: str) -> FieldViolation:
    return FieldViolation(f"inputs.{printable(field)}", description)
