import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, RetryAfter

from tests.integration.sandbox_telegram import (
    TOKEN,
    Sandbox,
    eventually,
    picture,
    sandbox,
    serving,
)

BUTTONS = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}


@pytest.fixture
async def telegram() -> AsyncIterator[Sandbox]:
    async with sandbox() as running:
        yield running


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[Sandbox]:
    """A sandbox for tests that only get refusals."""
    async with sandbox() as running:
        yield running


def _keyboard(**button: Any) -> dict[str, Any]:
    return {"inline_keyboard": [[button]]}


REFUSED_TEXTS: dict[str, tuple[dict[str, Any], str]] = {
    "no chat": ({"chat_id": "", "text": "x"}, "chat_id is empty"),
    "strange chat": ({"chat_id": 8, "text": "x"}, "chat not found"),
    "channel name": ({"chat_id": "@news", "text": "x"}, "chat not found"),
    "empty": ({"text": ""}, "message text is empty"),
    "empty after entities": ({"text": "<b> </b>", "parse_mode": "HTML"}, "message text is empty"),
    "too long": ({"text": "x" * 4097}, "message is too long"),
    "bad html": (
        {"text": "a < b", "parse_mode": "HTML"},
        'can\'t parse entities: Unsupported start tag "" at byte offset 2',
    ),
    "bad mode": ({"text": "x", "parse_mode": "RTF"}, "unsupported parse_mode"),
    "bad markup": (
        {"text": "x", "reply_markup": "{"},
        "can't parse reply keyboard markup JSON object",
    ),
    "long data": (
        {"text": "x", "reply_markup": _keyboard(text="a", callback_data="я" * 33)},
        "BUTTON_DATA_INVALID",
    ),
    "empty data": (
        {"text": "x", "reply_markup": _keyboard(text="a", callback_data="")},
        "BUTTON_DATA_INVALID",
    ),
    "button without action": (
        {"text": "x", "reply_markup": _keyboard(text="a")},
        "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
    ),
    "button without text": (
        {"text": "x", "reply_markup": _keyboard(callback_data="a")},
        "can't parse inline keyboard button: Can't find field \"text\"",
    ),
    "too many buttons": (
        {
            "text": "x",
            "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "a"}]] * 101},
        },
        "REPLY_MARKUP_TOO_LONG",
    ),
    "reply to nothing": (
        {"text": "x", "reply_parameters": {"message_id": 99}},
        "message to be replied not found",
    ),
}


@pytest.mark.parametrize(("params", "reason"), REFUSED_TEXTS.values(), ids=REFUSED_TEXTS.keys())
async def test_a_wrong_text_is_refused(
    shared: Sandbox, params: dict[str, Any], reason: str
) -> None:
    chat = await shared.started()
    refusal = await shared.refusal("sendMessage", **{"chat_id": chat, **params})
    assert refusal == f"Bad Request: {reason}"


async def test_lengths_count_after_the_entities(telegram: Sandbox) -> None:
    chat = await telegram.started()
    html = f"<b>{'x' * 4096}</b>"
    sent = await telegram.result("sendMessage", chat_id=chat, text=html, parse_mode="HTML")
    assert sent["text"] == "x" * 4096
    refusal = await telegram.refusal(
        "sendPhoto", chat_id=chat, caption="x" * 1025, files={"photo": picture()}
    )
    assert refusal == "Bad Request: message caption is too long"


@pytest.mark.parametrize("token", ["nonsense", "0:x", "x:1", "42:"])
async def test_a_token_without_shape_is_unauthorized(shared: Sandbox, token: str) -> None:
    body = await shared.call("getMe", token=token)
    assert body == {"ok": False, "error_code": 401, "description": "Unauthorized"}


async def test_an_unknown_method_is_not_found(shared: Sandbox) -> None:
    assert await shared.refusal("sendTelepathy") == "Not Found: method not found"


async def test_parameters_come_in_every_dress(telegram: Sandbox) -> None:
    chat = await telegram.started()
    url = f"/bot{TOKEN}/sendmessage"
    answers = [
        await telegram.http.get(url, params={"chat_id": chat, "text": "query"}),
        await telegram.http.post(url, json={"chat_id": chat, "text": "json"}),
        await telegram.http.post(url, data={"chat_id": str(chat), "text": "form"}),
        await telegram.http.post(
            url, data={"chat_id": str(chat), "text": "multipart"}, files={"x": b"1"}
        ),
    ]
    texts = [answer.json()["result"]["text"] for answer in answers]
    assert texts == ["query", "json", "form", "multipart"]


