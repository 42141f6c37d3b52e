import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from telegram.error import NetworkError

from sandbox.telegram.settings import TelegramSettings
from tests.integration.sandbox_telegram import Sandbox, sandbox

TOO_OLD = "Bad Request: query is too old and response timeout expired or query ID is invalid"


@pytest.fixture
async def telegram() -> AsyncIterator[Sandbox]:
    async with sandbox() as running:
        yield running


async def _offer(telegram: Sandbox) -> tuple[int, int]:
    chat = await telegram.started()
    return chat, (await telegram.invoice(chat))["message_id"]


async def _stars(telegram: Sandbox, chat: int) -> int:
    return int((await telegram.http.get(f"/sandbox/chats/{chat}")).json()["stars"])


async def test_an_answer_that_comes_too_late_pays_nothing() -> None:
    async with sandbox(checkout_timeout_s=0.05) as telegram:
        chat, message = await _offer(telegram)
        query = (await telegram.pay(chat, message_id=message))["pre_checkout_query_id"]
        payment = await telegram.until_paid(query, "expired")
        assert payment["error"] == "BOT_PRECHECKOUT_TIMEOUT"
        late = {"pre_checkout_query_id": query}
        assert await telegram.refusal("answerPreCheckoutQuery", **late, ok=True) == TOO_OLD
        assert await telegram.transactions() == []
        assert await _stars(telegram, chat) == 10_000


