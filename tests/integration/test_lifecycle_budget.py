"""A call counts when it is taken and when it arrives, however slow the database is in between."""

from dataclasses import replace
from datetime import timedelta

import pytest

from generation_svc.domain.job import JobState
from generation_svc.lifecycle.dispatch import dispatch
from generation_svc.lifecycle.poll import poll
from tests.lifecycle import GENEROUS, SUCCESS, Bench, OpenBench

WINDOW = timedelta(seconds=1)


@pytest.fixture
async def bench(open_bench: OpenBench) -> Bench:
    return await open_bench(limits=replace(GENEROUS, create_window=WINDOW))


async def test_a_call_that_left_late_counts_from_then(bench: Bench) -> None:
    await bench.accept()
    await _delay_attempts(bench, by=WINDOW * 0.3)
    assert await dispatch(bench.context)
    assert len(bench.provider.created) == 1
    (row,) = await bench.query(
        "SELECT take_time - submit_time AS late FROM budget_slot, attempt"
        " WHERE isfinite(take_time) AND budget = 'create'"
    )
    assert row["late"] >= WINDOW * 0.3


async def test_a_call_that_would_be_very_late_is_not_made(bench: Bench) -> None:
    job = await bench.accept()
    await _delay_attempts(bench, by=WINDOW * 0.6)
    assert await dispatch(bench.context)
    assert bench.provider.created == []
    assert (await bench.events(job))[-1] == "postponed"
    assert [each["state"] for each in await bench.attempts(job)] == ["refused"]

    await bench.query("DROP FUNCTION slow CASCADE")
    await bench.dispatch_all()
    assert len(bench.provider.created) == 1
    assert (await bench.job(job)).state is JobState.RUNNING


async def test_a_call_in_time_is_counted_once(bench: Bench) -> None:
    await bench.run()
    bench.provider.tasks["task-1"] = SUCCESS
    await bench.later(minutes=1)
    assert await poll(bench.context)
    rows = await bench.query("SELECT budget FROM budget_slot WHERE isfinite(take_time)")
    assert sorted(row["budget"] for row in rows) == ["create", "read"]


async def _delay_attempts(bench: Bench, *, by: timedelta) -> None:
    """Let the writing of an attempt take so long."""
    await bench.query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_sleep({by.total_seconds()}); RETURN NEW; END $$"
    )
    await bench.query(
        "CREATE TRIGGER slow BEFORE INSERT ON attempt FOR EACH ROW EXECUTE FUNCTION slow()"
    )
