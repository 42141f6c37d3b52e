"""A process may be killed at any instruction: what it left heals, and nothing is sent twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from generation_svc.domain.error import Unavailable
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.port import Transaction
from generation_svc.lifecycle.context import Context
from generation_svc.lifecycle.dispatch import dispatch
from generation_svc.lifecycle.fetch import fetch
from generation_svc.lifecycle.persist import persist
from generation_svc.lifecycle.poll import poll
from tests.lifecycle import SUCCESS, Bench, FakeProvider


class Killed(BaseException):
    """The process is gone."""


class MortalDatabase:
    """Lets so many transactions commit, then kills: before the next one begins, or ends."""

    def __init__(self, bench: Bench, *, commits: int, at: str) -> None:
        self._real = bench.context.database
        self._left = commits
        self._at = at
        self.watch, self.now = self._real.watch, self._real.now

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        if self._left <= 0 and self._at == "before":
            raise Killed
        async with self._real.transaction() as tx:
            yield tx
            if self._left <= 0:
                raise Killed  # rolls back
        self._left -= 1


async def run_until_killed(
    bench: Bench, step: Callable[[Context], Awaitable[bool]], *, commits: int, at: str
) -> bool:
    """Do a step in a process that dies; return whether it did, or came to its end."""
    mortal = replace(bench.context, database=MortalDatabase(bench, commits=commits, at=at))
    try:
        while await step(mortal):
            pass
    except Killed:
        return True
    return False


async def heal(bench: Bench) -> None:
    """Let another process go on, and time pass."""
    for _ in range(4):
        await bench.later(seconds=65)
        await bench.sweep()
        await bench.dispatch_all()
        await bench.poll_all()
        await bench.fetch_all()


async def assert_done_once(bench: Bench, job: Job) -> None:
    assert (await bench.job(job)).state is JobState.SUCCEEDED
    events = await bench.events(job)
    assert events.count("settled") == 1
    revisions = [revision for revision, _ in await bench.history(job)]
    assert revisions == list(range(1, len(revisions) + 1))


@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize("commits", range(6))
async def test_a_dispatcher_killed_anywhere_leaves_what_heals(
    bench: Bench, commits: int, at: str
) -> None:
    job = await bench.accept()
    was_killed = await run_until_killed(bench, dispatch, commits=commits, at=at)
    assert was_killed or commits >= 5
    sent = len(bench.provider.created)
    for n in (1, 2):
        bench.provider.tasks[f"task-{n}"] = SUCCESS
    if sent:  # the provider has the task, and its callback finds the job
        await bench.callback(SUCCESS, call=1)

    await heal(bench)

    assert len(bench.provider.created) == 1
    await assert_done_once(bench, job)


async def test_an_attempt_is_repeated_only_once_its_fate_is_called_unknown(bench: Bench) -> None:
    async def die(provider: FakeProvider, task_id: str) -> str:
        raise Killed

    await bench.accept()
    bench.provider.answer = die
    with pytest.raises(Killed):
        await dispatch(bench.context)
    bench.provider.answer = None
    await bench.later(minutes=5)
    await bench.dispatch_all()
    assert len(bench.provider.created) == 1

    await bench.sweep()
    await bench.later(seconds=10)
    await bench.dispatch_all()
    assert len(bench.provider.created) == 2


@pytest.mark.parametrize("commits", range(5))
async def test_without_callbacks_too_a_job_is_sent_again_at_most_once(
    bench: Bench, commits: int
) -> None:
    bench = replace(bench, context=replace(bench.context, callback_base_url=None))
    job = await bench.accept()
    await run_until_killed(bench, dispatch, commits=commits, at="after")
    bench.provider.tasks = {f"task-{n}": SUCCESS for n in (1, 2)}

    await heal(bench)

    assert len(bench.provider.created) <= 2
    await assert_done_once(bench, job)


@pytest.mark.parametrize(
    ("step", "commits"),
    [*((poll, n) for n in range(4)), *((fetch, n) for n in range(2))],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
@pytest.mark.parametrize("at", ["before", "after"])
async def test_a_reader_or_a_fetcher_killed_anywhere_is_followed_by_another(
    bench: Bench, step: Callable[[Context], Awaitable[bool]], commits: int, at: str
) -> None:
    job = await bench.run()
    bench.provider.tasks["task-1"] = SUCCESS
    if step is fetch:
        await bench.callback(SUCCESS)
    else:
        await bench.later(seconds=60)
    assert await run_until_killed(bench, step, commits=commits, at=at)
    await bench.later(minutes=4)

    await heal(bench)

    await assert_done_once(bench, job)


async def test_the_answer_is_recorded_though_the_dispatcher_is_cancelled(bench: Bench) -> None:
    job = await bench.accept()

    async def answer(provider: FakeProvider, task_id: str) -> str:
        dispatcher.cancel()  # arrives at the next await: while the answer is recorded
        return task_id

    bench.provider.answer = answer
    dispatcher = asyncio.create_task(dispatch(bench.context))
    await asyncio.wait({dispatcher})

    assert dispatcher.cancelled()
    assert (await bench.job(job)).state is JobState.RUNNING


async def test_a_database_that_is_away_for_a_moment_costs_no_second_task(bench: Bench) -> None:
    class Flickering:
        """Is away for the first transactions after createTask was called."""

        def __init__(self) -> None:
            self.left = 3
            self.watch, self.now = bench.context.database.watch, bench.context.database.now

        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[Transaction]:
            if bench.provider.created and self.left:
                self.left -= 1
                raise Unavailable
            async with bench.context.database.transaction() as tx:
                yield tx

    job = await bench.accept()

    await dispatch(replace(bench.context, database=Flickering()))

    assert (await bench.job(job)).state is JobState.RUNNING


async def test_what_is_recorded_while_stopping_is_waited_for() -> None:
    gate, done = asyncio.Event(), []

    async def record() -> None:
        await gate.wait()
        done.append(True)

    recorder = asyncio.create_task(persist(record))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    recorder.cancel()
    await asyncio.sleep(0)
    assert not recorder.done()
    gate.set()
    await asyncio.wait({recorder})

    assert recorder.cancelled()
    assert done == [True]
