"""What the model of the race found (tests/model), each as it happens on PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from generation_svc.domain.delivery import DeliveryKind, Impossible, Unknown
from generation_svc.domain.job import JobState
from generation_svc.domain.port.transaction import Database, Transaction
from generation_svc.engine.maintenance import deadlines
from generation_svc.usecase import lease_delivery
from tests.lifecycle import CALLER, CHAT, PENDING, SUCCESS, Harness

SPAN = timedelta(seconds=30)
CHAT_WANTED = lease_delivery.Wanted(CALLER, bot_id=CHAT.bot_id, queue=None, limit=1, span=SPAN)


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
    harness: Harness,
) -> None:
    job = await harness.run()
    await harness.query("UPDATE attempt SET state = 'unknown', task_id = NULL, read_time = NULL")
    await harness.later(hours=1)
    database = Interrupted(harness.deps.database, lambda: harness.callback(PENDING, task_id="task"))

    await deadlines.end_overdue(replace(harness.deps, database=cast(Any, database)))

    (attempt,) = await harness.attempts(job)
    assert (await harness.job(job)).state is JobState.RUNNING
    assert (attempt["state"], attempt["task_id"]) == ("accepted", "task")


async def test_a_progress_message_that_may_be_the_outcome_is_left_alone(harness: Harness) -> None:
    job = await harness.run()
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    await _send(harness, Unknown())
    await harness.later(seconds=60)

    await _send(harness, Impossible("tried for too long"))  # an edit of it may have arrived

    assert not await lease_delivery.lease(harness.deps, CHAT_WANTED, wait=timedelta(0))
    assert (await harness.deliveries(job))["progress"]["state"] == "sent"


async def _send(harness: Harness, outcome: Unknown | Impossible) -> None:
    (delivery,) = await lease_delivery.lease(harness.deps, CHAT_WANTED, wait=timedelta(0))
    assert delivery.kind is DeliveryKind.OUTCOME
    await lease_delivery.begin(harness.deps, delivery.lease_token)
    await lease_delivery.report(harness.deps, delivery.lease_token, outcome=outcome)
