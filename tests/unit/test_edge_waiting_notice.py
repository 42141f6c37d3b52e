"""The notice that an answer takes longer: at most one in a chat, whatever comes in between."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from telegram import Update
from telegram.error import TimedOut

from edge_bot.telegram.bot import EdgeBot
from edge_bot.update.waiting_notice import MAX_STANDING, WaitingNotice

PRIVATE = {"id": 7, "type": "private"}
GROUP = {"id": -7, "type": "group", "title": "Cats"}
USER = {"id": 7, "is_bot": False, "first_name": "Ann"}


class Bot:
    """Notes what is sent and deleted; sending takes until its gate is open."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.error, self.sent, self.deleted = error, 0, list[tuple[int, int]]()
        self.has_begun, self.gate, self.has_deleted = (asyncio.Event() for _ in range(3))
        self.gate.set()

    async def send_message(self, chat_id: int, text: str, **_: Any) -> Any:
        self.sent += 1
        self.has_begun.set()
        await self.gate.wait()
        if self.error:
            raise self.error
        return SimpleNamespace(message_id=100 + self.sent)

    async def delete_message(self, chat_id: int, message_id: int) -> bool:
        self.deleted.append((chat_id, message_id))
        self.has_deleted.set()
        return True


def asked(chat: dict[str, Any] = PRIVATE) -> Update:
    message = {"message_id": 1, "date": 0, "chat": chat, "from": USER, "text": "/balance"}
    return Update.de_json({"update_id": 1, "message": message}, None)


def notice(bot: Bot, *, after_s: float = 0) -> WaitingNotice:
    return WaitingNotice(cast(EdgeBot, bot), after_s=after_s)


async def until_told(waiting: WaitingNotice, bot: Bot, update: Update | None = None) -> None:
    waiting.begin(update or asked())
    async with asyncio.timeout(5):
        await bot.has_begun.wait()
    await turns()


async def test_a_notice_that_is_on_its_way_when_the_answer_comes_is_removed() -> None:
    bot = Bot()
    bot.gate.clear()
    waiting = notice(bot)
    waiting.begin(asked())
    async with asyncio.timeout(5):
        await bot.has_begun.wait()
    waiting.end(asked())
    bot.gate.set()
    async with asyncio.timeout(5):
        await bot.has_deleted.wait()
    assert bot.deleted == [(7, 101)]


async def test_a_notice_that_may_have_come_is_not_sent_again() -> None:
    bot = Bot(error=TimedOut())
    waiting = notice(bot)
    for _ in range(2):
        await until_told(waiting, bot)
    assert bot.sent == 1


async def test_an_update_that_comes_again_waits_since_it_came_first() -> None:
    bot = Bot()
    waiting = notice(bot)
    waiting.begin(asked())
    await until_told(waiting, bot)
    assert bot.sent == 1
    waiting.end(asked())
    await turns()
    assert bot.deleted == [(7, 101)]


async def test_what_is_answered_is_never_told_to_wait() -> None:
    bot = Bot()
    waiting = notice(bot)
    waiting.begin(asked())
    waiting.end(asked())
    await turns()
    assert bot.sent == 0


async def test_the_next_wait_after_an_answer_has_its_own_notice() -> None:
    bot = Bot()
    waiting = notice(bot)
    for _ in range(2):
        bot.has_begun.clear()
        await until_told(waiting, bot)
        waiting.end(asked())
        await turns()
    assert bot.deleted == [(7, 101), (7, 102)]


UNWATCHED = {
    "a group": asked(GROUP),
    "a member": Update.de_json(
        {
            "update_id": 2,
            "my_chat_member": {
                "chat": PRIVATE,
                "from": USER,
                "date": 0,
                "old_chat_member": {"status": "member", "user": USER},
                "new_chat_member": {"status": "kicked", "user": USER, "until_date": 0},
            },
        },
        None,
    ),
}


@pytest.mark.parametrize("update", UNWATCHED.values(), ids=UNWATCHED)
async def test_nobody_is_told_who_does_not_wait_in_the_chat_with_the_bot(update: Update) -> None:
    bot = Bot()
    notice(bot).begin(update)
    await turns()
    assert bot.sent == 0


async def test_what_is_remembered_is_bounded() -> None:
    bot = Bot()
    waiting = notice(bot)
    for number in range(1, MAX_STANDING + 2):
        bot.has_begun.clear()
        await until_told(waiting, bot, asked({**PRIVATE, "id": number}))
    waiting.end(asked({**PRIVATE, "id": 1}))
    waiting.end(asked({**PRIVATE, "id": 2}))
    await turns()
    assert bot.deleted == [(2, 102)]


async def turns() -> None:
    """Let everything run that is not waiting for anything."""
    for _ in range(10):
        await asyncio.sleep(0)
