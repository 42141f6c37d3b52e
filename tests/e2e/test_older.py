"""A replica of an earlier release beside this one: it ends no paid job, and keeps on working."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from atelier.generation.v1.job_pb2 import Job
from generation_client import connect
from tests.e2e.buyer import HAS, IMAGEN, PRICE, buy, check_ledger, give, has, holds
from tests.e2e.caller import TOKENS
from tests.e2e.program import Program, until
from tests.e2e.stack import Shape, Stack, serves
from tests.port import free_address
from tests.release import unpack_code

SHAPE = Shape(
    time_scale=0.05,
    edges=0,
    gateways=0,
    service={
        "MONEY": "test",
        "CALLBACK_BASE_URL": "",
        "KIE_CREATE_LIMIT": "1000",
        "KIE_READ_LIMIT": "1000",
        "OWNER_MAX_ACTIVE_JOBS": "1000",
    },
    sandbox={
        "SANDBOX_KIE_DURATION_S": "0.3",
        "SANDBOX_KIE_CREATE_LIMIT": "1000",
        "SANDBOX_KIE_READ_LIMIT": "1000",
    },
)
RELEASE = "0.2.0"
SUCCEED, FAIL = 6, 2
"""How many paid jobs of each end meet the earlier release: more than it fetches at once."""
SOON_S = 10
"""How soon a free job ends; a refusal that is taken for "not now" is tried again for 20 s."""


async def test_an_earlier_release_ends_no_paid_job_and_goes_on_with_free_ones(
    running: Stack, tmp_path: Path
) -> None:
    owner = "beside an earlier release"
    await give(running, owner)
    await running.kie.configure(model_duration_s={IMAGEN: 2})
    await running.kie.fault("generation_failed", match="in vain")
    older = _older(running, tmp_path)
    async with _started(running, older) as there:
        prompts = [f"paid {n}" for n in range(SUCCEED)] + [f"in vain {n}" for n in range(FAIL)]
        paid = await asyncio.gather(*(buy(running, each, owner=owner) for each in prompts))
        await _are_all(running, paid, "accepted")
        running.service.kill()
        await _are_all(running, paid[:SUCCEED], "succeeded")
        await _settled(running, [await _free(there, n) for n in range(8)], within_s=SOON_S)
        assert [await holds(running, each) for each in paid] == [[("open", 0)]] * len(paid)
        running.service.start()
        await running.service.ready()
        await _end_of(running, paid)
        both = [await _free(each, n) for n in range(4) for each in (there, running)]
        await _settled(running, both, within_s=SOON_S)
    assert await has(running, owner) == (HAS - PRICE * SUCCEED, 0)
    await check_ledger(running)
    faults = [each for each in older.records if each["level"] in ("error", "raw")]
    assert faults
    assert all("ends with an open hold" in str(each.get("exception")) for each in faults), faults


def _older(running: Stack, folder: Path) -> Program:
    listen, metrics = free_address(), free_address()
    changes = {
        "PYTHONPATH": unpack_code(folder / "code", release=RELEASE),
        "GENERATION_CALLERS_FILE": "",  # it knows no right to a wallet
        "GENERATION_LISTEN": listen,
        "METRICS_LISTEN": metrics,
    }
    return Program(
        name=RELEASE,
        module="generation_svc",
        folder=folder / RELEASE,
        env={**running.service.env, **changes},
        is_ready=partial(serves, listen),
        metrics_address=metrics,
    )


@asynccontextmanager
async def _started(running: Stack, older: Program) -> AsyncIterator[Stack]:
    """Run an earlier release, and give the stack as it is through it."""
    older.start()
    try:
        await older.ready()
        address = older.env["GENERATION_LISTEN"]
        async with connect(address, token=SecretStr(TOKENS["caller"])) as client:
            yield replace(running, client=client)
    finally:
        await older.stop()


async def _free(there: Stack, number: int) -> Job:
    return await there.create(f"free {number}", owner="free")


async def _settled(running: Stack, jobs: Iterable[Job], *, within_s: float) -> None:
    ends = (running.history.settled(each.id, within_s=within_s) for each in jobs)
    await asyncio.gather(*ends)


async def _are_all(running: Stack, jobs: Sequence[Job], state: str) -> None:
    """Wait until the attempts of jobs are in a state."""
    query = "SELECT state FROM attempt WHERE job_id = ANY(%(ids)s::uuid[])"

    async def are() -> bool:
        rows = await running.history.rows(query, ids=[each.id for each in jobs])
        return [row["state"] for row in rows] == [state] * len(jobs)

    await until(are, within_s=30, what=f"attempts that are {state}")


async def _end_of(running: Stack, paid: Sequence[Job]) -> None:
    """Wait until paid jobs have ended, and let what is claimed meanwhile be claimed again at once.

    The earlier release claims them as often as this one does, and then nobody does for minutes.
    """
    ids = [each.id for each in paid]
    over = "SELECT id FROM job WHERE id = ANY(%(ids)s::uuid[]) AND state IN ('succeeded', 'failed')"

    async def are_over() -> bool:
        await running.history.rows(
            "UPDATE attempt SET fetch_time = now() WHERE state = 'succeeded'"
        )
        await running.history.rows("UPDATE attempt SET read_time = now() WHERE state = 'accepted'")
        return len(await running.history.rows(over, ids=ids)) == len(ids)

    await until(are_over, within_s=30, what="the end of the paid jobs")
