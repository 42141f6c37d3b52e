"""Owners who pay for pictures, what the ledger has of them, and services that die meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from atelier.generation.v1.job_pb2 import Job
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import connect, translated
from tests.e2e.caller import TOKENS
from tests.e2e.stack import Stack

IMAGEN = "google/imagen4"
PRICE = 8
"""What a picture of it costs."""
HAS = 100
"""What an owner is given."""
_MOVED = "SELECT kind, amount FROM transfer WHERE owner = %(owner)s ORDER BY id"


async def give(running: Stack, owner: str, *, credits_: int = HAS) -> None:
    """Give an owner credits."""
    request = pb.GrantCreditsRequest(
        request_id=owner, owner=owner, credits=credits_, reason="a test"
    )
    with translated():
        await running.client.wallet.GrantCredits(request)


async def buy(running: Stack, prompt: str, *, owner: str, **request: Any) -> Job:
    """Ask for a picture that costs credits."""
    asked = {"model_id": IMAGEN, "options": {}, "agreed_credits": PRICE, **request}
    with translated():
        return await running.create(prompt, owner=owner, **asked)


async def has(running: Stack, owner: str) -> tuple[int, int]:
    """Return an owner's balance, and what is held of it."""
    rows = await running.history.rows(
        "SELECT granted + paid AS balance, held FROM wallet WHERE owner = %(owner)s", owner=owner
    )
    return rows[0]["balance"], rows[0]["held"]


async def holds(running: Stack, job: Job) -> list[tuple[str, int]]:
    """Return the state of a job's hold, and what was captured of it."""
    query = "SELECT state, captured FROM hold WHERE job_id = %(id)s"
    return [(row["state"], row["captured"]) for row in await running.history.rows(query, id=job.id)]


async def moved(running: Stack, owner: str) -> list[tuple[str, int]]:
    """Return an owner's transfers in their order."""
    rows = await running.history.rows(_MOVED, owner=owner)
    return [(row["kind"], row["amount"]) for row in rows]


async def check_ledger(running: Stack) -> None:
    """Have the service check its ledger."""
    with translated():
        found = await running.client.wallet.CheckLedger(
            pb.CheckLedgerRequest(), wait_for_ready=True, timeout=30
        )
    assert list(found.differences) == []
    assert found.transfer_count


@asynccontextmanager
async def replicas(running: Stack) -> AsyncIterator[list[Stack]]:
    """Give the stack as it is through each of its services."""
    async with AsyncExitStack() as opened:
        found = []
        for service in running.services:
            way = connect(service.env["GENERATION_LISTEN"], token=SecretStr(TOKENS["caller"]))
            found.append(replace(running, client=await opened.enter_async_context(way)))
        yield found


def kill_services(running: Stack) -> None:
    """End every service at the instruction where it is."""
    for service in running.services:
        service.kill()


@asynccontextmanager
async def killed_at(running: Stack, table: str, *, event: str, when: str) -> AsyncIterator[None]:
    """Kill the services once a statement on a table, which this context makes, waits at its row."""
    async with running.history.holding(table, event=event, when=when):
        yield
        await running.history.caught()
        kill_services(running)
        await running.history.drop_caught()


async def start_services(running: Stack) -> None:
    """Start the services, and let what the killed ones had leased run out."""
    for service in running.services:
        service.start()
    await running.history.rows("UPDATE attempt SET fetch_time = now() WHERE state = 'succeeded'")
    await running.history.rows("UPDATE attempt SET cost_time = now() WHERE cost_time IS NOT NULL")
    await asyncio.gather(*(each.ready() for each in running.services))
