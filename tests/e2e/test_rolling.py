"""A rolling restart under load loses nothing and holds no job up (issue: at most 2 s)."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.wallet.v1 import wallet_service_pb2 as wallet_pb
from tests.chaos.proxy import net
from tests.e2e.person import Person
from tests.e2e.program import Program, until
from tests.e2e.stack import BOT_ID, Shape, Stack, stack

ROUNDS = int(os.environ.get("ROLLING_ROUNDS", "1"))
"""How often each process is restarted; `make rolling` does it ten times."""
JOBS_PER_S = 2.0
MOST_DELAY_S = 2.0
"""How much longer a job may take than jobs do while other programs start on this machine."""
MOST_DRAIN_S = 15.0
"""How long a process may take to stop."""
OWNER, CREDITS, PRICE = "rolling", 1_000_000, 8
_PAID: dict[str, Any] = {
    "model_id": "google/imagen4",
    "options": {},
    "owner": OWNER,
    "agreed_credits": PRICE,
}
_SQL = """
SELECT job.inputs->>'prompt' AS prompt, job.state,
       extract(epoch FROM min(event.time) - job.create_time)::float AS seconds
FROM job LEFT JOIN job_event AS event
  ON event.job_id = job.id AND event.kind = 'delivery_sent' AND event.detail->>'kind' = 'outcome'
GROUP BY job.id ORDER BY job.id
"""


@pytest.fixture(scope="module")
async def replicated(
    tmp_path_factory: pytest.TempPathFactory, empty_database_url: str
) -> AsyncIterator[Stack]:
    """Two of each process, with a balancer before the gateways."""
    folder = Path(tmp_path_factory.mktemp("rolling"))
    async with net(seed=1) as proxies:

        def proxy(link: str, *addresses: str) -> str:
            return proxies.proxy(link, *addresses) if link == "kie-gateway" else addresses[0]

        shape = Shape(
            replicas=2,
            gateways=2,
            edges=2,
            proxy=proxy,
            service={
                "MONEY": "test",
                "KIE_CREATE_LIMIT": "1000",
                "OWNER_MAX_ACTIVE_JOBS": "1000",
                "OWNER_JOBS_PER_MIN": "100000",
            },
            sandbox={"SANDBOX_KIE_DURATION_S": "0.5", "SANDBOX_KIE_CREATE_LIMIT": "10000"},
        )
        async with stack(folder, database_url=empty_database_url, shape=shape) as started:
            yield started


@pytest.mark.timeout(600)
async def test_a_rolling_restart_loses_nothing_and_delays_no_job(replicated: Stack) -> None:
    people = [await _user(replicated) for _ in range(8)]
    await _give(replicated)
    async with _load(replicated, people) as asked:
        await _start_others(len(replicated.programs))
        calm = len(asked)
        for _ in range(ROUNDS):
            for program in replicated.programs:
                await _restart(program)
    jobs = await _delivered(replicated, len(asked))
    usual = max(job["seconds"] for job in jobs[:calm])
    late = {job["prompt"]: job["seconds"] - usual for job in jobs}
    assert {prompt: delay for prompt, delay in late.items() if delay > MOST_DELAY_S} == {}
    assert {job["state"] for job in jobs} == {"succeeded"}
    sent = sum([len(await person.pictures()) for person in people])
    assert sent == len(jobs) == len(await replicated.kie.tasks())
    await _check_charges(replicated, bought=(len(jobs) + 1) // 2)


async def _give(running: Stack) -> None:
    request = wallet_pb.GrantCreditsRequest(
        request_id="rolling", owner=OWNER, credits=CREDITS, reason="a test"
    )
    await running.client.wallet.GrantCredits(request)


async def _check_charges(running: Stack, *, bought: int) -> None:
    """Each paid job was charged once, whoever restarted meanwhile, and nothing is held."""
    charges = await running.history.rows("SELECT amount FROM transfer WHERE kind = 'capture'")
    assert [row["amount"] for row in charges] == [PRICE] * bought
    wallet = (await running.history.rows("SELECT granted, paid, held FROM wallet"))[0]
    assert wallet == {"granted": CREDITS - PRICE * bought, "paid": 0, "held": 0}
    found = await running.client.wallet.CheckLedger(wallet_pb.CheckLedgerRequest())
    assert list(found.differences) == []


async def _restart(program: Program) -> None:
    started = time.monotonic()
    await program.stop()
    assert time.monotonic() - started < MOST_DRAIN_S, f"{program.name} drains for too long"
    program.start()
    await program.ready()


async def _start_others(number: int) -> None:
    """Start as many programs of this size as a round restarts: what that costs is no delay."""
    for _ in range(number):
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "import generation_svc.server, edge_bot.app"
        )
        assert await other.wait() == 0


async def _user(running: Stack) -> Person:
    person = await running.telegram.person()
    await person.says("/start")
    await person.sees("an answer", lambda message: True)
    return person


@asynccontextmanager
async def _load(running: Stack, people: list[Person]) -> AsyncIterator[list[str]]:
    """Ask for pictures at a steady rate while the context is open; give the prompts."""
    asked: list[str] = []
    numbers, stop = count(1), asyncio.Event()

    async def ask() -> None:
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                prompt = f"rolling {next(numbers)}"
                asked.append(prompt)
                to = TelegramDestination(
                    bot_id=BOT_ID, chat_id=people[len(asked) % len(people)].number
                )
                order = _PAID if len(asked) % 2 else {}
                group.create_task(running.create(prompt, request_id=prompt, telegram=to, **order))
                await asyncio.sleep(1 / JOBS_PER_S)

    asking = asyncio.create_task(ask())
    try:
        yield asked
    finally:
        stop.set()
        await asking


async def _delivered(running: Stack, expected: int) -> list[dict[str, Any]]:
    """Wait until every job is delivered and return what each took."""

    async def are_delivered() -> bool:
        rows = await running.history.rows(_SQL)
        return len(rows) == expected and all(row["seconds"] is not None for row in rows)

    await until(are_delivered, within_s=60, what=f"the delivery of {expected} jobs")
    return await running.history.rows(_SQL)
