"""Kill -9 at each step at which the money of a paid job moves: one end, one charge, one message."""

from __future__ import annotations

import asyncio
import json

import pytest

from atelier.generation.v1 import catalog_service_pb2 as catalog_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.job_pb2 import Job
from generation_client import GenerationError, translated
from tests.e2e.buyer import (
    HAS,
    PRICE,
    buy,
    check_ledger,
    give,
    has,
    holds,
    kill_services,
    killed_at,
    moved,
    start_services,
)
from tests.e2e.kill_step import STEPS, Step
from tests.e2e.person import Person
from tests.e2e.program import until
from tests.e2e.stack import BOT_ID, Shape, Stack

SHAPE = Shape(
    time_scale=0.2,
    service={"MONEY": "test", "KIE_CREATE_LIMIT": "1000", "OWNER_JOBS_PER_MIN": "1000"},
    sandbox={
        "SANDBOX_KIE_DURATION_S": "0.3",
        "SANDBOX_KIE_VISIBLE_AFTER_S": "0.1",
        "SANDBOX_KIE_CALLBACK_RETRY_DELAY_S": "0.3",
    },
)
SONG, MOST, TAKEN = "ai-music-api/generate", 30, 12
"""A model whose callbacks name no cost; what it is made to cost at most, and what KIE takes."""


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
async def test_a_paid_job_ends_once_whenever_its_service_is_killed(
    running: Stack, step: Step
) -> None:
    person = await _person(running)
    owner = prompt = f"telegram:{person.number}"
    await give(running, owner)
    if step.fails:
        await running.kie.fault("generation_failed", match=prompt)
    if step.is_cancelled:
        await running.kie.fault("callback_late", match=prompt, seconds=3)
    async with killed_at(running, step.table, event=step.event, when=step.when):
        job = await buy(running, prompt, owner=owner, telegram=_to(person))
        if step.is_cancelled:
            await _cancel_running(running, job)
    before = [("captured", PRICE)] if step.is_committed else [("open", 0)]
    assert await holds(running, job) == before
    await start_services(running)
    await _ended(running, job, owner=owner, step=step)
    await _told(running, job, person=person, step=step)
    assert len(await running.kie.creations(prompt)) == 1
    await check_ledger(running)


async def test_a_job_whose_service_is_killed_while_it_is_accepted_is_asked_for_again(
    running: Stack,
) -> None:
    owner = "killed while accepting"
    await give(running, owner)
    async with running.history.holding("hold", event="INSERT", when="true"):
        asking = asyncio.create_task(buy(running, owner, owner=owner, request_id=owner))
        await running.history.caught()
        kill_services(running)
        await running.history.drop_caught()
        with pytest.raises(GenerationError):
            await asking
    assert await has(running, owner) == (HAS, 0)
    await start_services(running)
    first, second = [await buy(running, owner, owner=owner, request_id=owner) for _ in range(2)]
    assert first.id == second.id
    assert (await running.history.settled(first.id))["charged_credits"] == PRICE
    assert await moved(running, owner) == [("grant", HAS), ("hold", PRICE), ("capture", PRICE)]
    await check_ledger(running)


async def test_a_late_cost_that_is_given_back_while_the_service_is_killed_comes_back_once(
    running: Stack,
) -> None:
    owner = "killed at a late cost"
    await give(running, owner)
    await _sell_under_a_ceiling(running)
    song = {"style": owner, "custom_mode": False, "instrumental": True}
    when = "OLD.state = 'captured' AND NEW.captured < OLD.captured"
    async with running.history.holding("hold", event="UPDATE", when=when):
        job = await buy(
            running, owner, owner=owner, model_id=SONG, options=song, agreed_credits=MOST
        )
        await running.history.caught()
        assert await has(running, owner) == (HAS - MOST, 0)
        kill_services(running)
        await running.history.drop_caught()
    assert await holds(running, job) == [("captured", MOST)]
    await start_services(running)

    async def is_lowered() -> bool:
        return await holds(running, job) == [("captured", TAKEN)]

    await until(is_lowered, within_s=20, what="the cost that KIE told afterwards")
    assert (await running.history.job(job.id))["charged_credits"] == TAKEN
    back = ("release", MOST - TAKEN)
    expected = [("grant", HAS), ("hold", MOST), ("capture", MOST), back]
    assert await moved(running, owner) == expected
    assert await has(running, owner) == (HAS - TAKEN, 0)
    await check_ledger(running)


async def _ended(running: Stack, job: Job, *, owner: str, step: Step) -> None:
    """Wait for the end of a job's hold: its money moved once, and back if nothing came."""

    async def is_ended() -> bool:
        return (await holds(running, job))[0][0] != "open"

    await until(is_ended, within_s=30, what=f"the end of what is held for job {job.id}")
    row = await running.history.settled(job.id)
    assert row["state"] == step.state
    assert row["charged_credits"] == step.captured
    kind = "capture" if step.captured else "release"
    assert await moved(running, owner) == [("grant", HAS), ("hold", PRICE), (kind, PRICE)]
    assert await has(running, owner) == (HAS - step.captured, 0)


async def _told(running: Stack, job: Job, *, person: Person, step: Step) -> None:
    """Wait until the outcome is sent; it was said once."""
    query = "SELECT state FROM delivery WHERE job_id = %(id)s AND kind = 'outcome'"

    async def is_sent() -> bool:
        return all(row["state"] == "sent" for row in await running.history.rows(query, id=job.id))

    await until(is_sent, within_s=20, what="the report of the outcome")
    said = ["picture" for _ in await person.pictures()]
    said += ["failure" for _ in await person.failures()]
    assert said == ([step.told] if step.told else [])


async def _person(running: Stack) -> Person:
    person = await running.telegram.person()
    await person.says("/start")
    await person.sees("an answer", lambda message: True)
    return person


def _to(person: Person) -> TelegramDestination:
    return TelegramDestination(bot_id=BOT_ID, chat_id=person.number)


async def _cancel_running(running: Stack, job: Job) -> None:
    async def is_running() -> bool:
        return bool((await running.history.job(job.id))["state"] == "running")

    await until(is_running, within_s=20, what="KIE has the job")
    await running.client.generation.CancelJob(pb.CancelJobRequest(job_id=job.id))
    assert await holds(running, job) == [("open", 0)]


async def _sell_under_a_ceiling(running: Stack) -> None:
    price = {"parts": [{"rates": [{"credits": str(MOST)}], "times": [], "unit": "request"}]}
    request = catalog_pb.GetModelDocumentRequest(model_id=SONG)
    found = await running.client.catalog.GetModelDocument(request)
    (offer,) = json.loads(found.document_json)["offers"]
    patch = json.dumps({"offers": [{**offer, "price": {**price, "is_ceiling": True}}]})
    override = catalog_pb.SetModelOverrideRequest(model_id=SONG, patch_json=patch, reason="a test")
    with translated():
        await running.client.catalog.SetModelOverride(override)
