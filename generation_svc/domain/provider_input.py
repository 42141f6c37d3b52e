"""Converts a job's inputs to the provider's field names."""

from collections.abc import Mapping
from copy import deepcopy

from generation_svc.domain.media_input import (
    InputValue,
    MediaInput,
    field_of,
    given_in,
    holders,
    with_texts,
)
from generation_svc.domain.model import Model, Offer
from generation_svc.domain.schema import JsonObject, JsonValue, Steps


def provider_input(
    model: Model, inputs: Mapping[str, JsonValue], *, resolved: Mapping[Steps, str]
) -> JsonObject:
    """Return createTask's `input` for validated inputs, under the names of the model's offer.

    `resolved` maps the place of each media and reference to a link that the provider can fetch or
    to its own id. Media that is itself an `https:` link needs no entry; any other place without
    one raises KeyError, for nothing of ours is to reach the provider unresolved. What is the
    operator's is sent with its value wherever the job does not say otherwise.
    """
    sent = deepcopy(dict(inputs))
    for each in model.special_inputs:
        texts = {given.steps: _resolved(given, resolved) for given in given_in(sent, each)}
        sent = with_texts(sent, each, texts=texts)
    for name, value in model.operator_fields.items():
        if value is not None:
            sent.setdefault(name, value)
    _make_lists(sent, model.offer)
    _rename(sent, model.offer)
    return sent


def _resolved(given: InputValue, resolved: Mapping[Steps, str]) -> str:
    if given.is_link and isinstance(given.input, MediaInput):
        return resolved.get(given.steps, given.text)
    return resolved[given.steps]


def _make_lists(sent: JsonObject, offer: Offer) -> None:
    for path in offer.lists:
        field = field_of(path)
        for _, holder in holders(sent, path):
            if field in holder and not isinstance(holder[field], list):
                holder[field] = [holder[field]]


def _rename(sent: JsonObject, offer: Offer) -> None:
    """Rename fields, the deepest first: the paths to them are of our names."""
    places: dict[str, dict[str, str]] = {}
    for path, name in offer.names.items():
        places.setdefault(path.rpartition(".")[0], {})[field_of(path)] = name
    for place in sorted(places, key=len, reverse=True):
        names = places[place]
        within = f"{place}.x" if place else "x"
        for _, holder in list(holders(sent, within)):
            items = [(names.get(key, key), value) for key, value in holder.items()]
            holder.clear()
            # All at once, since one name may be what another field was called before.
            holder.update(items)
