"""Validates inputs against a model's schema, and names every mistake at once."""

from collections.abc import Iterator, Mapping

from generation_svc.catalog.clean import tidied, without_flaws
from generation_svc.catalog.keyword import MAX_UNKNOWN_FIELDS
from generation_svc.catalog.media import special_flaw
from generation_svc.catalog.relation import broken_checks
from generation_svc.catalog.value import printable
from generation_svc.catalog.violation import mistakes, unknown_words
from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.domain.media_input import given_in
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject, JsonValue, Steps, spelled

MAX_VIOLATIONS_LENGTH = 5000
"""How many characters the violations have together, which must fit into 8 KiB of trailers."""


def validate_inputs(model: Model, inputs: Mapping[str, JsonValue]) -> JsonObject:
    """Return the inputs as they are stored and sent, with the defaults that the provider needs.

    Whole floats become integers, free text loses the whitespace around it, an optional text that
    is then empty is left out, and one media where a list is asked for becomes a list. Fields come
    in the schema's order. Raises InvalidInputs with one violation per place, the model's fields
    first, then the unknown ones by name.
    """
    complete = model.provider_defaults | tidied(model, inputs)
    violations = (*_known_violations(model, complete), *_unknown_violations(model, complete))
    if violations:
        raise InvalidInputs(tuple(_bounded(violations)))
    return {field: complete[field] for field in model.properties if field in complete}


def _known_violations(model: Model, given: JsonObject) -> Iterator[FieldViolation]:
    known = {field: value for field, value in given.items() if field in model.properties}
    order = list(model.properties)
    found = _found(model, known)
    for steps in sorted(found, key=lambda steps: order.index(str(steps[0])) if steps else -1):
        yield _violation(steps, found[steps])


def _found(model: Model, given: JsonObject) -> dict[Steps, str]:
    """Return what is wrong where: what can never be stored, the schema, media, the checks."""
    storable, found = without_flaws(given)
    for steps, description in mistakes(model, storable):
        found.setdefault(steps, description)
    for each in model.special_inputs:
        for place in given_in(storable, each):
            flaw = None if _is_wrong(place.steps, found) else special_flaw(each, place.text)
            if flaw is not None:
                found[place.steps] = flaw
    for steps, description in broken_checks(model, storable):
        if not _is_wrong(steps, found):
            found[steps] = description
    return found


def _is_wrong(steps: Steps, found: Mapping[Steps, str]) -> bool:
    """Return whether something is wrong with a place, or with what it is in."""
    return any(steps[:length] in found for length in range(1, len(steps) + 1))


def _unknown_violations(model: Model, given: Mapping[str, JsonValue]) -> Iterator[FieldViolation]:
    unknown = sorted(set(given) - set(model.properties))
    for field in unknown[:MAX_UNKNOWN_FIELDS]:
        yield _violation((field,), unknown_words(model, (field,)))
    if len(unknown) > MAX_UNKNOWN_FIELDS:
        more = len(unknown) - MAX_UNKNOWN_FIELDS
        yield FieldViolation("inputs", f"There are {more} more unknown fields.")


def _bounded(violations: tuple[FieldViolation, ...]) -> Iterator[FieldViolation]:
    room = MAX_VIOLATIONS_LENGTH
    for number, each in enumerate(violations):
        room -= len(each.field) + len(each.description)
        if room < 0:
            yield FieldViolation("inputs", f"There are {len(violations) - number} more mistakes.")
            return
        yield each


def _violation(steps: Steps, description: str) -> FieldViolation:
    named = tuple(step if isinstance(step, int) else printable(step) for step in steps)
    return FieldViolation(spelled(("inputs", *named)), description)
