"""Jobs that are paid for, through the real processes: pressed often, asked for at once, killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import cycle, islice

from pydantic import SecretStr

from atelier.generation.v1.job_pb2 import Job
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import GenerationError, connect, translated
from generation_svc.catalog import load_catalog
from tests.e2e.caller import TOKENS
from tests.e2e.every_model.chat import Chat, watched_chats
from tests.e2e.every_model.screen import Json
from tests.e2e.every_model.shelf_walk import find_by_name
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(
    replicas=2,
    time_scale=0.2,
    service={
        "MONEY": "test",
        "KIE_CREATE_LIMIT": "1000",
        "OWNER_MAX_ACTIVE_JOBS": "1000",
        "OWNER_JOBS_PER_MIN": "100000",
    },
    sandbox={"SANDBOX_KIE_CREATE_LIMIT": "10000", "SANDBOX_KIE_CREDITS": "100000"},
)
IMAGEN = "google/imagen4"
PRICE = 8
HAS = 100
_MOVED = "SELECT kind, amount FROM transfer WHERE owner = %(owner)s ORDER BY id"


async def test_twenty_presses_at_once_make_one_job_one_hold_and_one_charge(
    running: Stack,
) -> None:
    async with watched_chats(running.telegram) as chats:
        chat = await chats.begin()
        owner = f"telegram:{chat.number}"
        await give(running, owner)
        await find_by_name(chat, load_catalog().models[IMAGEN], language="en")
        summary = await chat.say("pressed twenty times")
        assert "8 credits" in summary.lines
        # The bot can take the button away only when all have pressed it.
        await running.telegram.fault("too_many_requests", chat_id=chat.number, retry_after=1)
        presses = (chat.touch(summary, "✨ Create") for _ in range(20))
        await asyncio.gather(*presses)
        await running.telegram.heal()
        await chat.see(lambda: _pictures(chat), what="the picture")
    job_id = await running.history.job_of("pressed twenty times")
    assert (await running.history.settled(job_id))["charged_credits"] == PRICE
    assert await moved(running, owner) == [("grant", HAS), ("hold", PRICE), ("capture", PRICE)]
    assert await has(running, owner) == (HAS - PRICE, 0)
    assert len(await running.kie.creations("pressed twenty times")) == 1
    await check_ledger(running)


async def test_of_fifty_jobs_at_once_as_many_are_accepted_as_can_be_paid(running: Stack) -> None:
    owner = "crowd"
    await give(running, owner, credits_=10 * PRICE)
    async with _replicas(running) as replicas:
        asked = islice(cycle(replicas), 50)
        answers = await asyncio.gather(
            *(buy(each, f"crowd {n}", owner=owner) for n, each in enumerate(asked)),
            return_exceptions=True,
        )

    accepted = [each for each in answers if isinstance(each, Job)]
    refused = [each for each in answers if isinstance(each, GenerationError)]
    assert (len(accepted), len(refused)) == (10, 40), answers
    assert {each.reason for each in refused} == {"INSUFFICIENT_CREDITS"}
    assert all(each.metadata["price"] == str(PRICE) for each in refused)
    assert all(0 < int(each.metadata["missing"]) <= PRICE for each in refused)
    for job in accepted:
        assert (await running.history.settled(job.id))["charged_credits"] == PRICE
    assert await has(running, owner) == (0, 0)
    await check_ledger(running)


async def test_a_job_whose_service_is_killed_before_it_is_sent_keeps_its_hold(
    running: Stack,
) -> None:
    owner = "killed before"
    await give(running, owner)
    async with running.history.holding("attempt", event="INSERT", when="true"):
        job = await buy(running, "killed before it is sent", owner=owner)
        await running.history.caught()
        _kill(running)
        await running.history.drop_caught()

    assert await holds(running, job) == [("open", 0)]
    assert await has(running, owner) == (HAS - PRICE, PRICE)
    await _start(running)
    assert (await running.history.settled(job.id))["charged_credits"] == PRICE
    assert await moved(running, owner) == [("grant", HAS), ("hold", PRICE), ("capture", PRICE)]
    assert len(await running.kie.creations("killed before it is sent")) == 1
    await check_ledger(running)


async def test_a_job_whose_service_is_killed_before_the_charge_is_charged_once(
    running: Stack,
) -> None:
    owner = "killed at the charge"
    await give(running, owner)
    async with running.history.holding("hold", event="UPDATE", when="NEW.state = 'captured'"):
        job = await buy(running, "stored and not settled", owner=owner)
        await running.history.caught()
        _kill(running)
        await running.history.drop_caught()

    assert await holds(running, job) == [("open", 0)]
    assert await has(running, owner) == (HAS - PRICE, PRICE)
    assert (await running.history.job(job.id))["state"] == "running"
    await _start(running)
    assert (await running.history.settled(job.id))["charged_credits"] == PRICE
    assert await holds(running, job) == [("captured", PRICE)]
    assert await moved(running, owner) == [("grant", HAS), ("hold", PRICE), ("capture", PRICE)]
    await check_ledger(running)


async def test_what_was_charged_when_the_service_is_killed_stays_so(running: Stack) -> None:
    owner = "killed after"
    await give(running, owner)
    job = await buy(running, "settled and killed", owner=owner)
    await running.history.settled(job.id)
    _kill(running)

    assert await holds(running, job) == [("captured", PRICE)]
    assert await has(running, owner) == (HAS - PRICE, 0)
    await _start(running)
    await check_ledger(running)
    assert await has(running, owner) == (HAS - PRICE, 0)


async def give(running: Stack, owner: str, *, credits_: int = HAS) -> None:
    """Give an owner credits."""
    request = pb.GrantCreditsRequest(
        request_id=owner, owner=owner, credits=credits_, reason="a test"
    )
    with translated():
        await running.client.wallet.GrantCredits(request)


async def buy(running: Stack, prompt: str, *, owner: str) -> Job:
    """Ask for a picture that costs credits."""
    with translated():
        return await running.create(
            prompt, model_id=IMAGEN, options={}, owner=owner, agreed_credits=PRICE
        )


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
async def _replicas(running: Stack) -> AsyncIterator[list[Stack]]:
    """Give the stack as it is through each of its services."""
    async with AsyncExitStack() as opened:
        found = []
        for service in running.services:
            way = connect(service.env["GENERATION_LISTEN"], token=SecretStr(TOKENS["caller"]))
            found.append(replace(running, client=await opened.enter_async_context(way)))
        yield found


def _pictures(chat: Chat) -> list[Json]:
    return [each for each in chat.heard(after=0) if "photo" in each or "document" in each]


def _kill(running: Stack) -> None:
    for service in running.services:
        service.kill()


async def _start(running: Stack) -> None:
    """Start the services, and let what the killed ones had leased run out."""
    for service in running.services:
        service.start()
    await running.history.rows("UPDATE attempt SET fetch_time = now() WHERE state = 'succeeded'")
    await asyncio.gather(*(each.ready() for each in running.services))
