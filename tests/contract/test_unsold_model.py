"""A model that there is and that is not on offer: the refusal says why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from atelier.generation.v1 import catalog_service_pb2 as catalog_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.catalog import load_catalog
from generation_svc.domain.error import UnsoldModel, UnsoldReason
from tests.contract.failure import Refusal, refused
from tests.contract.market import market
from tests.contract.service import Service, struct

CATALOG = load_catalog(has_unpaid=True)
PAID = "hailuo/02-text-to-video-pro"
WITHDRAWN = next(each for each in CATALOG.models.values() if each.withdrawn)
INPUTS = struct({"prompt": "a lighthouse"})
Ask = Callable[[Service, str], Awaitable[Any]]


def get(service: Service, model_id: str) -> Awaitable[Any]:
    return service.generation.GetModel(pb.GetModelRequest(model_id=model_id))


def quote(service: Service, model_id: str) -> Awaitable[Any]:
    request = pb.QuoteJobRequest(model_id=model_id, inputs=INPUTS)
    return service.generation.QuoteJob(request)


def create(service: Service, model_id: str) -> Awaitable[Any]:
    request = pb.CreateJobRequest(model_id=model_id, inputs=INPUTS)
    return service.generation.CreateJob(request)


def is_unsold(refusal: Refusal, model_id: str, why: str) -> bool:
    """Return whether it is the refusal that callers of 0.1 know, with the reason beside it."""
    known = (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    return known and refusal.metadata == {"model_id": model_id, "why": why}


@pytest.mark.parametrize("ask", [get, quote, create], ids=lambda each: each.__name__)
async def test_a_model_that_costs_money_is_not_on_offer_yet(service: Service, ask: Ask) -> None:
    refusal = await refused(ask(service, PAID))
    assert is_unsold(refusal, PAID, "unpaid")
    assert "models that cost money are not on offer here" in refusal.message


async def test_a_withdrawn_model_says_what_its_document_says(
    database_url: str, tmp_path: Path
) -> None:
    async with market(database_url, tmp_path) as service:
        refusal = await refused(create(service, WITHDRAWN.id))
    assert is_unsold(refusal, WITHDRAWN.id, "withdrawn")
    assert (WITHDRAWN.withdrawn or "").rstrip(".") in refusal.message


async def test_a_model_that_the_operator_switched_off_says_so(service: Service) -> None:
    request = catalog_pb.SwitchModelRequest(model_id="z-image", is_off=True, reason="a secret")
    await service.catalog.SwitchModel(request)
    refusal = await refused(create(service, "z-image"))
    assert is_unsold(refusal, "z-image", "switched_off")
    assert "secret" not in refusal.message


def test_a_model_that_needs_callbacks_says_so_where_there_are_none() -> None:
    silent = load_catalog(has_unpaid=True, has_callbacks=False)
    (model_id, *_) = set(CATALOG.ids) - set(silent.ids)
    with pytest.raises(UnsoldModel) as caught:
        silent.get(model_id)
    assert caught.value.why is UnsoldReason.NO_CALLBACKS


async def test_an_id_that_nobody_knows_still_names_the_nearest(service: Service) -> None:
    refusal = await refused(create(service, "z-imgae"))
    assert refusal.metadata == {"model_id": "z-imgae", "nearest": "z-image"}
