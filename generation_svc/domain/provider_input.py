"""Converts a job's inputs to the provider's field names."""

from collections.abc import Iterator, Mapping
from copy import deepcopy

from generation_svc.domain.media_input import (
    InputValue,
    MediaInput,
    SpecialInput,
    field_of,
    given_in,
    holders,
)
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject, JsonValue, Steps


def provider_input(
    model: Model, inputs: Mapping[str, JsonValue], *, resolved: Mapping[Steps, str]
) -> JsonObject:
    """Return createTask's `input` for validated inputs, under the provider's names.

    `resolved` maps the place of each media and reference to a link that the provider can fetch or
    to its own id. Media that is itself an `https:` link needs no entry; any other place without
    one raises KeyError, for nothing of ours is to reach the provider unresolved.
    """
    sent = deepcopy(dict(inputs))
    for each in model.special_inputs:
        texts = [_resolved(given, resolved) for given in given_in(sent, each)]
        _rename(sent, each, iter(texts))
    return sent


def _resolved(given: InputValue, resolved: Mapping[Steps, str]) -> str:
    if given.is_link and isinstance(given.input, MediaInput):
        return resolved.get(given.steps, given.text)
    return resolved[given.steps]


def _rename(sent: JsonObject, each: SpecialInput, texts: Iterator[str]) -> None:
    field = field_of(each.name)
    for _, holder in holders(sent, each.name):
        if field in holder:
            given = holder.pop(field)
            count = len(given) if isinstance(given, list) else 1
            holder[each.provider_field] = _as_asked(each, [next(texts) for _ in range(count)])


def _as_asked(each: SpecialInput, texts: list[str]) -> JsonValue:
    """Return a list where the provider wants one, whatever the product's input is."""
    is_list = isinstance(each, MediaInput) and each.provider_is_list
    return list(texts) if is_list else texts[0]
