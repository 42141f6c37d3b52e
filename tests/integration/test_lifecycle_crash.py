"""A process may be killed at any instruction: what it left heals, and nothing is sent twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from generation_svc.domain.error import Unavailable
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine import rate_budget
from generation_svc.engine.persist import persist
from generation_svc.lifecycle.dependencies import Dependencies
from tests.lifecycle import SUCCESS, FakeProvider, Harness
from tests.step import dispatch, fetch_result, poll


class Killed(BaseException):
    """The process is gone."""


class MortalDatabase:
    """Lets so many transactions commit, then kills: before the next one begins, or ends."""

    def __init__(self, harness: Harness, *, commits: int, at: str) -> None:
        self._real = harness.deps.database
        self._left = commits
        self._at = at
        self.watch, self.now, self.read = self._real.watch, self._real.now, self._real.read
        self.follow, self.call_for_help = self._real.follow, self._real.call_for_help

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
    harness: Harness, step: Callable[[Dependencies], Awaitable[bool]], *, commits: int, at: str
) -> bool:
    """Do a step in a process that dies; return whether it did, or came to its end."""
    mortal = replace(harness.deps, database=MortalDatabase(harness, commits=commits, at=at))
    was_killed = False
    try:
        while await step(mortal):
            pass
    except* Killed:  # in a group, where it was one of several tasks
        was_killed = True
    return was_killed


async def heal(harness: Harness) -> None:
    """Let another process go on, and time pass."""
    for _ in range(4):
        await harness.later(seconds=65)
        await harness.sweep()
        await harness.dispatch_all()
        await harness.poll_all()
        await harness.fetch_all()


async def assert_done_once(harness: Harness, job: Job) -> None:
    assert (await harness.job(job)).state is JobState.SUCCEEDED
    events = await harness.events(job)
    assert events.count("settled") == 1
    revisions = [revision for revision, _ in await harness.history(job)]
    assert revisions == list(range(1, len(revisions) + 1))


PICTURE: dict[str, Any] = {
    "model_id": "qwen/image-edit",
    "inputs": {"prompt": "a hat", "image": "data:image/png;base64,AAAA"},
}


@pytest.fixture
def in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no call be late: on a busy machine one would be, and is counted anew with a commit."""
    monkeypatch.setattr(rate_budget, "LATE", timedelta(minutes=1))
    monkeypatch.setattr(rate_budget, "SLOW", timedelta(minutes=1))


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize(
    ("accepted", "last", "commits"),
    [
        *(pytest.param({}, 3, commits, id=f"text-{commits}") for commits in range(4)),
        *(pytest.param(PICTURE, 7, commits, id=f"picture-{commits}") for commits in range(8)),
    ],
)
async def test_a_dispatcher_killed_anywhere_leaves_what_heals(
    harness: Harness, accepted: dict[str, Any], last: int, commits: int, at: str
) -> None:
    """The attempt for a text is written when it is claimed; media is handed over before that."""
    job = await harness.accept(**accepted)
    was_killed = await run_until_killed(harness, dispatch, commits=commits, at=at)
    assert was_killed is (commits < last)
    sent = len(harness.provider.created)
    for n in (1, 2):
        harness.provider.tasks[f"task-{n}"] = SUCCESS
    if sent:  # the provider has the task, and its callback finds the job
        await harness.callback(SUCCESS, call=1)

    await heal(harness)

    assert len(harness.provider.created) == 1
    await assert_done_once(harness, job)


async def test_an_attempt_is_repeated_only_once_its_fate_is_called_unknown(
    harness: Harness,
) -> None:
    async def die(provider: FakeProvider, task_id: str) -> str:
        raise Killed

    await harness.accept()
    harness.provider.answer = die
    with pytest.raises(Killed):
        await dispatch(harness.deps)
    harness.provider.answer = None
    await harness.later(minutes=5)
    await harness.dispatch_all()
    assert len(harness.provider.created) == 1

    await harness.sweep()
    await harness.later(seconds=10)
    await harness.dispatch_all()
    assert len(harness.provider.created) == 2


@pytest.mark.parametrize("commits", range(5))
async def test_without_callbacks_too_a_job_is_sent_again_at_most_once(
    harness: Harness, commits: int
) -> None:
    harness = replace(
        harness,
        deps=replace(harness.deps, provider=replace(harness.deps.provider, callback_base_url=None)),
    )
    job = await harness.accept()
    await run_until_killed(harness, dispatch, commits=commits, at="after")
    harness.provider.tasks = {f"task-{n}": SUCCESS for n in (1, 2)}

    await heal(harness)

    assert len(harness.provider.created) <= 2
    await assert_done_once(harness, job)


@pytest.mark.parametrize(
    ("step", "commits"),
    [*((poll, n) for n in range(4)), *((fetch_result, n) for n in range(2))],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
@pytest.mark.parametrize("at", ["before", "after"])
async def test_a_reader_or_a_fetcher_killed_anywhere_is_followed_by_another(
    harness: Harness, step: Callable[[Dependencies], Awaitable[bool]], commits: int, at: str
) -> None:
    job = await harness.run()
    harness.provider.tasks["task-1"] = SUCCESS
    if step is fetch_result:
        await harness.callback(SUCCESS)
    else:
        await harness.later(seconds=60)
    assert await run_until_killed(harness, step, commits=commits, at=at)
    await harness.later(minutes=4)

    await heal(harness)

    await assert_done_once(harness, job)


async def test_the_answer_is_recorded_though_the_dispatcher_is_cancelled(harness: Harness) -> None:
    job = await harness.accept()

    async def answer(provider: FakeProvider, task_id: str) -> str:
        dispatcher.cancel()  # arrives at the next await: while the answer is recorded
        return task_id

    harness.provider.answer = answer
    dispatcher = asyncio.create_task(dispatch(harness.deps))
    await asyncio.wait({dispatcher})

    assert dispatcher.cancelled()
    assert (await harness.job(job)).state is JobState.RUNNING


async def test_a_database_that_is_away_for_a_moment_costs_no_second_task(harness: Harness) -> None:
    class Flickering:
        """Is away for the first transactions after createTask was called."""

        def __init__(self) -> None:
            self.left = 3
            real = harness.deps.database
            self.watch, self.now, self.read = real.watch, real.now, real.read
            self.follow, self.call_for_help = real.follow, real.call_for_help

        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[Transaction]:
            if harness.provider.created and self.left:
                self.left -= 1
                raise Unavailable
            async with harness.deps.database.transaction() as tx:
                yield tx

    job = await harness.accept()

    await dispatch(replace(harness.deps, database=Flickering()))

    assert (await harness.job(job)).state is JobState.RUNNING


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