async def test_one_payment_alone_is_impatient(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    hasty = await telegram.pay(chat, message_id=message, answer_within_s=0.02)
    patient = await telegram.pay(chat, message_id=message)
    await telegram.until_paid(hasty["pre_checkout_query_id"], "expired")
    late = {"pre_checkout_query_id": hasty["pre_checkout_query_id"]}
    assert await telegram.refusal("answerPreCheckoutQuery", **late, ok=True) == TOO_OLD
    in_time = {"pre_checkout_query_id": patient["pre_checkout_query_id"]}
    await telegram.result("answerPreCheckoutQuery", **in_time, ok=True)
    assert len(await telegram.transactions()) == 1


async def test_a_bot_has_ten_seconds(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    payment = await telegram.pay(chat, message_id=message)
    assert payment["state"] == "asked"
    strange = {"pre_checkout_query_id": "1"}
    assert await telegram.refusal("answerPreCheckoutQuery", **strange, ok=True) == TOO_OLD
    assert TelegramSettings().checkout_timeout_s == 10


async def test_a_lost_notice_is_in_the_transactions_alone(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    payment = await telegram.paid(chat, message_id=message, notice="never")
    assert payment["state"] == "paid"
    assert await telegram.news("successful_payment") == []
    assert [one["id"] for one in await telegram.transactions()] == [payment["charge_id"]]
    assert "successful_payment" in (await telegram.messages(chat))[-1], "the person sees it"
    await telegram.payment(payment["pre_checkout_query_id"], "notice")
    late = await telegram.news("successful_payment")
    assert [one["telegram_payment_charge_id"] for one in late] == [payment["charge_id"]]


async def test_a_doubled_notice_is_one_message_in_two_updates(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    await telegram.paid(chat, message_id=message, notice="twice", query="twice")
    assert len(await telegram.news("pre_checkout_query")) == 2
    first, second = await telegram.news("successful_payment")
    assert first == second
    updates = await telegram.result("getUpdates")
    paid = [one for one in updates if "successful_payment" in one.get("message", {})]
    assert paid[0]["update_id"] != paid[1]["update_id"]
    assert paid[0]["message"] == paid[1]["message"]
    assert len(await telegram.transactions()) == 1


async def test_a_query_that_never_comes_ends_the_payment() -> None:
    async with sandbox(checkout_timeout_s=0.02) as telegram:
        chat, message = await _offer(telegram)
        order = {"message_id": message, "query": "never"}
        query = (await telegram.pay(chat, **order))["pre_checkout_query_id"]
        await telegram.until_paid(query, "expired")
        assert await telegram.news("pre_checkout_query") == []


async def test_a_slow_person_is_asked_for_later(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    payment = await telegram.pay(chat, message_id=message, think_s=0.05)
    assert payment["state"] == "thinking"
    assert await telegram.news("pre_checkout_query") == []
    query = payment["pre_checkout_query_id"]
    early = {"pre_checkout_query_id": query}
    assert await telegram.refusal("answerPreCheckoutQuery", **early, ok=True) == TOO_OLD
    await telegram.until_paid(query, "asked")
    assert len(await telegram.news("pre_checkout_query")) == 1


async def test_a_slow_charge_and_a_slow_notice_come_in_the_end(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    order = {"message_id": message, "settle_s": 0.05, "notice_after_s": 0.05}
    payment = await telegram.paid(chat, **order)
    assert payment["state"] == "approved"
    assert await telegram.transactions() == []
    payment = await telegram.until_paid(payment["pre_checkout_query_id"])
    async with asyncio.timeout(5):
        while not await telegram.news("successful_payment"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert [one["id"] for one in await telegram.transactions()] == [payment["charge_id"]]


@pytest.mark.parametrize(
    "forged",
    [{"total_amount": 1}, {"currency": "USD"}, {"payload": "somebody else's"}],
    ids=["amount", "currency", "payload"],
)
async def test_a_forged_query_shows_something_else(
    telegram: Sandbox, forged: dict[str, Any]
) -> None:
    chat, message = await _offer(telegram)
    payment = await telegram.paid(chat, message_id=message, **forged)
    asked = (await telegram.news("pre_checkout_query"))[0]
    paid = (await telegram.news("successful_payment"))[0]
    for shown in (asked, paid):
        expected = {"currency": "XTR", "total_amount": 100, "invoice_payload": "pack:100"}
        expected |= {name.replace("payload", "invoice_payload", 1): forged[name] for name in forged}
        assert {name: shown[name] for name in expected} == expected
    assert payment["state"] == "paid"
    booked = await telegram.transactions()
    assert len(booked) == (0 if "currency" in forged else 1), "other money moves no Stars"


async def test_telegram_gives_a_payment_back_by_itself(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    payment = await telegram.paid(chat, message_id=message)
    query, charge = payment["pre_checkout_query_id"], payment["charge_id"]
    await telegram.payment(query, "refund")
    told = await telegram.news("refunded_payment")
    assert [one["telegram_payment_charge_id"] for one in told] == [charge]
    assert [one["id"] for one in await telegram.transactions()] == [charge, charge]
    assert await _stars(telegram, chat) == 10_000
    given = {"user_id": chat, "telegram_payment_charge_id": charge}
    words = await telegram.refusal("refundStarPayment", **given)
    assert words == "Bad Request: CHARGE_ALREADY_REFUNDED"


async def test_a_refund_is_seen_in_the_transactions_alone(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    payment = await telegram.paid(chat, message_id=message)
    await telegram.payment(payment["pre_checkout_query_id"], "refund", is_told=False)
    assert await telegram.news("refunded_payment") == []
    assert "receiver" in (await telegram.transactions())[-1]


@pytest.mark.parametrize("partner", ["user", "other"])
async def test_a_chargeback_leaves_the_bot_with_less_than_nothing(
    telegram: Sandbox, partner: str
) -> None:
    chat, message = await _offer(telegram)
    payment = await telegram.paid(chat, message_id=message)
    await telegram.http.post(
        "/sandbox/transactions",
        json={"amount": 100, "receiver": {"type": "telegram_ads"}},
    )
    body = {"is_told": False, "partner": partner}
    await telegram.payment(payment["pre_checkout_query_id"], "chargeback", **body)
    last = (await telegram.transactions())[-1]
    assert last["receiver"]["type"] == partner
    assert (last["id"] == payment["charge_id"]) == (partner == "user")
    assert last["amount"] == 100
    assert await telegram.result("getMyStarBalance") == {"amount": -100}
    assert await telegram.news("refunded_payment") == []
    assert await _stars(telegram, chat) == 9_900, "the bank paid, not Telegram"


async def test_a_lost_answer_to_a_refund_leaves_it_done(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    charge = (await telegram.paid(chat, message_id=message))["charge_id"]
    await telegram.fault(kind="answer_lost", method="refundStarPayment", times=1)
    async with telegram.client() as bot:
        with pytest.raises(NetworkError):
            await bot.refund_star_payment(chat, charge)
    words = await telegram.refusal(
        "refundStarPayment", user_id=chat, telegram_payment_charge_id=charge
    )
    assert words == "Bad Request: CHARGE_ALREADY_REFUNDED"


async def test_payments_go_on_after_a_restart(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as telegram:
        chat, message = await _offer(telegram)
        done = await telegram.paid(chat, message_id=message)
        asked = await telegram.pay(chat, message_id=message)
        approved = await telegram.paid(chat, message_id=message, settle_s=60)
        thinking = await telegram.pay(chat, message_id=message, think_s=60)
    async with sandbox(tmp_path, checkout_timeout_s=60) as telegram:
        stood = {"done": done, "asked": asked, "approved": approved, "thinking": thinking}
        now = {
            name: (await telegram.payment(one["pre_checkout_query_id"]))["state"]
            for name, one in stood.items()
        }
        assert now == {"done": "paid", "asked": "asked", "approved": "paid", "thinking": "asked"}
        query = {"pre_checkout_query_id": asked["pre_checkout_query_id"]}
        await telegram.result("answerPreCheckoutQuery", **query, ok=True)
        assert len(await telegram.transactions()) == 3


async def test_a_query_that_ran_out_during_a_restart_is_over(tmp_path: Path) -> None:
    async with sandbox(tmp_path, checkout_timeout_s=60) as telegram:
        chat, message = await _offer(telegram)
        asked = await telegram.pay(chat, message_id=message)
    async with sandbox(tmp_path, checkout_timeout_s=0.001) as telegram:
        await telegram.until_paid(asked["pre_checkout_query_id"], "expired")


async def test_nobody_pays_with_stars_that_they_have_not(telegram: Sandbox) -> None:
    chat = await telegram.started(stars=99)
    sent = await telegram.invoice(chat)
    order = {"message_id": sent["message_id"]}
    answer = await telegram.http.post(f"/sandbox/chats/{chat}/pay", json=order)
    assert (answer.status_code, answer.json()["detail"]) == (409, "BALANCE_TOO_LOW")
    assert await telegram.news("pre_checkout_query") == []
    await telegram.user(chat, stars=100)
    assert (await telegram.paid(chat, **order))["state"] == "paid"


ODD_ORDERS: dict[str, tuple[dict[str, Any], int]] = {
    "nothing": ({}, 422),
    "both": ({"message_id": 1, "link": "https://t.me/$x"}, 422),
    "unknown field": ({"message_id": 1, "tip": 1}, 422),
    "unknown link": ({"link": "https://t.me/$x"}, 404),
    "no invoice": ({"message_id": 1}, 409),
    "no message": ({"message_id": 99}, 400),
}


@pytest.mark.parametrize(("order", "status"), ODD_ORDERS.values(), ids=ODD_ORDERS.keys())
async def test_an_odd_order_is_explained(
    telegram: Sandbox, order: dict[str, Any], status: int
) -> None:
    chat = await telegram.started()
    answer = await telegram.http.post(f"/sandbox/chats/{chat}/pay", json=order)
    assert answer.status_code == status
    assert answer.json()["detail"]


async def test_what_was_not_charged_is_not_taken_back(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    query = (await telegram.pay(chat, message_id=message))["pre_checkout_query_id"]
    for action in ("notice", "refund", "chargeback"):
        answer = await telegram.http.post(f"/sandbox/payments/{query}/{action}")
        assert (answer.status_code, answer.json()["detail"]) == (409, "the payment is asked")
    assert (await telegram.http.get("/sandbox/payments/none")).status_code == 404
    listed = (await telegram.http.get("/sandbox/payments")).json()["payments"]
    assert [one["pre_checkout_query_id"] for one in listed] == [query]


async def test_a_reset_forgets_all_stars(telegram: Sandbox) -> None:
    chat, message = await _offer(telegram)
    await telegram.paid(chat, message_id=message)
    await telegram.pay(chat, message_id=message)
    await telegram.http.post("/sandbox/reset")
    assert await telegram.transactions() == []
    assert (await telegram.http.get("/sandbox/payments")).json() == {"payments": []}
