"""Models that cost money: refused as long as nobody pays, and always free of the real KIE."""

from typing import Any

import pytest
from pydantic import ValidationError

from generation_svc.domain.error import UnknownModel
from generation_svc.server.wiring import models_of
from generation_svc.settings import GenerationSettings

SANDBOX = "http://127.0.0.1:9000"


def settings(**changes: Any) -> GenerationSettings:
    return GenerationSettings(**({"kie_api_key": "key", "kie_api_url": SANDBOX} | changes))


def test_models_that_cost_money_are_refused_by_default() -> None:
    catalog = models_of(settings()).catalog

    assert all(model.is_free for model in catalog.offered)
    with pytest.raises(UnknownModel):
        catalog.get("veo-3-1")


def test_a_sandbox_may_be_asked_for_every_model_that_is_not_withdrawn() -> None:
    with_callbacks = {"callback_base_url": "https://callbacks.example"}
    catalog = models_of(settings(unpaid_models="allow", **with_callbacks)).catalog

    assert len(catalog.offered) == 184
    assert catalog.get("veo-3-1").is_free is False
    with pytest.raises(UnknownModel):
        catalog.get("sora-2-text-to-video")


def test_a_model_that_only_calls_back_is_not_on_offer_where_nobody_can_call() -> None:
    polled = models_of(settings(unpaid_models="allow")).catalog
    called = models_of(
        settings(unpaid_models="allow", callback_base_url="https://callbacks.example")
    ).catalog

    missing = {"kling-3.0/motion-control", "veo/get-1080p-video"}
    assert {model.id for model in called.offered} - {
        model.id for model in polled.offered
    } == missing


@pytest.mark.parametrize(
    "url",
    ["https://api.kie.ai", "https://API.KIE.AI/v1", "https://kie.ai", "http://eu.api.kie.ai."],
)
def test_the_real_kie_is_never_asked_for_unpaid_work(url: str) -> None:
    with pytest.raises(ValidationError, match="UNPAID_MODELS=allow is for a sandbox"):
        settings(unpaid_models="allow", kie_api_url=url)


def test_a_host_that_only_ends_alike_is_not_the_real_kie() -> None:
    assert settings(unpaid_models="allow", kie_api_url="http://notkie.ai").unpaid_models == "allow"


def test_models_are_sold_or_used_unpaid() -> None:
    with pytest.raises(ValidationError, match="are both set: models are sold, or they are used"):
        settings(unpaid_models="allow", money="test")


def test_real_money_needs_the_real_kie() -> None:
    with pytest.raises(ValidationError, match="MONEY=live is for the real KIE"):
        settings(money="live")
    assert settings(money="live", kie_api_url="https://api.kie.ai").is_kie_real


def test_where_money_is_set_all_models_with_a_price_are_sold() -> None:
    free, every = models_of(settings()).catalog, models_of(settings(unpaid_models="allow")).catalog
    sold = {model.id for model in models_of(settings(money="test")).catalog.offered}

    unpriced = {model.id for model in every.offered if model.offer.price.unknown is not None}
    assert unpriced
    assert sold == {model.id for model in every.offered} - unpriced
    assert {model.id for model in free.offered} < sold
