"""What callers are told when a job would cost the operator more than it wants, or has."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.wallet.v1 import wallet_service_pb2 as wallet_pb
from generation_client import GenerationClient, connect
from generation_svc.domain.clock import day_after
from tests.contract.failure import refused
from tests.contract.service import serving, struct
from tests.e2e.program import until
from tests.integration.sandbox_kie import sandbox_kie

pytestmark = pytest.mark.usefixtures("within_one_day")

INPUTS = struct({"prompt": "a cat"})
OWNER = "telegram:7"
FREE, PAID = "z-image", "google/imagen4"


async def create(client: GenerationClient, model_id: str) -> pb.CreateJobResponse:
    request = pb.CreateJobRequest(model_id=model_id, inputs=INPUTS, owner=OWNER)
    return await client.generation.CreateJob(request)


async def grant(client: GenerationClient) -> None:
    request = wallet_pb.GrantCreditsRequest(
        request_id="g-1", owner=OWNER, credits=1000, reason="a gift"
    )
    await client.wallet.GrantCredits(request)


@pytest.mark.parametrize(
    ("settings", "model_id", "cap"),
    [
        ({"daily_free_cap": 0.8}, FREE, "free"),
        ({"daily_cap": 0.8}, FREE, "all"),
        ({"daily_cap": 8, "money": "test"}, PAID, "all"),
    ],
)
async def test_a_cap_of_the_day_says_when_it_ends(
    database_url: str, tmp_path: Path, settings: dict[str, Any], model_id: str, cap: str
) -> None:
    served = serving(database_url, tmp_path, more_settings=settings)
    async with served as service, connect(service.address) as client:
        if model_id == PAID:
            await grant(client)
        await create(client, model_id)
        refusal = await refused(create(client, model_id))
    now = datetime.now(UTC)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "DAILY_CAP_REACHED",
    )
    assert refusal.metadata == {"cap": cap}
    left = (day_after(now) - now).total_seconds()
    assert refusal.retry_seconds is not None
    assert abs(refusal.retry_seconds - left) < 30


async def test_paid_jobs_are_refused_beyond_what_the_sandbox_has_left(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"money": "test"}
    async with sandbox_kie(credits=10) as kie:
        served = serving(database_url, tmp_path, kie_url=kie.url, more_settings=settings)
        async with served as service, connect(service.address) as client:
            await grant(client)

            async def is_told() -> bool:
                async with service.database.transaction() as tx:
                    return bool(await tx.breaker.balances(service.deps.provider.accounts))

            await until(is_told, within_s=20, what="the balance was read")
            await create(client, PAID)
            refusal = await refused(create(client, PAID))
            await create(client, FREE)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "PROVIDER_BALANCE_LOW",
    )
    assert refusal.metadata == {"model_id": PAID}
