import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from telegram import Update

from edge_bot.update.deferred import KEY
from edge_bot.update.offsets import WINDOW_SIZE
from generation_client import GenerationError
from tests.contract.edge_harness import CHAT, Harness, harness, until

AWAY = GenerationError(code=grpc.StatusCode.UNAVAILABLE)
OTHER = 8


@pytest.fixture
async def edge() -> AsyncIterator[Harness]:
    async with harness() as made:
        # /start of both users is the first that waits for whoever polls.
        await made.telegram.started(CHAT)
        await made.telegram.started(OTHER)
        yield made


class Reader:
    """Reads updates; those of a user who is shut out wait in the handler."""

    def __init__(self, *shut: int) -> None:
        self.gates = {user: asyncio.Event() for user in shut}
        self.begun: list[str] = []
        self.read: list[str] = []
        self.failing: set[int] = set()

    async def __call__(self, update: Update) -> None:
        user = update.effective_user.id if update.effective_user else 0
        text = f"{user}: {update.effective_message.text if update.effective_message else ''}"
        self.begun.append(text)
        if user in self.gates:
            await self.gates[user].wait()
        if user in self.failing:
            raise AWAY
        self.read.append(text)

    def let_in(self) -> None:
        for gate in self.gates.values():
            gate.set()

    async def has_read(self, number: int) -> bool:
        return len(self.read) >= number

    async def has_begun(self, number: int) -> bool:
        return len(self.begun) >= number


async def test_an_update_is_confirmed_after_it_was_handled(edge: Harness) -> None:
    reader = Reader(CHAT, OTHER)
    async with edge.polling(reader):
        await until(lambda: reader.has_begun(2))
        assert await edge.pending() == 2
        reader.let_in()
        await until(edge.has_confirmed)
    assert sorted(reader.read) == ["7: /start", "8: /start"]


async def test_an_update_that_was_being_handled_at_the_end_comes_again(edge: Harness) -> None:
    first, second = Reader(CHAT, OTHER), Reader()
    poller = asyncio.create_task(edge.poller(first).run(asyncio.Event()))
    await until(lambda: first.has_begun(2))
    poller.cancel()
    await asyncio.wait((poller,))
    edge.service.edge.holder = ""
    async with edge.polling(second):
        await until(edge.has_confirmed)
    assert (first.read, sorted(second.read)) == ([], ["7: /start", "8: /start"])


async def test_updates_of_one_user_stay_in_order(edge: Harness) -> None:
    reader = Reader(CHAT)
    async with edge.polling(reader):
        await until(lambda: reader.has_begun(2))
        for text in "abc":
            await edge.telegram.say(CHAT, text)
        reader.let_in()
        await until(edge.has_confirmed)
    assert [text for text in reader.read if text.startswith("7")] == [
        "7: /start",
        "7: a",
        "7: b",
        "7: c",
    ]


async def test_one_user_in_trouble_holds_nobody_else_up(edge: Harness) -> None:
    reader = Reader()
    reader.failing.add(CHAT)
    async with edge.polling(reader):
        await until(lambda: reader.has_read(1))
        await edge.telegram.say(OTHER, "hello")
        await until(lambda: reader.has_read(2))
        assert await edge.pending() == 3
        reader.failing.clear()
        await until(edge.has_confirmed)
    assert reader.read == ["8: /start", "8: hello", "7: /start"]


async def test_what_hides_newer_updates_is_parked_and_survives_a_kill(edge: Harness) -> None:
    first, second = Reader(CHAT), Reader()
    poller = asyncio.create_task(edge.poller(first).run(asyncio.Event()))
    for number in range(WINDOW_SIZE):
        await edge.telegram.say(OTHER, f"{number}")
    await until(edge.has_confirmed)
    await edge.telegram.say(OTHER, "not hidden")
    await until(lambda: first.has_read(WINDOW_SIZE + 2))
    poller.cancel()
    await asyncio.wait((poller,))
    edge.service.edge.holder = ""
    async with edge.polling(second):
        await until(lambda: second.has_read(1))
        await until(lambda: has_parked_nothing(edge))
    assert "7: /start" not in first.read
    assert "7: /start" in second.read


async def test_stopping_lets_handlers_end_and_confirms_them(edge: Harness) -> None:
    reader = Reader(CHAT)
    async with edge.polling(reader) as stop:
        await until(lambda: reader.has_begun(2))
        stop.set()
        reader.let_in()
    assert await edge.has_confirmed()
    assert len(reader.read) == 2
    assert edge.service.edge.holder == ""


async def test_a_second_poller_stands_by_and_takes_over(edge: Harness) -> None:
    first, second = Reader(), Reader()
    async with edge.polling(first, lease_s=1) as stop:
        await until(edge.has_confirmed)
        async with edge.polling(second, lease_s=1):
            await edge.telegram.say(CHAT, "one")
            await until(lambda: first.has_read(3))
            stop.set()
            await edge.telegram.say(CHAT, "two")
            await until(lambda: second.has_read(1))
            await until(edge.has_confirmed)
    assert (first.read[2:], second.read) == (["7: one"], ["7: two"])
    assert not [call for call in await edge.telegram.calls("getUpdates") if call["status"] == 409]


@pytest.mark.parametrize("hours", [-3, 3], ids="{:+} h".format)
async def test_who_polls_learns_the_time_of_the_service(edge: Harness, hours: int) -> None:
    edge.service.edge.skew = timedelta(hours=hours)
    reader = Reader()
    async with edge.polling(reader):
        await until(lambda: reader.has_read(2))
    ahead = edge.clock.now() - datetime.now(UTC)
    assert abs(ahead - timedelta(hours=hours)) < timedelta(minutes=1)


async def test_who_loses_the_lease_stops_at_once(edge: Harness) -> None:
    reader = Reader()
    async with edge.polling(reader, lease_s=0.3):
        await until(edge.has_confirmed)
        edge.service.edge.is_refusing = True
        await until(lambda: released(edge))
        await edge.telegram.say(CHAT, "unheard")
        with pytest.raises(TimeoutError):
            await until(lambda: reader.has_read(3), within_s=0.2)
        edge.service.edge.is_refusing = False
        await until(lambda: reader.has_read(3))


async def test_a_webhook_is_removed_before_polling(edge: Harness) -> None:
    await edge.telegram.result("setWebhook", url="https://127.0.0.1:9/elsewhere")
    async with edge.polling(Reader()):
        await until(edge.has_confirmed)
    assert (await edge.telegram.result("getWebhookInfo"))["url"] == ""


async def test_a_stranger_who_polls_is_outlasted(edge: Harness) -> None:
    reader = Reader()
    async with edge.polling(reader):
        await until(edge.has_confirmed)
        await edge.telegram.result("getUpdates", timeout=0)
        await edge.telegram.say(CHAT, "still there?")
        await until(lambda: reader.has_read(3))
    statuses = [call["status"] for call in await edge.telegram.calls("getUpdates")]
    assert statuses.count(409) == 1


async def test_a_refused_token_gives_the_lease_back(edge: Harness) -> None:
    await edge.telegram.fault(kind="token_revoked", method="getUpdates", times=1)
    reader = Reader()
    async with edge.polling(reader):
        await until(lambda: released(edge))
        assert not edge.token_health.is_good
        edge.token_health.accept()
        await until(lambda: reader.has_read(2))


async def has_parked_nothing(edge: Harness) -> bool:
    return edge.service.edge.sessions[KEY].data == b""


async def released(edge: Harness) -> bool:
    desk = edge.service.edge
    return not desk.holder and bool(desk.asked) and desk.asked[-1][1] in (0, 0.3)
