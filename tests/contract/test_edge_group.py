import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest
from telegram.error import ChatMigrated

from edge_bot.conversation.event import GroupCall
from edge_bot.conversation.handler.group import answer_group_call
from edge_bot.telegram.bot import EdgeBot
from tests.contract.edge_chat import BOT_ID, Chat, chatting
from tests.edge_model import USER
from tests.integration.sandbox_telegram import Json

GROUP, OLD_GROUP = -1001, -77
GENERAL, PETS = 1, 44


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with chatting() as chat:
        await chat.telegram.http.post("/sandbox/groups", json={"id": GROUP, "topics": [PETS]})
        yield chat


class MovedBot:
    """A bot in a group that has become a supergroup."""

    username = "atelier_bot"

    def __init__(self, group: int, *, to: int) -> None:
        self._group, self._new = group, to
        self.told: list[int] = []

    async def send_message(self, chat_id: int, **_: Any) -> None:
        if chat_id == self._group:
            raise ChatMigrated(self._new)
        self.told.append(chat_id)


def at(call: Json, chat_id: int) -> bool:
    return str(call["params"]["chat_id"]) == str(chat_id)


async def name_of(chat: Chat) -> str:
    return str((await chat.telegram.result("getMe"))["username"])


def message(text: str, *, kind: str, length: int, **fields: Any) -> Json:
    return {
        "message_id": 5,
        "date": 1,
        "chat": {"id": GROUP, "type": "supergroup", "title": "Friends", "is_forum": True},
        "from": {"id": USER, "is_bot": False, "first_name": "Ann", "language_code": "en"},
        "text": text,
        "entities": [{"type": kind, "offset": text.index(text.strip()), "length": length}],
        **fields,
    }


def command(text: str, **fields: Any) -> Json:
    return message(text, kind="bot_command", length=len(text.split()[0]), **fields)


def mention(text: str, **fields: Any) -> Json:
    return message(text, kind="mention", length=len(text.split()[0]), **fields)


async def said(chat: Chat, **update: Any) -> list[Json]:
    before = len(await chat.telegram.calls("sendMessage"))
    await chat.force(**update)
    return [each["params"] for each in (await chat.telegram.calls("sendMessage"))[before:]]


@pytest.mark.parametrize("text", ["/start@other_bot", "/draw a cat", "/start", "/help"])
async def test_what_is_not_for_this_bot_is_not_answered(chat: Chat, text: str) -> None:
    assert await said(chat, message=command(text)) == []


async def test_somebody_elses_name_is_not_answered(chat: Chat) -> None:
    assert await said(chat, message=mention("@other_bot draw a cat")) == []
    assert await said(chat, message=mention("plain words", entities=[])) == []


@pytest.mark.parametrize("form", ["/start@{name}", "/DRAW@{name} a cat", "@{name} draw a cat"])
@pytest.mark.parametrize("is_shouted", [False, True], ids=["as it is", "shouted"])
async def test_its_own_name_gets_a_link_to_the_private_chat(
    chat: Chat, form: str, is_shouted: bool
) -> None:
    name = await name_of(chat)
    text = form.format(name=name.upper() if is_shouted else name)
    make = command if text.startswith("/") else mention
    (answer,) = await said(chat, message=make(text))
    assert str(answer["chat_id"]) == str(GROUP)
    assert "private chats only" in answer["text"]
    assert f"https://t.me/{name}" in answer["text"]


async def test_a_caption_and_a_name_without_a_user_name_count_too(chat: Chat) -> None:
    text = f"@{await name_of(chat)} draw this"
    entities = [{"type": "mention", "offset": 0, "length": len(text.split()[0])}]
    photo = [{"file_id": "1", "file_unique_id": "1", "width": 9, "height": 9}]
    picture = mention(text) | {"caption": text, "caption_entities": entities, "photo": photo}
    del picture["text"], picture["entities"]
    assert len(await said(chat, message=picture)) == 1
    me = {"id": BOT_ID, "is_bot": True, "first_name": "Atelier"}
    called = {"type": "text_mention", "offset": 0, "length": 7, "user": me}
    assert len(await said(chat, message=mention("Atelier, hello", entities=[called]))) == 1


