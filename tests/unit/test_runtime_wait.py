"""Waiting ends, and what fails is done again for as long as that can help."""

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from runtime.retry import retry
from runtime.wait import Deadline, finished, first_of, interruptible, is_set_within

LONG = 30.0
"""Longer than any of these tests; who waited for it would be seen by pytest's own limit."""


class Passing(Exception):
    """May pass."""


class Lasting(Exception):
    """Will not."""


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Call:
    """Raises what it is given, one after the other, and then returns how often it was made."""

    errors: Iterable[Exception]
    made: int = field(default=0, init=False)

    async def __call__(self) -> int:
        self.errors = iter(self.errors)
        self.made += 1
        for error in self.errors:
            raise error
        return self.made


def may_pass(error: Exception) -> bool:
    return isinstance(error, Passing)


def test_a_deadline_counts_down_and_below() -> None:
    clock = Clock()
    deadline = Deadline(5, clock=clock)
    assert (deadline.ends_at, deadline.left_s, deadline.is_over) == (105, 5, False)
    clock.now = 105
    assert deadline.is_over
    clock.now = 107
    assert deadline.left_s == -2


async def test_an_event_is_waited_for_until_it_is_set_or_the_time_is_over() -> None:
    event = asyncio.Event()
    assert not await is_set_within(event, 0)
    asyncio.get_running_loop().call_soon(event.set)
    assert await is_set_within(event, LONG)
    assert await is_set_within(event, 0)


async def test_waiting_for_an_event_lets_a_cancellation_through() -> None:
    waiting = asyncio.create_task(is_set_within(asyncio.Event(), LONG))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_first_of_several_events_ends_the_wait() -> None:
    before, events = asyncio.all_tasks(), [asyncio.Event(), asyncio.Event()]
    asyncio.get_running_loop().call_soon(events[1].set)
    await first_of(*events, seconds=LONG)
    assert asyncio.all_tasks() == before


async def test_work_is_cancelled_when_it_shall_stop() -> None:
    stop, ended = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        try:
            return await asyncio.Event().wait() and ""
        finally:
            ended.set()

    asyncio.get_running_loop().call_later(0.01, stop.set)
    assert await interruptible(stop, work()) is None
    assert ended.is_set()


async def test_work_that_ends_in_the_time_that_is_left_gives_its_result() -> None:
    stop, may_end = asyncio.Event(), asyncio.Event()
    stop.set()

    async def work() -> str:
        await may_end.wait()
        return "done"

    asyncio.get_running_loop().call_later(0.01, may_end.set)
    assert await finished(stop, work(), within_s=LONG) == "done"
    may_end.clear()
    assert await finished(stop, work(), within_s=0) is None


async def test_a_call_is_made_again_until_it_succeeds() -> None:
    call = Call([Passing(), Passing()])
    assert await retry(call, delays=itertools.repeat(0), may_pass=may_pass) == 3


async def test_an_error_that_stays_is_raised_at_once() -> None:
    call = Call([Passing(), Lasting(), Passing()])
    with pytest.raises(Lasting):
        await retry(call, delays=itertools.repeat(0), may_pass=may_pass)
    assert call.made == 2


async def test_after_the_last_delay_there_is_one_more_call() -> None:
    call = Call([Passing("first"), Passing("second"), Passing("third"), Passing("fourth")])
    with pytest.raises(Passing, match="third"):
        await retry(call, delays=(0, 0), may_pass=may_pass)
    assert call.made == 3


async def test_a_deadline_ends_the_tries_but_not_the_first() -> None:
    clock, call = Clock(), Call(Passing() for _ in itertools.count())
    deadline = Deadline(0, clock=clock)
    with pytest.raises(Passing):
        await retry(call, delays=itertools.repeat(0), may_pass=may_pass, deadline=deadline)
    assert call.made == 1
    assert await retry(Call([]), delays=(0,), may_pass=may_pass, deadline=deadline) == 1


async def test_a_cancellation_is_no_error_that_passes() -> None:
    async def call() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await retry(call, delays=itertools.repeat(0), may_pass=lambda _: True)
