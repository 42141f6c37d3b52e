"""Whatever happens to the news of a job, who follows it sees each revision once and in order."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from generation_svc.domain.error import Unavailable
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.job import DelayReason, Job, JobState
from generation_svc.lifecycle import revision_poller
from generation_svc.lifecycle.record import revise, settle
from generation_svc.storage.notifier import Notifier
from generation_svc.usecase.stream_job import follow, wait
from tests.integration.test_storage_notifier import until_listening
from tests.lifecycle import CALLER, Harness, OpenBench

WRITES = 12
_LOST = Failure.of(FailureReason.PROVIDER_LOST_JOB)


@dataclass
class Reader:
    """Follows a job, now at one replica and then at the other, at its own pace."""

    random: Random
    seen: list[Job] = field(default_factory=list)

    async def read(self, benches: Sequence[Harness], job: Job) -> list[Job]:
        while not (self.seen and self.seen[-1].state.is_final):
            with suppress(Unavailable):
                await self._read_some(self.random.choice(benches), job)
        return self.seen

    async def _read_some(self, bench: Harness, job: Job) -> None:
        left = self.random.randint(1, 20)
        updates = follow(
            bench.deps,
            CALLER,
            job_id=job.id,
            after=self.seen[-1].revision if self.seen else 0,
            silence=lambda: timedelta(seconds=self.random.choice((0.01, 60))),
        )
        async with aclosing(updates):
            async for update in updates:
                if isinstance(update, Job):
                    self.seen.append(update)
                if self.random.random() < 0.3:
                    await asyncio.sleep(self.random.uniform(0, 0.1))
                left -= 1
                if not left:
                    return


async def write(bench: Harness, job: Job, *, random: Random) -> None:
    for _ in range(WRITES):
        with suppress(KeyError):
            async with bench.transaction() as tx:
                current = await tx.jobs.lock(job.id)
                for _ in range(random.choice((1, 1, 1, 2, 12))):
                    reason = None if current.delay_reason else DelayReason.PROVIDER_BUSY
                    current = await revise(
                        tx, current, event=JobEventKind.DELAYED, delay_reason=reason
                    )
                if random.random() < 0.2:
                    raise KeyError  # it is rolled back, and was never there
        await asyncio.sleep(random.uniform(0, 0.05))


async def stored(bench: Harness, job: Job) -> list[Job]:
    async with bench.transaction() as tx:
        return list(await tx.jobs.revisions(job, after=0, limit=10_000))


@pytest.mark.parametrize("seed", range(4))
async def test_who_follows_sees_each_revision_once_and_in_order(
    harness: Harness, open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random, publish = Random(seed), Notifier.publish

    def lose_some(self: Notifier, *args: Any) -> None:
        if random.random() > 0.3:
            publish(self, *args)

    monkeypatch.setattr(Notifier, "publish", lose_some)
    monkeypatch.setattr(revision_poller, "LOOK_SECONDS", 0.2)
    benches = (harness, await open_bench())
    await until_listening(*benches)
    job = await harness.accept(destination=None)
    readers = [Reader(Random(f"{seed}-{number}")) for number in range(8)]
    reading = [asyncio.create_task(reader.read(benches, job)) for reader in readers]
    waiting = [
        asyncio.create_task(wait(bench.deps, CALLER, job_id=job.id, timeout=timedelta(seconds=60)))
        for bench in benches
    ]

    await asyncio.gather(*(write(bench, job, random=random) for bench in benches * 2))
    async with harness.transaction() as tx:
        await settle(tx, await tx.jobs.lock(job.id), _LOST, event=JobEventKind.GAVE_UP)

    async with asyncio.timeout(30):
        histories = await asyncio.gather(*reading)
        ended = await asyncio.gather(*waiting)
    known = {each.revision: each for each in await stored(harness, job)}
    for history in histories:
        numbers = [each.revision for each in history]
        assert numbers == list(range(numbers[0], len(known) + 1))
        for each in history:
            assert (each.state, each.delay_reason, each.update_time) == (
                known[each.revision].state,
                known[each.revision].delay_reason,
                known[each.revision].update_time,
            )
    assert [each.state for each in ended] == [JobState.FAILED] * 2
