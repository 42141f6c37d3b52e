"""Prices jobs: measures the media that a price follows, and quotes."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import InvalidInputs, UnknownPrice, UploadMissing
from generation_svc.domain.job import Price
from generation_svc.domain.media import Media
from generation_svc.domain.media_input import InputValue
from generation_svc.domain.model import Model
from generation_svc.domain.quote import LengthUnknown, Measured, PriceUnknown, Quote, quote
from generation_svc.domain.schema import Steps
from generation_svc.lifecycle import input_media
from generation_svc.lifecycle.dependencies import Dependencies

FREE = Price(is_free=True, credits="0")


def check_measurable(model: Model, inputs: Mapping[str, Any]) -> None:
    """Raise UploadMissing for media that the price follows and that is not ours."""
    strange = [given for given in _measured_places(model, inputs) if not given.is_ours]
    if strange:
        raise UploadMissing(tuple(f"inputs.{given.path}" for given in strange))


def is_measured(model: Model, inputs: Mapping[str, Any]) -> bool:
    """Return whether the price follows media that the inputs have."""
    return bool(_measured_places(model, inputs))


def quote_of(model: Model, inputs: Mapping[str, Any], *, media: Mapping[Steps, Media]) -> Quote:
    """Return what inputs cost. Raises UnknownPrice, and InvalidInputs where a length is unknown."""
    try:
        measured = _measured(model, inputs, media=media)
        return quote(model.offer.price, inputs, defaults=model.defaults, measured=measured)
    except PriceUnknown as error:
        raise UnknownPrice(model.id, reason=str(error)) from error
    except LengthUnknown as error:
        places = [
            each for each in _measured_places(model, inputs) if each.input.name == error.field
        ]
        words = "The price follows its length, which is not known. Upload it again."
        raise InvalidInputs(
            tuple(input_media.violation_at(given, words) for given in places)
        ) from error


async def price_of(
    deps: Dependencies, caller: Caller, *, model: Model, inputs: Mapping[str, Any]
) -> Price:
    """Return the price of a new job. Raises UnknownPrice and InvalidInputs.

    Where models may be used unpaid, one without a price may, too.
    """
    if model.is_free:
        return FREE
    media: Mapping[Steps, Media] = {}
    if is_measured(model, inputs):
        async with deps.database.transaction() as tx:
            media = await input_media.look(tx, caller, model=model, inputs=inputs)
    try:
        return price_from(quote_of(model, inputs, media=media))
    except UnknownPrice:
        if not deps.models.has_unpaid:
            raise
        return Price(is_free=False, credits="0")


def price_from(quoted: Quote) -> Price:
    """Return what a person pays for what was quoted."""
    return Price(
        is_free=False,
        credits=str(quoted.whole_credits),
        is_ceiling=quoted.is_ceiling,
        cost=quoted.credits,
    )


def _measured_places(model: Model, inputs: Mapping[str, Any]) -> list[InputValue]:
    fields = model.offer.price.measured_fields
    return [each for each in input_media.media_of(model, inputs) if each.input.name in fields]


def _measured(model: Model, inputs: Mapping[str, Any], *, media: Mapping[Steps, Media]) -> Measured:
    seconds: dict[str, list[Decimal]] = {}
    for given in _measured_places(model, inputs):
        duration = media[given.steps].duration
        if duration is not None:
            length = Decimal(str(duration.total_seconds()))
            seconds.setdefault(given.input.name, []).append(length)
    return seconds