async def test_what_a_user_writes_becomes_updates(telegram: Sandbox) -> None:
    chat = await telegram.started(language_code="ru", first_name="Вера")
    await telegram.say(chat, files={"photo": picture(1000, 600)}, caption="make it /blue")
    await telegram.say(chat, files={"document": ("list.csv", b"a,b")})
    async with telegram.client() as bot:
        start, photo, document = await bot.get_updates()
        again = await bot.get_updates(offset=photo.update_id)
        assert start.message
        assert photo.message
        assert document.message
        assert start.message.from_user
        assert start.message.from_user.language_code == "ru"
        assert start.message.chat.type == "private"
        assert start.message.entities[0].type == "bot_command"
        assert [size.width for size in photo.message.photo] == [90, 320, 800, 1000]
        assert photo.message.caption == "make it /blue"
        assert document.message.document
        assert document.message.document.mime_type == "text/csv"
        assert [one.update_id for one in again] == [photo.update_id, document.update_id]
        assert document.update_id == start.update_id + 2


async def test_a_kind_of_update_that_is_not_allowed_is_not_queued(telegram: Sandbox) -> None:
    await telegram.result("getUpdates", allowed_updates=["callback_query"])
    await telegram.started()
    assert await telegram.result("getUpdates") == []


async def test_the_page_and_all_it_names_come_from_the_sandbox(shared: Sandbox) -> None:
    page = await shared.http.get("/")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    answers = [await shared.http.get(link) for link in links]
    scripts = [answer.text for answer in answers if "javascript" in answer.headers["content-type"]]
    assert all(link.startswith("/static/") for link in links)
    assert {answer.status_code for answer in answers} == {200}
    assert not any("innerHTML" in script or "http://" in script for script in scripts)
    assert page.headers["content-security-policy"].startswith("default-src 'self'")


async def test_a_poll_waits_for_an_update(telegram: Sandbox) -> None:
    chat = await telegram.started()
    first = (await telegram.result("getUpdates"))[0]["update_id"]
    poll = asyncio.create_task(telegram.result("getUpdates", offset=first + 1, timeout=5))
    await telegram.say(chat, "hello")
    assert (await poll)[0]["message"]["text"] == "hello"


async def test_the_older_of_two_pollers_is_ended(telegram: Sandbox) -> None:
    async with telegram.client() as older, telegram.client() as newer:
        first = asyncio.create_task(older.get_updates(timeout=5))
        await telegram.until_called("getUpdates")
        second = asyncio.create_task(newer.get_updates(timeout=5))
        with pytest.raises(Conflict, match="terminated by other getUpdates request"):
            await first
        await telegram.started()
        assert len(await second) == 1


async def test_a_webhook_gets_updates_in_order_and_again_until_taken(telegram: Sandbox) -> None:
    seen: list[tuple[str, str | None]] = []

    async def hook(request: Request) -> Response:
        update = json.loads(await request.body())
        secret = request.headers.get("X-Telegram-Bot-Api-Secret-Token")
        seen.append((update["message"]["text"], secret))
        return Response(status_code=500 if len(seen) == 1 else 200)

    async with sandbox(webhook_retry_s=0.01) as telegram:
        chat = await telegram.started()
        await telegram.say(chat, "second")
        async with (
            serving(Starlette(routes=[Route("/hook", hook, methods=["POST"])])) as url,
            telegram.client() as bot,
        ):
            await bot.set_webhook(f"{url}/hook", secret_token="s3cret")
            await eventually(lambda: len(seen) == 3)
            with pytest.raises(Conflict, match="webhook is active"):
                await bot.get_updates()
            info = await bot.get_webhook_info()
            await bot.delete_webhook()
        assert seen == [("/start", "s3cret"), ("/start", "s3cret"), ("second", "s3cret")]
        assert info.url == f"{url}/hook"


async def test_a_webhook_over_plain_http_is_refused(shared: Sandbox) -> None:
    refusal = await shared.refusal("setWebhook", url="http://example.org/hook")
    assert "An HTTPS URL must be provided" in refusal


