"""What a sweep cannot do keeps it from nothing else: rows that fail every time, and locked ones."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from generation_svc.domain.error import Unavailable
from generation_svc.domain.job import Job
from generation_svc.engine.batch import BATCH
from generation_svc.engine.callback_replay import replay_callbacks
from generation_svc.engine.maintenance.accounts import end_unreadable
from generation_svc.engine.maintenance.deadlines import end_overdue, end_unstarted
from generation_svc.engine.maintenance.delays import label_delays
from generation_svc.engine.maintenance.orphans import mark_orphans
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.storage import database as storage_database
from tests.lifecycle import SUCCESS, Harness, OpenBench, body_of

BROKEN = 2 * BATCH
Step = Callable[[Dependencies], Awaitable[object]]
SENT: dict[Step, str] = {
    end_overdue: "UPDATE attempt SET accept_time = now() - interval '25 hours'",
    mark_orphans: "UPDATE attempt SET state = 'submitting', read_time = NULL,"
    " submit_time = now() - interval '10 minutes'",
    replay_callbacks: "INSERT INTO callback_receipt (id, attempt_id, body, headers, is_trusted,"
    " receive_time) SELECT id, id, %(body)s, '{}', true, now() - interval '1 minute' FROM attempt",
    end_unreadable: "UPDATE attempt SET account = 'gone', read_time = now() - interval '1 day'",
}
"""Steps for jobs that were sent, and what makes one due."""
QUEUED: dict[Step, str] = {
    end_unstarted: "UPDATE job SET start_deadline_time = now() - interval '1 minute'",
    label_delays: "UPDATE job SET delay_reason = 'provider_account'",
}
"""The same for jobs that were not."""
DONE: dict[Step, str] = {
    end_unstarted: "SELECT state = 'failed' AS is_done FROM job WHERE id = %s",
    end_overdue: "SELECT state = 'failed' AS is_done FROM job WHERE id = %s",
    end_unreadable: "SELECT state = 'failed' AS is_done FROM job WHERE id = %s",
    label_delays: "SELECT delay_reason IS NULL AS is_done FROM job WHERE id = %s",
    mark_orphans: "SELECT state = 'unknown' AS is_done FROM attempt WHERE job_id = %s",
    replay_callbacks: "SELECT state = 'succeeded' AS is_done FROM attempt WHERE job_id = %s",
}
"""What asks whether a step did its work for a job."""


@pytest.mark.parametrize("step", [*QUEUED, *SENT], ids=lambda step: str(step.__name__))
async def test_what_fails_every_time_stands_before_no_other(harness: Harness, step: Step) -> None:
    broken = await _made(harness, step)
    await _break(harness, broken)
    whole = await _made(harness, step)
    due = (SENT | QUEUED)[step]
    await harness.connection.execute(due, {"body": body_of(SUCCESS)})
    await harness.query("UPDATE job SET finish_deadline_time = now() - interval '1 minute'")

    with capture_logs() as logs:
        assert not await step(harness.deps)  # at once again would be for ever

    assert [each["log_level"] for each in logs].count("error") > BROKEN
    assert await harness.query(DONE[step], whole.id) == [{"is_done": True}]


async def test_a_row_that_is_locked_stands_before_no_other(
    monkeypatch: pytest.MonkeyPatch, open_bench: OpenBench, database_url: str
) -> None:
    monkeypatch.setattr(storage_database, "STATEMENT_SECONDS", 0.3)
    harness = await open_bench()
    locked, others = await harness.accept(), [await harness.accept() for _ in range(BATCH)]
    await harness.query(QUEUED[end_unstarted])
    async with _holding(database_url, locked):
        with pytest.raises(Unavailable):  # it is counted and tried again
            await end_unstarted(harness.deps)
        assert await _states(harness) == {"failed": len(others), "queued": 1}
    await end_unstarted(harness.deps)
    assert await _states(harness) == {"failed": len(others) + 1}


async def _made(harness: Harness, step: Step) -> Job:
    return await (harness.run() if step in SENT else harness.accept())


async def _break(harness: Harness, job: Job) -> None:
    """Let there be many of a job, none of which can be read: only hands at the database do that."""
    await harness.query(_COPY.format(table="job", key="id", changes=_JOB), job.id)
    await harness.query(_COPY.format(table="attempt", key="job_id", changes=_ATTEMPT), job.id)
    await harness.query("""UPDATE job SET destination = '{"kind": "pigeon"}'""")


_COPY = f"""
INSERT INTO {{table}} SELECT (jsonb_populate_record({{table}}, {{changes}})).*
FROM {{table}}, generate_series(1, {BROKEN}) AS n,
    LATERAL (SELECT lpad(n::text, 32, '0')::uuid AS copy) AS numbered
WHERE {{table}}.{{key}} = %s
"""
_JOB = "jsonb_build_object('id', copy)"
_ATTEMPT = (
    "jsonb_build_object('id', copy, 'job_id', copy, 'task_id', n::text,"
    " 'token_hash', sha256(n::text::bytea))"
)


@asynccontextmanager
async def _holding(database_url: str, job: Job) -> AsyncIterator[None]:
    """Keep the row of a job locked, as a forgotten session does."""
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("SELECT FROM job WHERE id = %s FOR UPDATE", (job.id,))
        yield
        await other.rollback()


async def _states(harness: Harness) -> dict[str, Any]:
    rows = await harness.query("SELECT state, count(*) AS jobs FROM job GROUP BY state")
    return {row["state"]: row["jobs"] for row in rows}
