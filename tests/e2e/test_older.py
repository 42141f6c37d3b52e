"""A replica of an earlier release beside this one: it ends no paid job, and keeps on working."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from atelier.generation.v1.job_pb2 import Job
from tests.e2e import older
from tests.e2e.buyer import HAS, IMAGEN, PRICE, buy, check_ledger, give, has, holds
from tests.e2e.stack import Shape, Stack

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
SUCCEED, FAIL = 6, 2
"""How many paid jobs of each end meet the earlier release: more than it fetches at once."""
SOON_S = 10
"""How soon a free job ends; a refusal that is taken for "not now" is tried again for 20 s."""


@pytest.mark.parametrize("release", ["0.1.0", "0.2.0"])
async def test_an_earlier_release_ends_no_paid_job_and_goes_on_with_free_ones(
    running: Stack, tmp_path: Path, release: str
) -> None:
    owner = f"beside release {release}"
    await give(running, owner)
    await running.kie.configure(model_duration_s={IMAGEN: 6})  # all run at one time for a while
    await running.kie.fault("generation_failed", match="in vain")
    replica = older.older(running, tmp_path, release=release)
    async with older.started(running, replica) as there:
        prompts = [f"paid {n}" for n in range(SUCCEED)] + [f"in vain {n}" for n in range(FAIL)]
        paid = await asyncio.gather(*(buy(running, each, owner=owner) for each in prompts))
        await older.are_all(running, paid, "accepted")
        running.service.kill()
        await older.are_all(running, paid[:SUCCEED], "succeeded")
        await _settled(running, [await _free(there, n) for n in range(8)], within_s=SOON_S)
        assert [await holds(running, each) for each in paid] == [[("open", 0)]] * len(paid)
        running.service.start()
        await running.service.ready()
        await older.end_of(running, paid)
        both = [await _free(each, n) for n in range(4) for each in (there, running)]
        await _settled(running, both, within_s=SOON_S)
    assert await has(running, owner) == (HAS - PRICE * SUCCEED, 0)
    await check_ledger(running)
    faults = [each for each in replica.records if each["level"] in ("error", "raw")]
    assert faults
    assert all("ends with an open hold" in str(each.get("exception")) for each in faults), faults


async def _free(there: Stack, number: int) -> Job:
    return await there.create(f"free {number}", owner="free")


async def _settled(running: Stack, jobs: Iterable[Job], *, within_s: float) -> None:
    ends = (running.history.settled(each.id, within_s=within_s) for each in jobs)
    await asyncio.gather(*ends)