@pytest.mark.parametrize(
    ("placed", "topic"),
    [
        ({"message_thread_id": PETS, "is_topic_message": True}, str(PETS)),
        ({"message_thread_id": GENERAL, "is_topic_message": True}, None),
        ({"message_thread_id": 3}, None),
        ({}, None),
    ],
    ids=["topic", "General", "thread of replies", "none"],
)
async def test_an_answer_stays_in_its_topic(chat: Chat, placed: Json, topic: str | None) -> None:
    (answer,) = await said(chat, message=command(f"/start@{await name_of(chat)}", **placed))
    found = answer.get("message_thread_id")
    assert (None if found is None else str(found)) == topic


async def test_an_anonymous_admin_is_answered_and_another_bot_is_not(chat: Chat) -> None:
    text = f"/start@{await name_of(chat)}"
    bot = {"id": 1087968824, "is_bot": True, "first_name": "Group"}
    group = {"id": GROUP, "type": "supergroup", "title": "Friends"}
    assert len(await said(chat, message=command(text, **{"from": bot, "sender_chat": group}))) == 1
    assert await said(chat, message=command(text, **{"from": bot})) == []


async def test_a_closed_topic_is_no_fault(chat: Chat) -> None:
    placed = {"message_thread_id": 99, "is_topic_message": True}
    (answer,) = await said(chat, message=command(f"/start@{await name_of(chat)}", **placed))
    assert str(answer["message_thread_id"]) == "99"


async def test_a_group_that_may_not_be_answered_yet_holds_nobody_up(chat: Chat) -> None:
    await chat.telegram.fault(kind="too_many_requests", method="sendMessage", retry_after=20)
    async with asyncio.timeout(10):
        for _ in range(2):
            await said(chat, message=command(f"/start@{await name_of(chat)}"))
    assert len([each for each in await chat.telegram.calls("sendMessage") if at(each, GROUP)]) == 1


async def test_a_group_that_became_a_supergroup_is_answered_there(chat: Chat) -> None:
    bot = MovedBot(OLD_GROUP, to=GROUP)
    context = replace(chat.context, bot=cast(EdgeBot, bot))
    call = GroupCall(
        chat_id=OLD_GROUP,
        user_id=USER,
        language="en",
        origin="message:1",
        names=frozenset({bot.username}),
        ids=frozenset(),
        topic_id=None,
    )
    await answer_group_call(context, call)
    assert bot.told == [GROUP]


async def test_telegram_is_asked_for_the_name_once(chat: Chat) -> None:
    for _ in range(3):
        await said(chat, message=command("/start@other_bot"))
    assert len(await chat.telegram.calls("getMe")) == 2  # one of them is the test's own


async def test_a_press_in_a_group_is_acknowledged(chat: Chat) -> None:
    query = await chat.press_data("s", message_id=(await chat.last())["message_id"])
    before = len(await chat.telegram.calls("answerCallbackQuery"))
    place = {"message_id": 5, "date": 1, "chat": {"id": GROUP, "type": "supergroup", "title": "F"}}
    sender = {"id": USER, "is_bot": False, "first_name": "Ann"}
    press = {"id": query, "from": sender, "chat_instance": "1", "data": "s", "message": place}
    assert await said(chat, callback_query=press) == []
    await said(chat, callback_query={**press, "message": None, "inline_message_id": "7"})
    assert len(await chat.telegram.calls("answerCallbackQuery")) == before + 2


@pytest.mark.parametrize("name", ["balance", "topup", "receipts", "paysupport"])
async def test_a_group_is_shown_nothing_of_anybodys_money(name: str) -> None:
    async with chatting(is_sold=True) as chat:
        await chat.telegram.http.post("/sandbox/groups", json={"id": GROUP, "topics": [PETS]})
        chat.service.wallet.balances[f"telegram:{USER}"] = 4711
        [told] = await said(chat, message=command(f"/{name}@{await name_of(chat)}"))
        assert "private chats only" in told["text"]
        assert not chat.service.wallet.asked("GetBalance")
