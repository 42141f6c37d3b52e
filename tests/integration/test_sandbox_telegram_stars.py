import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, LabeledPrice
from telegram.error import BadRequest

from tests.integration.sandbox_telegram import Sandbox, sandbox

PRICES = [LabeledPrice("Credits", 100)]
TOO_OLD = "Bad Request: query is too old and response timeout expired or query ID is invalid"


@pytest.fixture
async def telegram() -> AsyncIterator[Sandbox]:
    async with sandbox() as running:
        yield running


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[Sandbox]:
    """A sandbox for tests that only get refusals."""
    async with sandbox() as running:
        yield running


def _price(**fields: Any) -> dict[str, Any]:
    return {"prices": [{"label": "Credits", "amount": 100, **fields}]}


def _keyboard(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"reply_markup": {"inline_keyboard": [list(buttons)]}}


PAY = {"text": "Pay XTR100", "pay": True}
OTHER = {"text": "Help", "callback_data": "help"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no title": ({"title": ""}, 'parameter "title" is required'),
    "no description": ({"description": ""}, 'parameter "description" is required'),
    "no payload": ({"payload": ""}, 'parameter "payload" is required'),
    "no currency": ({"currency": ""}, 'parameter "currency" is required'),
    "no prices": ({"prices": ""}, 'parameter "prices" is required'),
    "prices that are no JSON": ({"prices": "["}, "can't parse prices JSON object"),
    "prices that are no list": ({"prices": {}}, "expected an Array of labeled prices"),
    "empty prices": ({"prices": []}, "there must be at least one price"),
    "nameless price": (
        _price(label=""),
        "can't parse labeled price: LabeledPrice label must be non-empty",
    ),
    "price in words": (
        _price(amount="a lot"),
        "can't parse labeled price: Can't parse \"amount\" as Number",
    ),
    "half a Star": (
        _price(amount=0.5),
        "can't parse labeled price: Can't parse \"amount\" as Number",
    ),
    "nothing to pay": (_price(amount=0), "total price must be positive"),
    "less than nothing": (_price(amount=-1), "total price must be positive"),
    "too many Stars": (_price(amount=10_001), "CURRENCY_TOTAL_AMOUNT_INVALID"),
    "too much of anything": (_price(amount=10**12), "too big amount of the currency specified"),
    "two prices": (
        {"prices": [{"label": "a", "amount": 1}, {"label": "b", "amount": 2}]},
        "STARS_INVOICE_INVALID",
    ),
    "a provider's token": ({"provider_token": "1:TEST"}, "STARS_INVOICE_INVALID"),
    "tips": ({"max_tip_amount": 5, "suggested_tip_amounts": [1]}, "STARS_INVOICE_INVALID"),
    "another currency": ({"currency": "USD"}, "PAYMENT_PROVIDER_INVALID"),
    "a currency that is none": ({"currency": "XTS"}, "PAYMENT_PROVIDER_INVALID"),
    "long title": ({"title": "x" * 33}, "BOT_INVOICE_INVALID"),
    "long description": ({"description": "x" * 256}, "BOT_INVOICE_INVALID"),
    "long payload": ({"payload": "я" * 65}, "INVOICE_PAYLOAD_INVALID"),
}
PLACED: dict[str, tuple[dict[str, Any], str]] = {
    "no Pay button": (_keyboard(OTHER), "REPLY_MARKUP_BUY_EMPTY"),
    "Pay button after another": (_keyboard(OTHER, PAY), "REPLY_MARKUP_BUY_EMPTY"),
    "two Pay buttons": (_keyboard(PAY, PAY), "BUTTON_POS_INVALID"),
    "a chat that is none": ({"chat_id": 8}, "chat not found"),
}


