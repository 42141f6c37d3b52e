"""A user who looks at a balance, buys credits, and reads receipts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import structlog

from atelier.wallet.v1 import top_up_pb2, transfer_pb2
from atelier.wallet.v1.statement_pb2 import STATEMENT_FORMAT_CSV, STATEMENT_FORMAT_PDF
from atelier.wallet.v1.top_up_pb2 import Pack
from atelier.wallet.v1.wallet_pb2 import FreeAllowance
from edge_bot.conversation.handle_update import tell_untold
from edge_bot.conversation.handler.money import COMMANDS
from edge_bot.pack.seller import Seller
from tests.contract.edge_chat import Chat, chatting
from tests.contract.edge_wallet import WalletDesk
from tests.edge_model import USER
from tests.integration.sandbox_telegram import Json

OWNER = f"telegram:{USER}"
LANGUAGES = ("en", "ru")


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with chatting(is_sold=True) as chat:
        yield chat


def wallet(chat: Chat) -> WalletDesk:
    return chat.service.wallet


async def invoice(chat: Chat, label: str = "+100 credits") -> Json:
    """Have the bot send an invoice; return its message."""
    await chat.say("/topup")
    await chat.press(label)
    return await chat.last()


async def buy(chat: Chat, *, label: str = "+100 credits", **order: Any) -> Json:
    """Buy the small pack, and return the payment."""
    message = await invoice(chat, label)
    query = (await chat.telegram.pay(USER, message_id=message["message_id"], **order))[
        "pre_checkout_query_id"
    ]
    await chat.pump()
    payment = await chat.telegram.until_paid(query)
    await chat.pump()
    return payment


async def said(chat: Chat) -> list[str]:
    return [each.get("text", "") for each in await chat.from_bot()]


async def test_an_invoice_is_paid_and_credited_once(chat: Chat) -> None:
    payment = await buy(chat, notice="twice")
    [request, again] = wallet(chat).asked("RecordTopUp")
    assert request == again
    assert request.external_id == payment["charge_id"]
    assert (request.provider, request.owner) == ("telegram_stars", OWNER)
    assert (request.pack_id, request.amount, request.currency) == ("small", 50, "XTR")
    assert (request.telegram_host, request.bot_id) == ("127.0.0.1", chat.context.bot_id)
    assert wallet(chat).balances[OWNER] == 100
    told = [each for each in await chat.from_bot() if "+100 credits" in each.get("text", "")]
    assert len(told) == 1
    assert "You have 100 credits." in told[0]["text"]


async def test_an_invoice_names_who_may_pay_and_what(chat: Chat) -> None:
    shown = (await invoice(chat))["invoice"]
    assert (shown["title"], shown["currency"], shown["total_amount"]) == ("+100 credits", "XTR", 50)
    calls = await chat.telegram.calls("sendInvoice")
    assert calls[0]["params"]["payload"] == f"topup:1:small:{USER}"


async def test_a_press_that_comes_again_sends_one_invoice(chat: Chat) -> None:
    await invoice(chat)
    await chat.repeat()
    assert len(await chat.telegram.calls("sendInvoice")) == 1


async def test_a_pack_that_is_gone_brings_up_the_others(chat: Chat) -> None:
    await chat.say("/topup")
    wallet(chat).packs = (Pack(id="medium", credits=300, stars=120),)
    await chat.press("+100 credits")
    assert "+300 credits · ⭐️ 120" in await chat.labels()
    assert not await chat.telegram.calls("sendInvoice")


async def test_a_payment_that_is_not_credited_is_told_with_its_charge(chat: Chat) -> None:
    wallet(chat).refuse_with("RecordTopUp", "MONEY_MODE_MISMATCH")
    payment = await buy(chat)
    assert payment["charge_id"] in await chat.last_text()
    assert "could not credit it yet" in await chat.last_text()
    assert chat.context.star_news.is_set()


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
async def test_a_payment_is_retried_while_the_service_is_away(
    chat: Chat, code: grpc.StatusCode
) -> None:
    wallet(chat).refuse_with("RecordTopUp", "", code)
    with pytest.raises(Exception, match=code.name) as failed:
        await buy(chat)
    assert getattr(failed.value, "is_retryable", False)
    wallet(chat).refusals.clear()
    await chat.repeat()
    assert wallet(chat).balances[OWNER] == 100
    assert "+100 credits" in await chat.last_text()


def said_paid(chat: Json, *, payload: str = f"topup:1:small:{USER}") -> Json:
    """Return what Telegram says of a payment in a chat."""
    payment = {
        "currency": "XTR",
        "total_amount": 50,
        "invoice_payload": payload,
        "telegram_payment_charge_id": "stx0",
        "provider_payment_charge_id": "7_0",
    }
    payer = {"id": USER, "is_bot": False, "first_name": "Ada", "language_code": "en"}
    return {
        "message_id": 900,
        "date": 1_795_000_000,
        "chat": chat,
        "from": payer,
        "successful_payment": payment,
    }


async def test_a_payment_in_a_group_is_credited_without_a_word(chat: Chat) -> None:
    before = await chat.from_bot()
    await chat.force(message=said_paid({"id": -1001, "type": "supergroup", "title": "All"}))
    assert wallet(chat).balances[OWNER] == 100
    assert await chat.from_bot() == before


async def test_a_payment_for_something_else_is_told_and_not_credited(chat: Chat) -> None:
    here = {"id": USER, "type": "private", "first_name": "Ada"}
    await chat.force(message=said_paid(here, payload="pack:100"))
    assert not wallet(chat).asked("RecordTopUp")
    assert "stx0" in await chat.last_text()
    assert chat.context.star_news.is_set()


async def test_the_receipt_gets_its_number_later(chat: Chat) -> None:
    payment = await buy(chat)
    assert "within a minute" in await chat.last_text()
    await chat.press("Receipt")
    assert "within a minute" in await chat.last_text()
    assert not [each for each in await chat.labels() if "PDF" in each]
    wallet(chat).top_ups[0].receipt_number = "A-000017"
    await chat.press("Show the number")
    assert "Receipt No. A-000017" in await chat.last_text()
    await chat.say("/receipts")
    assert "29 Nov 2026 · +100 credits · ⭐️ 50" in await chat.labels()
    await chat.press("+100 credits")
    text = await chat.last_text()
    assert "Receipt No. A-000017" in text
    assert payment["charge_id"] in text


async def test_a_receipt_comes_once_as_a_file(chat: Chat) -> None:
    await buy(chat)
    wallet(chat).top_ups[0].receipt_number = "A-000017"
    await chat.press("Receipt")
    await chat.press("Receipt as PDF")
    await chat.repeat()
    [request] = wallet(chat).asked("GetReceipt")
    assert (request.top_up_id, request.language_code) == (wallet(chat).top_ups[0].id, "en")
    assert (await chat.last())["document"]["file_name"] == "receipt-A-000017.pdf"
    assert len(await chat.telegram.calls("sendDocument")) == 1


async def test_nobody_gets_the_receipt_of_somebody_else(chat: Chat) -> None:
    await buy(chat)
    wallet(chat).top_ups[0].receipt_number = "A-000017"
    await chat.press("Receipt")
    wallet(chat).top_ups[0].owner = "telegram:8"
    await chat.press("Receipt as PDF")
    assert "I do not have this receipt" in await chat.last_text()
    assert not wallet(chat).asked("GetReceipt")


@pytest.mark.parametrize(
    ("seller_text", "told"),
    [
        ("Example Studio\n<help@example.org>", "Example Studio\n<help@example.org>"),
        ("", "its operator has just been told that you asked"),
    ],
    ids=["a seller", "nobody"],
)
async def test_support_without_a_contact_names_the_seller_or_tells_the_operator(
    chat: Chat, seller_text: str, told: str
) -> None:
    wallet(chat).seller_text = seller_text
    payment = await buy(chat)
    with structlog.testing.capture_logs() as logs:
        await chat.say("/paysupport")
    text = await chat.last_text()
    assert told in text
    assert payment["charge_id"] in text
    [entry] = [each for each in logs if "EDGE_SUPPORT is empty" in each["event"]]
    assert (entry["charge_id"], entry["user_id"]) == (payment["charge_id"], USER)


async def test_receipts_name_the_seller_and_never_a_tax(chat: Chat) -> None:
    wallet(chat).seller_text = "ООО «Пример», ИНН 0000000000\nМосква & <Тверь>"
    await buy(chat)
    await chat.press("Receipt")
    assert wallet(chat).seller_text in await chat.last_text()
    await chat.say("/terms")
    assert wallet(chat).seller_text in await chat.last_text()


@pytest.mark.parametrize("language", LANGUAGES)
async def test_no_screen_says_vat_and_no_russian_one_says_cheque(language: str) -> None:
    async with chatting(language=language, is_sold=True) as chat:
        for command in COMMANDS:
            await chat.say(f"/{command}")
        said = " ".join(str(each.get("text")) for each in await chat.from_bot()).lower()
    for word in ("vat", "ндс", "чек"):
        assert word not in said.split()


async def test_support_has_the_latest_charge_at_hand(chat: Chat) -> None:
    chat.context = replace(chat.context, seller=Seller("127.0.0.1", contact="@example_help"))
    await chat.say("/paysupport")
    message = await chat.last()
    assert "no payment to name" in message["text"]
    button = message["reply_markup"]["inline_keyboard"][0][0]
    assert button["url"] == "https://t.me/example_help"
    payment = await buy(chat)
    await chat.say("/paysupport")
    message = await chat.last()
    assert payment["charge_id"] in message["text"]
    link = message["reply_markup"]["inline_keyboard"][0][0]["url"]
    assert link.startswith("https://t.me/example_help?text=")
    assert payment["charge_id"] in link


async def test_the_payment_at_hand_is_told_in_a_line_as_people_write_it() -> None:
    async with chatting(language="ru", is_sold=True) as chat:
        await buy(chat, label="+100 кредитов")
        top_up = wallet(chat).top_ups[0]
        top_up.receipt_number, top_up.currency, top_up.amount = "1-000017", "RUB", 49900
        await chat.say("/paysupport")
        assert "UTC, 499,00 RUB, квитанция № 1-000017" in await chat.last_text()


async def test_the_balance_tells_its_parts(chat: Chat) -> None:
    allowance = FreeAllowance(daily_count=10, remaining_count=3)
    allowance.reset_time.FromDatetime(datetime(2026, 11, 30, tzinfo=UTC))
    wallet(chat).balances[OWNER] = 40
    wallet(chat).fields = {
        "granted_credits": 15,
        "held_credits": 12,
        "debt": 5,
        "is_blocked": True,
        "free_allowance": allowance,
    }
    await chat.say("/balance")
    text = await chat.last_text()
    for told in ("You have 40 credits", ": 15.", ": 12.", "Owed: 5.", "blocked", "3 of 10"):
        assert told in text


async def test_the_history_has_the_balance_after_each_line(chat: Chat) -> None:
    desk = wallet(chat)
    desk.balances[OWNER] = 88
    for number in range(130):
        desk.move(
            -12, kind=transfer_pb2.TRANSFER_KIND_HOLD, owner=OWNER, model_id="z-image", cause_id="j"
        )
        desk.balances[OWNER] -= 1
        desk.move(0, kind=transfer_pb2.TRANSFER_KIND_CAPTURE, owner=OWNER, cause_id=f"{number}")
    desk.move(7, kind=transfer_pb2.TRANSFER_KIND_GRANT, owner=OWNER, reason="a <gift>")
    await chat.say("/balance")
    await chat.press("History")
    text = await chat.last_text()
    assert "+7 · bonus (a <gift>)" in text
    assert "−12 · Z-Image" in text
    assert f"balance {desk.balances[OWNER] + 1}" in text
    assert "+0" not in text
    assert "1 of 22" in await chat.labels()


async def test_a_statement_comes_once_as_a_file(chat: Chat) -> None:
    await chat.say("/balance")
    await chat.press("History")
    wallet(chat).move(7, kind=transfer_pb2.TRANSFER_KIND_GRANT, owner=OWNER)
    await chat.press("Balance")
    await chat.press("History")
    await chat.press("Statement")
    await chat.press("30 days · PDF")
    await chat.repeat()
    [request] = wallet(chat).asked("GetStatement")
    assert (request.owner, request.format) == (OWNER, STATEMENT_FORMAT_PDF)
    assert (await chat.last())["document"]["file_name"] == "statement.csv"
    assert len(await chat.telegram.calls("sendDocument")) == 1


@pytest.mark.parametrize("number", ["3", "-1", "9" * 40])
async def test_a_statement_in_no_format_comes_as_csv(chat: Chat, number: str) -> None:
    await chat.say("/balance")
    message = await chat.last()
    await chat.press_data(f"wd:30:{number}", message_id=message["message_id"])
    await chat.pump()
    [request] = wallet(chat).asked("GetStatement")
    assert (request.owner, request.format) == (OWNER, STATEMENT_FORMAT_CSV)


async def test_stars_that_we_returned_are_told_kindly(chat: Chat) -> None:
    payment = await buy(chat)
    wallet(chat).refund(payment["charge_id"])
    await chat.telegram.result(
        "refundStarPayment", user_id=USER, telegram_payment_charge_id=payment["charge_id"]
    )
    await chat.pump()
    assert "⭐️ 50 went back to you" in await chat.last_text()
    assert "have been taken off your balance" in await chat.last_text()
    assert not chat.context.star_news.is_set()


@pytest.mark.parametrize(
    ("language", "words"), [("en", "payment has arrived"), ("ru", "платёж получен")]
)
async def test_who_paid_without_an_update_is_told_in_their_language(
    language: str, words: str
) -> None:
    async with chatting(is_sold=True, language=language) as chat:
        payment = await buy(chat, label="+100", notice="never")
        wallet(chat).pay(OWNER, charge_id=payment["charge_id"])
        [top_up] = wallet(chat).top_ups
        for _ in range(2):
            await tell_untold(chat.context, top_up)
        await chat.telegram.payment(payment["pre_checkout_query_id"], "notice")
        await chat.pump()  # the update comes after all
        [told] = [each for each in await said(chat) if words in each.lower()]
        assert "100" in told
        assert "🧾" in str((await chat.last())["reply_markup"])


async def test_a_payment_whose_return_no_update_told_of_is_told_once(chat: Chat) -> None:
    payment = await buy(chat)
    [top_up] = wallet(chat).top_ups
    top_up.state = top_up_pb2.TOP_UP_STATE_CHARGED_BACK
    for _ in range(2):
        await tell_untold(chat.context, top_up)
    await chat.telegram.payment(payment["pre_checkout_query_id"], "refund", is_told=True)
    await chat.pump()
    [told] = [each for each in await said(chat) if "went back to you" in each]
    assert "have been taken off your balance" in told
    assert not chat.context.star_news.is_set()


async def test_stars_that_became_credits_of_no_user_are_told_to_nobody(chat: Chat) -> None:
    wallet(chat).pay("shop:anna", charge_id="settled")
    [top_up] = wallet(chat).top_ups
    before = await said(chat)
    await tell_untold(chat.context, top_up)
    assert await said(chat) == before


@pytest.mark.parametrize(
    ("language", "question", "words"),
    [
        ("en", "Where are my credits?", "/receipts what has arrived"),
        ("ru", "я оплатил, а кредиты не пришли", "все поступления — /receipts"),
    ],
)
async def test_who_asks_for_a_payment_is_told_above_the_usual_screen(
    language: str, question: str, words: str
) -> None:
    async with chatting(is_sold=True, language=language) as chat:
        await chat.say(question)
        assert words in await chat.last_text()
        assert question in await chat.last_text()  # nothing is lost, if it is to be drawn after all
        assert "✨" in str(await chat.labels())


async def test_no_question_is_about_payments_where_nothing_is_sold() -> None:
    async with chatting() as chat:
        await chat.say("Where are my credits?")
        assert "/receipts" not in await chat.last_text()


async def test_a_receipt_tells_what_became_of_the_payment(chat: Chat) -> None:
    payment = await buy(chat)
    top_up = wallet(chat).top_ups[0]
    shown = {
        top_up_pb2.TOP_UP_STATE_REFUNDING: "is being returned",
        top_up_pb2.TOP_UP_STATE_REFUNDED: "Receipt of the return: No. A-000018",
        top_up_pb2.TOP_UP_STATE_CHARGED_BACK: "was taken back",
    }
    top_up.refund_receipt_number = "A-000018"
    for state, words in shown.items():
        top_up.state = state
        await chat.say("/receipts")
        await chat.press("↩️ ")
        assert words in await chat.last_text()
        assert payment["charge_id"] in await chat.last_text()


async def test_stars_that_telegram_returned_are_looked_for_in_its_list(chat: Chat) -> None:
    payment = await buy(chat)
    await chat.telegram.payment(payment["pre_checkout_query_id"], "refund", is_told=True)
    await chat.pump()
    assert "will be taken off your balance" in await chat.last_text()
    assert chat.context.star_news.is_set()


async def test_where_nothing_is_sold_no_command_is_about_money() -> None:
    async with chatting() as chat:
        for command in COMMANDS:
            await chat.say(f"/{command}")
            assert "How it works" in await chat.last_text()


async def test_closed_sales_are_told_and_the_rest_is_there(chat: Chat) -> None:
    wallet(chat).is_open = False
    await chat.say("/topup")
    assert "No credits are sold" in await chat.last_text()
    await chat.say("/balance")
    assert "You have 0 credits" in await chat.last_text()


async def test_a_forwarded_invoice_leads_to_what_is_sold(chat: Chat) -> None:
    await chat.say("/start topup")
    assert "+100 credits · ⭐️ 50" in await chat.labels()


async def test_a_button_that_is_left_from_a_time_of_sales_says_that_there_are_none(
    chat: Chat,
) -> None:
    await chat.say("/topup")
    label = (await chat.labels())[0]
    wallet(chat).is_off = True
    await chat.press(label)
    assert "Nothing is sold here" in await chat.last_text()
