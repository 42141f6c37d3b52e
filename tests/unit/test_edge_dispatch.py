import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest
from prometheus_client import CollectorRegistry
from telegram import Message as TelegramMessage
from telegram import Update, User
from telegram.error import BadRequest, NetworkError

from edge_bot.conversation.session_store import SessionConflict
from edge_bot.metric import Meter
from edge_bot.update.dispatcher import ACKNOWLEDGE_S, Dispatcher
from generation_client import GenerationError
from runtime.backoff import Backoff

UNAVAILABLE = GenerationError(code=grpc.StatusCode.UNAVAILABLE)
SOON = Backoff(first_s=0.001, cap_s=0.002)


def update(number: int, *, user: int = 7) -> Update:
    message = {
        "message_id": number,
        "date": 0,
        "chat": {"id": user, "type": "private"},
        "from": {"id": user, "is_bot": False, "first_name": "Ann"},
    }
    made = Update(number, message=TelegramMessage.de_json(message, None))
    assert isinstance(made.effective_user, User)
    return made


class Handler:
    """Handles updates by a script of errors and notes the order."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.handled: list[int] = []
        self.apologies: list[int] = []

    async def __call__(self, one: Update) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.handled.append(one.update_id)

    async def apologize(self, one: Update) -> None:
        self.apologies.append(one.update_id)


class Acknowledger:
    """Notes what it is to acknowledge, at once or when its gate opens."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.acknowledged: list[int] = []
        self.gate = asyncio.Event()
        if is_open:
            self.gate.set()

    async def __call__(self, one: Update) -> None:
        await self.gate.wait()
        self.acknowledged.append(one.update_id)


def dispatcher(
    handle: Callable[[Update], Awaitable[None]],
    handler: Handler | None = None,
    *,
    acknowledge: Callable[[Update], Awaitable[None]] | None = None,
    max_concurrent: int = 64,
    acknowledge_s: float = ACKNOWLEDGE_S,
) -> Dispatcher:
    return Dispatcher(
        handle,
        acknowledge=acknowledge or Acknowledger(),
        max_concurrent=max_concurrent,
        acknowledge_s=acknowledge_s,
        apologize=(handler or Handler()).apologize,
        meter=Meter(CollectorRegistry()),
        backoff=SOON,
    )


PASSING = [UNAVAILABLE, NetworkError("gone"), SessionConflict(), TimeoutError()]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
async def test_a_passing_error_is_waited_out(error: Exception) -> None:
    handler = Handler(error, error)
    assert await dispatcher(handler, handler).settle(update(1), max_wait_s=5)
    assert (handler.handled, handler.apologies) == ([1], [])


FINAL = [BadRequest("no"), ValueError(), GenerationError(code=grpc.StatusCode.NOT_FOUND)]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
async def test_a_final_error_passes_the_update_over_and_tells_the_user(error: Exception) -> None:
    handler = Handler(error)
    assert await dispatcher(handler, handler).settle(update(1), max_wait_s=5)
    assert (handler.handled, handler.apologies) == ([], [1])


async def test_an_apology_that_fails_is_no_reason_to_stop() -> None:
    async def handle(_: Update) -> None:
        raise ValueError

    failing = Dispatcher(
        handle,
        acknowledge=handle,
        apologize=handle,
        meter=Meter(CollectorRegistry()),
        backoff=SOON,
    )
    assert await failing.settle(update(1), max_wait_s=1)


async def test_patience_ends() -> None:
    async def handle(_: Update) -> None:
        raise UNAVAILABLE

    assert not await dispatcher(handle).settle(update(1), max_wait_s=0.02)


async def test_one_user_is_served_in_order_and_others_meanwhile() -> None:
    gate, order = asyncio.Event(), []

    async def handle(one: Update) -> None:
        if one.update_id == 1:
            await gate.wait()
        order.append(one.update_id)
        if one.update_id == 3:
            gate.set()

    dispatch = dispatcher(handle)
    async with asyncio.timeout(2), asyncio.TaskGroup() as group:
        for number, user in ((1, 7), (2, 7), (3, 8)):
            group.create_task(dispatch.settle(update(number, user=user), max_wait_s=1))
    assert order == [3, 1, 2]


async def test_who_waits_for_a_cause_to_pass_takes_no_slot() -> None:
    is_away = True

    async def handle(one: Update) -> None:
        if one.update_id < 10 and is_away:
            raise UNAVAILABLE

    dispatch = Dispatcher(
        handle,
        acknowledge=Acknowledger(),
        apologize=handle,
        meter=Meter(CollectorRegistry()),
        max_concurrent=1,
        backoff=Backoff(first_s=0.1, cap_s=0.1),
    )
    async with asyncio.timeout(2), asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(dispatch.settle(update(number, user=number), max_wait_s=5))
        assert await dispatch.settle(update(10, user=10), max_wait_s=1)
        is_away = False


async def test_all_are_acknowledged_while_the_first_is_still_handled() -> None:
    gate, acknowledge = asyncio.Event(), Acknowledger()

    async def handle(_: Update) -> None:
        await gate.wait()

    dispatch = dispatcher(handle, acknowledge=acknowledge, max_concurrent=1)
    async with asyncio.timeout(2), asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(dispatch.settle(update(number), max_wait_s=1))
        while len(acknowledge.acknowledged) < 12:  # noqa: ASYNC110 - the handlers wait for the gate
            await asyncio.sleep(0)
        gate.set()
    assert acknowledge.acknowledged == list(range(12))


async def test_what_is_handled_does_not_wait_long_for_its_acknowledgement() -> None:
    handler, acknowledge = Handler(), Acknowledger(is_open=False)
    dispatch = dispatcher(handler, acknowledge=acknowledge, acknowledge_s=0.01)
    async with asyncio.timeout(2):
        assert await dispatch.settle(update(1), max_wait_s=1)
    assert (handler.handled, acknowledge.acknowledged) == ([1], [])


async def test_who_is_slow_to_acknowledge_holds_up_no_handling() -> None:
    handler, acknowledge = Handler(), Acknowledger(is_open=False)
    dispatch = dispatcher(handler, acknowledge=acknowledge)
    async with asyncio.timeout(2), asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(dispatch.settle(update(number), max_wait_s=1))
        while len(handler.handled) < 3:  # noqa: ASYNC110 - nothing else tells of the handling
            await asyncio.sleep(0)
        acknowledge.gate.set()
    assert sorted(acknowledge.acknowledged) == [0, 1, 2]
