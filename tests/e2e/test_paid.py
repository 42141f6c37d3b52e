"""Jobs that are paid for, through the real processes: pressed often, asked for at once, killed."""

from __future__ import annotations

import asyncio
from itertools import cycle, islice

from atelier.generation.v1.job_pb2 import Job
from generation_client import GenerationError
from generation_svc.catalog import load_catalog
from tests.e2e.buyer import (
    HAS,
    IMAGEN,
    PRICE,
    buy,
    check_ledger,
    give,
    has,
    holds,
    kill_services,
    killed_at,
    moved,
    replicas,
    start_services,
)
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
    async with replicas(running) as each_of_them:
        asked = islice(cycle(each_of_them), 50)
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
    async with killed_at(running, "attempt", event="INSERT", when="true"):
        job = await buy(running, "killed before it is sent", owner=owner)

    assert await holds(running, job) == [("open", 0)]
    assert await has(running, owner) == (HAS - PRICE, PRICE)
    await start_services(running)
    assert (await running.history.settled(job.id))["charged_credits"] == PRICE
    assert await moved(running, owner) == [("grant", HAS), ("hold", PRICE), ("capture", PRICE)]
    assert len(await running.kie.creations("killed before it is sent")) == 1
    await check_ledger(running)


async def test_a_job_whose_service_is_killed_before_the_charge_is_charged_once(
    running: Stack,
) -> None:
    owner = "killed at the charge"
    await give(running, owner)
    async with killed_at(running, "hold", event="UPDATE", when="NEW.state = 'captured'"):
        job = await buy(running, "stored and not settled", owner=owner)

    assert await holds(running, job) == [("open", 0)]
    assert await has(running, owner) == (HAS - PRICE, PRICE)
    assert (await running.history.job(job.id))["state"] == "running"
    await start_services(running)
    assert (await running.history.settled(job.id))["charged_credits"] == PRICE
    assert await holds(running, job) == [("captured", PRICE)]
    assert await moved(running, owner) == [("grant", HAS), ("hold", PRICE), ("capture", PRICE)]
    await check_ledger(running)


async def test_what_was_charged_when_the_service_is_killed_stays_so(running: Stack) -> None:
    owner = "killed after"
    await give(running, owner)
    job = await buy(running, "settled and killed", owner=owner)
    await running.history.settled(job.id)
    kill_services(running)

    assert await holds(running, job) == [("captured", PRICE)]
    assert await has(running, owner) == (HAS - PRICE, 0)
    await start_services(running)
    await check_ledger(running)
    assert await has(running, owner) == (HAS - PRICE, 0)


def _pictures(chat: Chat) -> list[Json]:
    return [each for each in chat.heard(after=0) if "photo" in each or "document" in each]