async def test_pending_updates_are_dropped_on_request(telegram: Sandbox) -> None:
    await telegram.started()
    await telegram.result("deleteWebhook", drop_pending_updates=True)
    assert (await telegram.result("getWebhookInfo"))["pending_update_count"] == 0


async def test_a_press_is_answered_once_it_is_known(telegram: Sandbox) -> None:
    chat = await telegram.started()
    async with telegram.client() as bot, telegram.watching(chat) as events:
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Go", callback_data="go")]])
        sent = await bot.send_message(chat, "Ready?", reply_markup=keyboard)
        await telegram.press(chat, sent.message_id, "go")
        query = (await bot.get_updates(offset=-1))[0].callback_query
        assert query
        assert query.data == "go"
        assert query.message
        assert query.message.message_id == sent.message_id
        await query.answer("Going", show_alert=True)
        event, message = await anext(events)
        assert (event, message["text"]) == ("message", "Ready?")
        event, answer = await anext(events)
        assert (event, answer["text"], answer["show_alert"]) == ("answer", "Going", True)


async def test_a_long_or_late_or_invented_answer_is_refused() -> None:
    async with sandbox(answer_timeout_s=0) as telegram:
        chat = await telegram.started()
        sent = await telegram.result("sendMessage", chat_id=chat, text="x", reply_markup=BUTTONS)
        query = await telegram.press(chat, sent["message_id"], "go")
        for number in (query, "12345"):
            refusal = await telegram.refusal("answerCallbackQuery", callback_query_id=number)
            assert refusal.startswith("Bad Request: query is too old")


async def test_an_alert_has_at_most_200_characters(telegram: Sandbox) -> None:
    chat = await telegram.started()
    sent = await telegram.result("sendMessage", chat_id=chat, text="x", reply_markup=BUTTONS)
    query = await telegram.press(chat, sent["message_id"], "go")
    refusal = await telegram.refusal("answerCallbackQuery", callback_query_id=query, text="x" * 201)
    assert refusal == "Bad Request: MESSAGE_TOO_LONG"


async def test_a_button_that_is_gone_can_only_be_forced(telegram: Sandbox) -> None:
    chat = await telegram.started()
    sent = await telegram.result("sendMessage", chat_id=chat, text="x", reply_markup=BUTTONS)
    body = {"message_id": sent["message_id"], "data": "old"}
    url = f"/sandbox/chats/{chat}/press"
    assert (await telegram.http.post(url, json=body)).status_code == 409
    assert (await telegram.http.post(url, json=body | {"force": True})).status_code == 200


async def test_texts_are_edited_once_and_their_history_kept(telegram: Sandbox) -> None:
    chat = await telegram.started()
    async with telegram.client() as bot:
        sent = await bot.send_message(chat, "one")
        edited = await bot.edit_message_text("<b>two</b>", chat, sent.message_id, parse_mode="HTML")
        assert not isinstance(edited, bool)
        assert edited.edit_date
        with pytest.raises(BadRequest, match="Message is not modified: specified new message"):
            await bot.edit_message_text("<b>two</b>", chat, sent.message_id, parse_mode="HTML")
        with pytest.raises(BadRequest, match="Message to edit not found"):
            await bot.edit_message_text("x", chat, 99)
        with pytest.raises(BadRequest, match="Message can't be edited"):
            await bot.edit_message_text("x", chat, 1)
        with pytest.raises(BadRequest, match="There is no caption in the message to edit"):
            await bot.edit_message_caption(chat, sent.message_id, caption="x")
        await bot.delete_message(chat, sent.message_id)
        with pytest.raises(BadRequest, match="Message to delete not found"):
            await bot.delete_message(chat, sent.message_id)
    chats = (await telegram.http.get("/sandbox/messages")).json()["chats"]
    message = chats[0]["messages"][1]
    assert message["is_deleted"]
    assert message["history"][0]["content"] == {"text": "one"}


