"""A paid job in real processes: held, charged once for what is stored, or given back."""

from __future__ import annotations

import asyncio

from google.protobuf.struct_pb2 import Struct

from atelier.generation.v1.generation_service_pb2 import CreateJobRequest
from atelier.generation.v1.job_pb2 import Job
from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.transfer_pb2 import TransferKind
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(
    replicas=2, time_scale=0.05, service={"MONEY": "test", "OWNER_MAX_ACTIVE_JOBS": "100"}
)
IMAGEN = "google/imagen4"
PRICE, HAS = 8, 100


async def create(running: Stack, prompt: str, *, owner: str, request_id: str = "") -> Job:
    inputs = Struct()
    inputs.update({"prompt": prompt})
    request = CreateJobRequest(
        model_id=IMAGEN, inputs=inputs, owner=owner, request_id=request_id, agreed_credits=PRICE
    )
    return (await running.client.generation.CreateJob(request)).job


async def grant(running: Stack, owner: str) -> None:
    request = pb.GrantCreditsRequest(
        request_id=f"for {owner}", owner=owner, credits=HAS, reason="a gift"
    )
    await running.client.wallet.GrantCredits(request)


async def story(running: Stack, owner: str) -> list[tuple[int, int]]:
    """What moved for an owner, the newest first, once nothing of the ledger differs."""
    found = await running.client.wallet.CheckLedger(pb.CheckLedgerRequest())
    assert list(found.differences) == []
    listed = await running.client.wallet.ListTransfers(pb.ListTransfersRequest(owner=owner))
    return [(each.kind, each.amount) for each in listed.transfers]


async def balance(running: Stack, owner: str) -> tuple[int, int]:
    answer = await running.client.wallet.GetBalance(pb.GetBalanceRequest(owner=owner))
    return answer.wallet.balance, answer.wallet.held_credits


async def test_a_job_that_fails_costs_nothing(running: Stack) -> None:
    await grant(running, "bob")
    await running.kie.fault("generation_failed", match="in vain")
    job = await create(running, "in vain", owner="bob")
    assert (await running.history.settled(job.id))["state"] == "failed"
    assert await balance(running, "bob") == (HAS, 0)
    assert [kind for kind, _ in await story(running, "bob")] == [
        TransferKind.TRANSFER_KIND_RELEASE,
        TransferKind.TRANSFER_KIND_HOLD,
        TransferKind.TRANSFER_KIND_GRANT,
    ]


async def test_all_services_killed_between_hold_and_charge_lose_nothing(running: Stack) -> None:
    await grant(running, "eve")
    jobs = [await create(running, f"through a crash {n}", owner="eve") for n in range(5)]
    for service in running.services:
        service.kill()
    for service in running.services:
        service.start()
    await asyncio.gather(*(service.ready() for service in running.services))
    ends = [await running.history.settled(job.id, within_s=90) for job in jobs]
    charged = PRICE * sum(end["state"] == "succeeded" for end in ends)
    assert charged > 0
    await story(running, "eve")
    assert await balance(running, "eve") == (HAS - charged, 0)
