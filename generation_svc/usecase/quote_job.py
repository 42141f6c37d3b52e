"""Tells what a job would cost, and makes none."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from generation_svc.domain.caller import Caller
from generation_svc.domain.job import Price
from generation_svc.domain.media import Media
from generation_svc.domain.model import Consent, Model
from generation_svc.domain.quote_text import quote_lines
from generation_svc.domain.schema import Steps
from generation_svc.lifecycle import input_media, pricing, reference
from generation_svc.lifecycle.consent import missing_consent
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.accepted_inputs import accepted_inputs


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """What a caller asks the price of."""

    caller: Caller
    model_id: str
    inputs: Mapping[str, Any]
    owner: str
    language_code: str


@dataclass(frozen=True, slots=True)
class JobQuote:
    """What a job would cost, and what it would need."""

    price: Price
    lines: tuple[str, ...]
    """What the price is made of, in the language that was asked for."""
    usual_duration: timedelta | None
    missing_consent: Consent | None


async def quote_job(deps: Dependencies, request: QuoteRequest) -> JobQuote:
    """Return what a job would cost.

    Raises PermissionDenied, UnknownModel, InvalidInputs, UploadMissing, UnknownPrice.
    """
    request.caller.require_owner(request.owner)
    model = deps.models.catalog.get(request.model_id)
    inputs = accepted_inputs(deps, request.caller, model=model, inputs=request.inputs)
    media = await _look(deps, request, model=model, inputs=inputs)
    terms = await pricing.terms_of(deps)
    margin = terms.margins.of(model)
    price, lines = _priced(request, model=model, inputs=inputs, media=media, margin=margin)
    return JobQuote(
        price=price,
        lines=lines,
        usual_duration=model.usual_duration,
        missing_consent=await missing_consent(deps, model, owner=request.owner),
    )


async def _look(
    deps: Dependencies, request: QuoteRequest, *, model: Model, inputs: Mapping[str, Any]
) -> Mapping[Steps, Media]:
    """Look at all that the inputs name of ours, as the acceptance of a job would."""
    has_media = any(given.is_ours for given in input_media.media_of(model, inputs))
    if not has_media and not reference.job_ids(model, inputs):
        return {}
    async with deps.database.transaction() as tx:
        await reference.check(tx, request.caller.name, model=model, inputs=inputs)
        return await input_media.look(tx, request.caller, model=model, inputs=inputs)


def _priced(
    request: QuoteRequest,
    *,
    model: Model,
    inputs: Mapping[str, Any],
    media: Mapping[Steps, Media],
    margin: Decimal,
) -> tuple[Price, tuple[str, ...]]:
    if model.is_free:
        return pricing.FREE, ()
    quoted = pricing.quote_of(model, inputs, media=media)
    lines = quote_lines(model, quoted, inputs=inputs, language_code=request.language_code)
    return pricing.price_from(quoted, margin=margin).price, lines