async def test_a_text_becomes_a_photo(telegram: Sandbox) -> None:
    chat = await telegram.started()
    async with telegram.client() as bot:
        sent = await bot.send_message(chat, "working…")
        media = InputMediaPhoto(picture(), caption="<i>done</i>", parse_mode="HTML")
        edited = await bot.edit_message_media(media, chat, sent.message_id)
        assert not isinstance(edited, bool)
        assert edited.photo
        assert edited.caption == "done"
        assert edited.text is None
        same = InputMediaPhoto(edited.photo[-1].file_id, caption="<i>done</i>", parse_mode="HTML")
        with pytest.raises(BadRequest, match="Message is not modified"):
            await bot.edit_message_media(same, chat, sent.message_id)
        with pytest.raises(BadRequest, match="There is no text in the message to edit"):
            await bot.edit_message_text("x", chat, sent.message_id)
    assert len(await telegram.messages(chat)) == 2


async def test_a_blocked_bot_is_forbidden_until_it_is_let_in(telegram: Sandbox) -> None:
    chat = await telegram.started()
    async with telegram.client() as bot:
        await telegram.http.post(f"/sandbox/chats/{chat}/block")
        with pytest.raises(Forbidden, match="bot was blocked by the user"):
            await bot.send_message(chat, "x")
        change = (await bot.get_updates(offset=-1))[0].my_chat_member
        assert change
        assert change.new_chat_member.status == "kicked"
        await telegram.http.post(f"/sandbox/chats/{chat}/unblock")
        assert await bot.send_message(chat, "x")


async def test_a_group_is_answered_in_its_topics(telegram: Sandbox) -> None:
    group = {"id": -1001, "title": "Friends", "topics": [44]}
    await telegram.http.post("/sandbox/groups", json=group)
    plain = await telegram.result("sendMessage", chat_id=-1001, text="hello")
    assert plain["chat"] == {
        "id": -1001,
        "type": "supergroup",
        "title": "Friends",
        "is_forum": True,
    }
    placed = await telegram.result("sendMessage", chat_id=-1001, text="hi", message_thread_id=44)
    assert (placed["message_thread_id"], placed["is_topic_message"]) == (44, True)
    for topic in (1, 45):
        said = await telegram.refusal(
            "sendMessage", chat_id=-1001, text="hi", message_thread_id=topic
        )
        assert said == "Bad Request: message thread not found"
    assert "not found" in await telegram.refusal("sendMessage", chat_id=-1002, text="hi")
    answer = await telegram.http.post("/sandbox/groups", json={"id": 5})
    assert answer.status_code == 422


async def test_bots_do_not_mix(telegram: Sandbox) -> None:
    chat = await telegram.started()
    await telegram.started(chat, token="43:other")
    sent = await telegram.result("sendPhoto", chat_id=chat, files={"photo": picture()})
    stolen = sent["photo"][-1]["file_id"]
    refusal = await telegram.refusal("sendPhoto", token="43:other", chat_id=chat, photo=stolen)
    assert refusal == "Bad Request: wrong file identifier/HTTP URL specified"
    assert len(await telegram.result("getUpdates", token="43:other")) == 1
    assert len(await telegram.messages(chat)) == 1, "the page talks to the bot that came last"


async def test_the_profile_is_kept_by_language(telegram: Sandbox) -> None:
    async with telegram.client() as bot:
        await bot.set_my_commands([("start", "Begin")])
        await bot.set_my_commands([("start", "Начать")], language_code="ru")
        await bot.set_my_description("Draws.")
        assert (await bot.get_my_commands(language_code="ru"))[0].description == "Начать"
        assert (await bot.get_my_description(language_code="ru")).description == "Draws."
    shown = (await telegram.http.get("/sandbox/bots?language=ru")).json()["bots"][0]
    assert shown["commands"] == [{"command": "start", "description": "Начать"}]
    assert (
        await telegram.refusal("setMyCommands", commands=[{"command": "Bad!", "description": "x"}])
        == "Bad Request: BOT_COMMAND_INVALID"
    )


async def test_faults_answer_in_the_words_of_telegram(telegram: Sandbox) -> None:
    chat = await telegram.started()
    async with telegram.client() as bot:
        await telegram.fault(kind="too_many_requests", method="sendMessage", times=1, retry_after=9)
        with pytest.raises(RetryAfter, match="Retry in 0:00:09"):
            await bot.send_message(chat, "x")
        await bot.send_message(chat, "x")
        await telegram.fault(kind="token_revoked")
        with pytest.raises(InvalidToken):
            await bot.send_message(chat, "x")
