"""A call counts when it is taken and when it arrives, however slow the database is in between."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from generation_svc.domain.job import JobState
from tests.chaos.traffic import densest
from tests.lifecycle import GENEROUS, SUCCESS, FakeProvider, Harness, OpenBench
from tests.step import dispatch, poll

WINDOW = timedelta(seconds=1)


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await open_bench(limits=replace(GENEROUS, create_window=WINDOW))


async def test_a_call_that_left_late_counts_from_then(harness: Harness) -> None:
    await harness.accept()
    await _delay_attempts(harness, by=WINDOW * 0.3)
    assert await dispatch(harness.deps)
    assert len(harness.provider.created) == 1
    (row,) = await harness.query(
        "SELECT take_time - submit_time AS late FROM budget_slot, attempt"
        " WHERE isfinite(take_time) AND budget = 'create'"
    )
    assert row["late"] >= WINDOW * 0.3


async def test_a_call_that_would_be_very_late_is_not_made(harness: Harness) -> None:
    job = await harness.accept()
    await _delay_attempts(harness, by=WINDOW * 0.6)
    assert await dispatch(harness.deps)
    assert harness.provider.created == []
    assert (await harness.events(job))[-1] == "postponed"
    assert [each["state"] for each in await harness.attempts(job)] == ["refused"]

    await harness.query("DROP FUNCTION slow CASCADE")
    await harness.dispatch_all()
    assert len(harness.provider.created) == 1
    assert (await harness.job(job)).state is JobState.RUNNING


async def test_calls_that_arrive_late_leave_no_window_too_full(open_bench: OpenBench) -> None:
    """Connections take their time, and the calls after them do not."""
    window = timedelta(seconds=3)
    limits = replace(GENEROUS, creates_per_window=2, create_window=window)
    harness = await open_bench(limits=limits)
    arrivals: list[float] = []

    async def connect(provider: FakeProvider, task_id: str) -> str:
        if len(provider.created) <= 2:
            await asyncio.sleep(1.2)
        arrivals.append(asyncio.get_running_loop().time())
        return task_id

    harness.provider.answer = connect
    for _ in range(4):
        await harness.accept()

    async def work() -> None:
        while len(arrivals) < 4:
            await dispatch(harness.deps)

    await asyncio.wait_for(asyncio.gather(work(), work()), 30)
    assert densest(arrivals, window_s=window.total_seconds()) == 2


async def test_a_call_in_time_is_counted_once(harness: Harness) -> None:
    await harness.run()
    harness.provider.tasks["task-1"] = SUCCESS
    await harness.later(minutes=1)
    assert await poll(harness.deps)
    rows = await harness.query("SELECT budget FROM budget_slot WHERE isfinite(take_time)")
    assert sorted(row["budget"] for row in rows) == ["create", "read"]


@pytest.mark.parametrize("is_cut", [False, True], ids=["waited", "cut off"])
async def test_a_late_call_is_counted_however_the_database_takes_it(
    open_bench: OpenBench, *, is_cut: bool
) -> None:
    """The count of a late call has to wait for a lock, or loses its connection over it."""
    harness = await open_bench(limits=replace(GENEROUS, create_window=WINDOW * 10))
    await harness.accept()
    await _delay_attempts(harness, by=WINDOW * 0.3)
    sending = asyncio.create_task(dispatch(harness.deps))
    await _until_there_is(harness, "wait_event = 'PgSleep'")
    async with harness.connection.transaction():
        await harness.query("LOCK TABLE budget_slot IN ACCESS EXCLUSIVE MODE")
        await _until_there_is(harness, _IS_BLOCKED)
        await harness.query("SELECT pg_sleep(0.4)")
        if is_cut:
            await harness.query(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_IS_BLOCKED}"
            )
    assert await sending

    (row,) = await harness.query(
        "SELECT take_time - submit_time AS late FROM budget_slot, attempt"
        " WHERE isfinite(take_time) AND budget = 'create'"
    )
    assert row["late"] >= WINDOW * 0.7


_IS_BLOCKED = "pg_backend_pid() = ANY(pg_blocking_pids(pid))"


async def _until_there_is(harness: Harness, session: str) -> None:
    """Wait until the database has such a session."""
    query = f"SELECT FROM pg_stat_activity WHERE datname = current_database() AND {session}"
    async with asyncio.timeout(30):
        while not (await harness.connection.execute(query.encode())).rowcount:
            await harness.query("SELECT pg_sleep(0.01)")


async def _delay_attempts(harness: Harness, *, by: timedelta) -> None:
    """Let the writing of an attempt take so long."""
    await harness.query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_sleep({by.total_seconds()}); RETURN NEW; END $$"
    )
    await harness.query(
        "CREATE TRIGGER slow BEFORE INSERT ON attempt FOR EACH ROW EXECUTE FUNCTION slow()"
    )