@pytest.mark.parametrize("method", ["sendInvoice", "createInvoiceLink"])
@pytest.mark.parametrize(("params", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_wrong_invoice_is_refused(
    shared: Sandbox, params: dict[str, Any], reason: str, method: str
) -> None:
    refusal = await shared.refusal(method, **await _right(shared), **{**_texts(), **params})
    assert refusal == f"Bad Request: {reason}"


@pytest.mark.parametrize(("params", "reason"), PLACED.values(), ids=PLACED.keys())
async def test_an_invoice_in_the_wrong_place_is_refused(
    shared: Sandbox, params: dict[str, Any], reason: str
) -> None:
    given = {**await _right(shared), **_texts(), **params}
    assert await shared.refusal("sendInvoice", **given) == f"Bad Request: {reason}"


async def _right(shared: Sandbox) -> dict[str, Any]:
    return {"chat_id": await shared.started()}


def _texts() -> dict[str, Any]:
    texts = {"title": "Credits", "description": "100 credits", "payload": "p", "currency": "XTR"}
    return texts | _price()


async def test_only_an_invoice_has_a_pay_button(telegram: Sandbox) -> None:
    chat = await telegram.started()
    refusal = await telegram.refusal("sendMessage", chat_id=chat, text="x", **_keyboard(PAY))
    assert refusal == "Bad Request: BUTTON_TYPE_INVALID"


async def test_the_largest_invoice_is_sent_and_what_stars_ignore_is_ignored(
    telegram: Sandbox,
) -> None:
    chat = await telegram.started()
    sent = await telegram.invoice(
        chat,
        stars=10_000,
        title="x" * 32,
        description="я" * 255,
        payload="p" * 128,
        need_email=True,
        need_shipping_address=True,
        is_flexible=True,
    )
    assert sent["invoice"] == {
        "title": "x" * 32,
        "description": "я" * 255,
        "start_parameter": "",
        "currency": "XTR",
        "total_amount": 10_000,
    }
    assert sent["reply_markup"]["inline_keyboard"] == [[{"text": "Pay ⭐️10000", "pay": True}]]


async def test_an_invoice_keeps_its_pay_button_when_it_is_edited(telegram: Sandbox) -> None:
    chat = await telegram.started()
    sent = await telegram.invoice(chat)
    place = {"chat_id": chat, "message_id": sent["message_id"]}
    edited = await telegram.result("editMessageReplyMarkup", **place, **_keyboard(PAY, OTHER))
    assert edited["reply_markup"]["inline_keyboard"] == [[PAY, OTHER]]
    refusal = await telegram.refusal("editMessageReplyMarkup", **place, **_keyboard(OTHER))
    assert refusal == "Bad Request: REPLY_MARKUP_BUY_EMPTY"
    edits: dict[str, tuple[dict[str, Any], str]] = {
        "editMessageText": ({"text": "x"}, "there is no text in the message to edit"),
        "editMessageCaption": ({"caption": "x"}, "there is no caption in the message to edit"),
        "editMessageMedia": (
            {"media": {"type": "photo", "media": "attach://x"}},
            "message can't be edited",
        ),
    }
    for method, (params, reason) in edits.items():
        assert await telegram.refusal(method, **place, **params) == f"Bad Request: {reason}"


async def test_a_payment_from_the_invoice_to_the_refund(telegram: Sandbox) -> None:
    """All of it with python-telegram-bot, which knows every field that it is given."""
    chat = await telegram.started(stars=150)
    async with telegram.client() as bot:
        markup = InlineKeyboardMarkup([[InlineKeyboardButton("Pay XTR 100", pay=True)]])
        sent = await bot.send_invoice(
            chat, "Credits", "100 credits", "pack:100", "XTR", PRICES, reply_markup=markup
        )
        query = (await telegram.pay(chat, message_id=sent.message_id))["pre_checkout_query_id"]
        asked = (await bot.get_updates())[-1].pre_checkout_query
        assert asked
        assert (asked.id, asked.currency, asked.total_amount) == (query, "XTR", 100)
        assert (asked.invoice_payload, asked.from_user.id) == ("pack:100", chat)
        assert await bot.answer_pre_checkout_query(asked.id, ok=True)
        paid = (await bot.get_updates())[-1].message
        assert paid
        assert paid.from_user
        assert paid.successful_payment
        charge = paid.successful_payment.telegram_payment_charge_id
        assert charge.startswith("stx")
        assert paid.successful_payment.to_dict() == {
            "currency": "XTR",
            "total_amount": 100,
            "invoice_payload": "pack:100",
            "telegram_payment_charge_id": charge,
            "provider_payment_charge_id": f"{chat}_0",
        }
        assert (await bot.get_my_star_balance()).amount == 100
        assert await bot.refund_star_payment(chat, charge)
        refunded = (await bot.get_updates())[-1].message
        assert refunded
        assert refunded.refunded_payment
        assert refunded.refunded_payment.telegram_payment_charge_id == charge
        assert refunded.refunded_payment.total_amount == 100
        income, outcome = (await bot.get_star_transactions()).transactions
        assert (income.id, outcome.id) == (charge, charge)
        assert income.source
        assert income.receiver is None
        assert outcome.receiver == income.source
        assert outcome.source is None
        assert (await bot.get_my_star_balance()).amount == 0
        with pytest.raises(BadRequest, match="Charge_already_refunded"):
            await bot.refund_star_payment(chat, charge)
        known: list[Any] = [sent, sent.invoice, asked, paid, paid.successful_payment]
        known += [refunded, refunded.refunded_payment, income, income.source, outcome]
        assert [one for one in known if one.api_kwargs] == []
    assert await _stars(telegram, chat) == 150


async def _stars(telegram: Sandbox, chat: int) -> int:
    return int((await telegram.http.get(f"/sandbox/chats/{chat}")).json()["stars"])


async def test_no_bot_learns_what_a_person_owns(telegram: Sandbox) -> None:
    chat = await telegram.started(stars=3)
    assert "stars" not in (await telegram.messages(chat))[0]["from"]
    assert "stars" not in await telegram.result("getChat", chat_id=chat)


async def test_a_link_is_paid_by_anybody_as_often_as_they_like(telegram: Sandbox) -> None:
    await telegram.started(7)
    stranger = await telegram.user(8, first_name="Mallory")
    async with telegram.client() as bot:
        link = await bot.create_invoice_link("Credits", "100 credits", "for:7", "XTR", PRICES)
    assert link.startswith("https://t.me/$")
    payments = [await telegram.paid(stranger, link=link) for _ in range(2)]
    assert len({payment["charge_id"] for payment in payments}) == 2
    sources = [one["source"] for one in await telegram.transactions()]
    assert [source["invoice_payload"] for source in sources] == ["for:7", "for:7"]
    assert {source["user"]["id"] for source in sources} == {stranger}
    paid = await telegram.news("successful_payment")
    assert len(paid) == 2


async def test_an_invoice_is_paid_twice_at_the_same_moment(telegram: Sandbox) -> None:
    chat = await telegram.started(stars=250)
    sent = await telegram.invoice(chat)
    queries = [
        (await telegram.pay(chat, message_id=sent["message_id"]))["pre_checkout_query_id"]
        for _ in range(3)
    ]
    for query in queries:
        await telegram.result("answerPreCheckoutQuery", pre_checkout_query_id=query, ok=True)
    payments = [await telegram.payment(query) for query in queries]
    assert [one["state"] for one in payments] == ["paid", "paid", "failed"]
    assert payments[2]["error"] == "BALANCE_TOO_LOW"
    assert len({one["charge_id"] for one in payments[:2]}) == 2
    assert await telegram.result("getMyStarBalance") == {"amount": 200}
    assert await _stars(telegram, chat) == 50


async def test_a_copy_is_paid_by_a_stranger_unless_it_leads_to_the_bot(telegram: Sandbox) -> None:
    chat, stranger = await telegram.started(7), await telegram.user(8)
    open_to_all = await telegram.invoice(chat, payload="owner:7")
    order = {"message_id": open_to_all["message_id"], "from_chat": chat}
    payment = await telegram.paid(stranger, **order)
    assert (payment["user_id"], payment["invoice"]["payload"]) == (stranger, "owner:7")
    shown = (await telegram.news("pre_checkout_query"))[0]
    assert (shown["from"]["id"], shown["invoice_payload"]) == (stranger, "owner:7")
    closed = await telegram.invoice(chat, start_parameter="buy")
    order = {"message_id": closed["message_id"], "from_chat": chat}
    answer = await telegram.http.post(f"/sandbox/chats/{stranger}/pay", json=order)
    assert answer.status_code == 409
    assert (await telegram.paid(chat, message_id=closed["message_id"]))["state"] == "paid"


async def test_a_bot_says_no_with_a_reason_or_not_at_all(telegram: Sandbox) -> None:
    chat = await telegram.started()
    sent = await telegram.invoice(chat)
    async with telegram.watching(chat) as events:
        payment = await telegram.pay(chat, message_id=sent["message_id"])
        query = {"pre_checkout_query_id": payment["pre_checkout_query_id"]}
        refusal = await telegram.refusal("answerPreCheckoutQuery", **query, ok=False)
        assert refusal == 'Bad Request: parameter "error_message" is required'
        await telegram.result(
            "answerPreCheckoutQuery", **query, ok=False, error_message="Sold out."
        )
        told = [data async for event, data in _taken(events, 2)]
    assert [(one["state"], one["error"]) for one in told] == [
        ("asked", None),
        ("refused", "Sold out."),
    ]
    assert await telegram.refusal("answerPreCheckoutQuery", **query, ok=True) == TOO_OLD
    assert await telegram.transactions() == []


async def _taken(events: Any, count: int) -> AsyncIterator[Any]:
    async with asyncio.timeout(5):
        for _ in range(count):
            yield await anext(events)


async def test_what_is_no_charge_of_theirs_is_not_refunded(telegram: Sandbox) -> None:
    chat, other = await telegram.started(7), await telegram.started(8)
    sent = await telegram.invoice(chat)
    charge = (await telegram.paid(chat, message_id=sent["message_id"]))["charge_id"]
    refused = {
        (0, charge): "invalid user_id specified",
        (9, charge): "user not found",
        (chat, ""): "CHARGE_ID_EMPTY",
        (chat, "stx-none"): "CHARGE_NOT_FOUND",
        (other, charge): "USER_ID_INVALID",
    }
    for (user, given), reason in refused.items():
        words = await telegram.refusal(
            "refundStarPayment", user_id=user, telegram_payment_charge_id=given
        )
        assert words == f"Bad Request: {reason}"
    assert len(await telegram.transactions()) == 1


async def test_bots_have_stars_of_their_own(telegram: Sandbox) -> None:
    chat = await telegram.started()
    sent = await telegram.invoice(chat)
    charge = (await telegram.paid(chat, message_id=sent["message_id"]))["charge_id"]
    other = {"token": "43:other"}
    assert await telegram.result("getMyStarBalance", **other) == {"amount": 0}
    words = await telegram.refusal(
        "refundStarPayment", user_id=chat, telegram_payment_charge_id=charge, **other
    )
    assert words == "Bad Request: CHARGE_NOT_FOUND"
