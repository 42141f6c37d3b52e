"""Prices jobs: measures the media that a price follows, and quotes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from generation_svc.domain import ledger
from generation_svc.domain.caller import Caller
from generation_svc.domain.error import (
    InvalidInputs,
    UnknownPrice,
    UploadMissing,
)
from generation_svc.domain.job import Price
from generation_svc.domain.ledger import Charge
from generation_svc.domain.media import Media
from generation_svc.domain.media_input import InputValue
from generation_svc.domain.model import Model
from generation_svc.domain.money import NO_MARGIN, Margins, MoneyMode, Terms
from generation_svc.domain.money_error import (
    MoneyModeMismatch,
    SalesClosed,
)
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.quote import LengthUnknown, Measured, PriceUnknown, Quote, quote
from generation_svc.domain.schema import Steps
from generation_svc.lifecycle import input_media
from generation_svc.lifecycle.dependencies import Dependencies

FREE = Price(is_free=True, credits="0")
COUNTED_UNITS = frozenset({"image", "video", "generation"})
"""The units of a price of which each is a result."""


@dataclass(frozen=True, slots=True)
class Priced:
    """The price of a job, and what it was made of."""

    price: Price
    margin: Decimal = NO_MARGIN
    promised: int = 1
    """How many results it is for."""

    def charge(self, payer: str) -> Charge | None:
        """Return what somebody is to pay; None where that is nothing."""
        credits_ = int(self.price.credits)
        return Charge(payer, credits_, self.margin, self.promised) if credits_ else None


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
) -> Priced:
    """Return the price of a new job. Raises UnknownPrice, InvalidInputs, SalesClosed.

    Raises MoneyModeMismatch where test money would buy what costs real money.

    Where models may be used unpaid, one without a price may, too.
    """
    if model.is_free:
        return Priced(_free_price(model, inputs))
    _check_mode(deps)
    terms = await terms_of(deps)
    if terms.closed is not None:
        raise SalesClosed(terms.closed)
    media: Mapping[Steps, Media] = {}
    if is_measured(model, inputs):
        async with deps.database.transaction() as tx:
            media = await input_media.look(tx, caller, model=model, inputs=inputs)
    try:
        return price_from(quote_of(model, inputs, media=media), margin=terms.margins.of(model))
    except UnknownPrice:
        if not deps.models.has_unpaid:
            raise
        return Priced(Price(is_free=False, credits="0"))


def _free_price(model: Model, inputs: Mapping[str, Any]) -> Price:
    """Return the price of a free job, with what it costs the operator where that is known."""
    if is_measured(model, inputs):
        return FREE
    try:
        return replace(FREE, cost=quote_of(model, inputs, media={}).credits)
    except UnknownPrice:
        return FREE


def _check_mode(deps: Dependencies) -> None:
    if deps.money.mode is MoneyMode.TEST and deps.money.is_provider_real:
        advice = "jobs that cost real money need MONEY=live and a database of their own."
        raise MoneyModeMismatch(deps.money.mode, advice=advice)


async def terms_of(deps: Dependencies) -> Terms:
    """Return on what terms jobs are sold here; where nothing is sold they are the provider's."""
    if deps.money.mode is None:
        return Terms(Margins())
    return await deps.money.terms.get(_read_terms, database=deps.database)


async def _read_terms(tx: Transaction) -> Terms:
    state = await tx.money.state()
    return Terms(Margins(await tx.money.margins()), state.closed if state else None)


def price_from(quoted: Quote, *, margin: Decimal = NO_MARGIN) -> Priced:
    """Return what a person pays for what was quoted: rounded up once, on the total."""
    price = Price(
        is_free=False,
        credits=str(ledger.price_of(quoted.credits, margin=margin)),
        is_ceiling=quoted.is_ceiling,
        cost=quoted.credits,
    )
    return Priced(price, margin, _promised(quoted))


def _promised(quoted: Quote) -> int:
    """Return how many results a price is for, where it is exact and says so."""
    line, *others = quoted.lines
    is_counted = line.unit in COUNTED_UNITS and not others and not quoted.is_ceiling
    return max(1, int(line.amount)) if is_counted else 1


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
