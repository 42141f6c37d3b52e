"""What the model of the race found (tests/model), each as it happens on PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from generation_svc.domain.delivery import DeliveryKind, Impossible, Unknown
from generation_svc.domain.job import JobState
from generation_svc.domain.port import Database, Transaction
from generation_svc.lifecycle import deliver, sweep
from tests.lifecycle import CALLER, CHAT, PENDING, SUCCESS, Bench

SPAN = timedelta(seconds=30)
CHAT_WANTED = deliver.Wanted(CALLER, bot_id=CHAT.bot_id, queue=None, limit=1, span=SPAN)


@dataclass
class Interrupted:
    """A database on which something happens right after one's first transaction."""

    database: Database
    interruption: Callable[[], Awaitable[object]] | None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self.database.transaction() as tx:
            yield tx
        if self.interruption:
            interruption, self.interruption = self.interruption, None
            await interruption()


async def test_the_hard_stop_spares_an_attempt_whose_answer_comes_while_it_is_swept(
    bench: Bench,
) -> None:
    job = await bench.run()
    await bench.query("UPDATE attempt SET state = 'unknown', task_id = NULL, read_time = NULL")
    await bench.later(hours=1)
    database = Interrupted(bench.context.database, lambda: bench.callback(PENDING, task_id="task"))

    await sweep.end_overdue(replace(bench.context, database=cast(Any, database)))

    (attempt,) = await bench.attempts(job)
    assert (await bench.job(job)).state is JobState.RUNNING
    assert (attempt["state"], attempt["task_id"]) == ("accepted", "task")


async def test_a_progress_message_that_may_be_the_outcome_is_left_alone(bench: Bench) -> None:
    job = await bench.run()
    await bench.callback(SUCCESS)
    await bench.fetch_all()
    await _send(bench, Unknown())
    await bench.later(seconds=60)

    await _send(bench, Impossible("tried for too long"))  # an edit of it may have arrived

    assert not await deliver.lease(bench.context, CHAT_WANTED, wait=timedelta(0))
    assert (await bench.deliveries(job))["progress"]["state"] == "sent"


async def _send(bench: Bench, outcome: Unknown | Impossible) -> None:
    (delivery,) = await deliver.lease(bench.context, CHAT_WANTED, wait=timedelta(0))
    assert delivery.kind is DeliveryKind.OUTCOME
    await deliver.begin(bench.context, delivery.lease_token)
    await deliver.report(bench.context, delivery.lease_token, outcome=outcome)
