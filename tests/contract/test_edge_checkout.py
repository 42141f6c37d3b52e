"""Telegram's question before a payment is answered in time, whatever else is slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx2
import pytest
from telegram import Update

from edge_bot.pack.payload import MAX_PAYLOAD_BYTES, Payload, PayloadTooLong, read_payload
from edge_bot.payment.checkout import Checkout
from edge_bot.update.offsets import WINDOW_SIZE
from edge_bot.update.polling import ALLOWED_UPDATES
from edge_bot.update.webhook import SECRET_HEADER, Secrets, Webhook, create_app
from runtime.address import Address
from runtime.http import serving
from tests.contract.edge_harness import CHAT, SELLER, Harness, harness, until
from tests.integration.sandbox_telegram import TOKEN, Json

OTHER = 8


@pytest.fixture
async def edge() -> AsyncIterator[Harness]:
    async with harness() as made:
        await made.telegram.started(CHAT, language_code="en")
        await made.telegram.started(OTHER, language_code="en")
        yield made


async def do_nothing(_: Update) -> None:
    """Handle nothing."""


async def ask(edge: Harness, *, payer: int = CHAT, **order: Any) -> str:
    """Have somebody pay an invoice of the small pack; return the query."""
    order.setdefault("payload", Payload("small", CHAT).text())
    message = await edge.telegram.invoice(CHAT, stars=50)
    order |= {"message_id": message["message_id"], "from_chat": CHAT}
    return str((await edge.telegram.pay(payer, **order))["pre_checkout_query_id"])


async def stands(edge: Harness, query: str) -> Json | None:
    payment = await edge.telegram.payment(query)
    return None if payment["state"] in ("thinking", "asked", "approved") else payment


async def outcome(edge: Harness, query: str, *, within_s: float = 9.5) -> Json:
    payment: Json = await until(lambda: stands(edge, query), within_s=within_s)
    return payment


async def test_a_payment_that_the_service_agrees_to_goes_on(edge: Harness) -> None:
    async with edge.polling(do_nothing):
        assert (await outcome(edge, await ask(edge)))["state"] == "paid"
    [request] = edge.service.wallet.asked("CheckTopUp")
    assert (request.owner, request.pack_id) == (f"telegram:{CHAT}", "small")
    assert (request.amount, request.currency) == (50, "XTR")
    assert request.telegram_host == "127.0.0.1"


FORGED = {
    "amount": {"total_amount": 1},
    "currency": {"currency": "USD"},
    "foreign payload": {"payload": "pack:100"},
    "payload of another": {"payload": Payload("small", OTHER).text()},
    "unknown pack": {"payload": Payload("huge", CHAT).text()},
}


@pytest.mark.parametrize("order", FORGED.values(), ids=FORGED)
async def test_what_does_not_fit_is_refused_with_a_sentence(
    edge: Harness, order: dict[str, Any]
) -> None:
    async with edge.polling(do_nothing):
        payment = await outcome(edge, await ask(edge, **order))
    assert payment["state"] == "refused"
    assert "/topup" in payment["error"]


async def test_nobody_pays_the_invoice_of_another(edge: Harness) -> None:
    async with edge.polling(do_nothing):
        payment = await outcome(edge, await ask(edge, payer=OTHER))
    assert (payment["state"], "somebody else" in payment["error"]) == ("refused", True)
    assert not edge.service.wallet.asked("CheckTopUp")


REASONS = {
    "OWNER_BLOCKED": "blocked",
    "SALES_CLOSED": "No credits are sold",
    "MONEY_MODE_MISMATCH": "not set up",
    "TOP_UP_INVALID": "no longer valid",
    "DAILY_CAP_REACHED": "No more payments are taken at the moment",
    "": "could not check",
}


@pytest.mark.parametrize("reason", REASONS)
async def test_the_reason_of_a_refusal_is_told(edge: Harness, reason: str) -> None:
    edge.service.wallet.refuse_with("CheckTopUp", reason)
    async with edge.polling(do_nothing):
        payment = await outcome(edge, await ask(edge))
    assert REASONS[reason] in payment["error"]


async def test_a_service_that_hangs_is_waited_for_three_seconds(edge: Harness) -> None:
    edge.service.wallet.hangs.add("CheckTopUp")
    async with edge.polling(do_nothing):
        started = time.monotonic()
        payment = await outcome(edge, await ask(edge))
    assert "try again in a minute" in payment["error"]
    assert 3 <= time.monotonic() - started < 9


async def test_fifty_updates_of_the_payer_hold_nothing_up(edge: Harness) -> None:
    gate = asyncio.Event()

    async def wait(update: Update) -> None:
        await gate.wait()

    for number in range(50):
        await edge.telegram.say(CHAT, f"{number}")
    async with edge.polling(wait):
        query = await ask(edge)
        assert (await outcome(edge, query, within_s=5))["state"] == "paid"
        assert not gate.is_set()
        gate.set()
        await until(edge.has_confirmed)


async def test_more_updates_than_telegram_shows_at_once_hide_no_checkout(edge: Harness) -> None:
    gate = asyncio.Event()

    async def wait(update: Update) -> None:
        await gate.wait()

    for number in range(WINDOW_SIZE + 20):
        await edge.telegram.say(CHAT, f"{number}")
    query = await ask(edge)
    async with edge.polling(wait):
        assert (await outcome(edge, query, within_s=8))["state"] == "paid"
        gate.set()
        await until(edge.has_confirmed)


async def test_the_limit_on_messages_holds_nothing_up(edge: Harness) -> None:
    await edge.telegram.fault(kind="too_many_requests", method="sendMessage", retry_after=20)
    sending = asyncio.create_task(edge.bot.send_message(CHAT, "first"))
    await edge.telegram.until_called("sendMessage", times=1, is_over=True)
    async with edge.polling(do_nothing):
        assert (await outcome(edge, await ask(edge), within_s=5))["state"] == "paid"
    assert not sending.done()
    sending.cancel()


async def test_what_waited_for_an_edge_for_too_long_is_no_trouble(edge: Harness) -> None:
    late = [await ask(edge, answer_within_s=0.01) for _ in range(5)]
    for query in late:
        assert (await outcome(edge, query))["state"] == "expired"
    async with edge.polling(do_nothing):
        await until(edge.has_confirmed)
        assert (await outcome(edge, await ask(edge)))["state"] == "paid"
    states = [(await edge.telegram.payment(query))["state"] for query in late]
    assert states == ["expired"] * 5


async def test_a_question_that_comes_twice_is_answered_once(edge: Harness) -> None:
    async with edge.polling(do_nothing):
        query = await ask(edge, query="twice")
        assert (await outcome(edge, query))["state"] == "paid"
        await until(edge.has_confirmed)


@pytest.mark.parametrize("kind", ["server_error", "too_many_requests"])
async def test_an_answer_is_tried_again(edge: Harness, kind: str) -> None:
    await edge.telegram.fault(kind=kind, method="answerPreCheckoutQuery", times=1, retry_after=1)
    async with edge.polling(do_nothing):
        assert (await outcome(edge, await ask(edge)))["state"] == "paid"


async def test_an_answer_is_given_up_before_telegram_does(edge: Harness) -> None:
    await edge.telegram.fault(kind="server_error", method="answerPreCheckoutQuery")
    query = await ask(edge)
    [update] = [each for each in await edge.bot.get_updates() if each.pre_checkout_query]
    checkout = Checkout(edge.bot, edge.client, SELLER, answer_s=0.3)
    async with asyncio.timeout(5):
        await checkout(update)
    assert (await edge.telegram.payment(query))["state"] == "asked"


async def test_a_service_that_is_away_refuses_kindly(edge: Harness) -> None:
    edge.service.wallet.refuse_with("CheckTopUp", "", grpc.StatusCode.UNAVAILABLE)
    async with edge.polling(do_nothing):
        payment = await outcome(edge, await ask(edge))
    assert (payment["state"], "Nothing was paid" in payment["error"]) == ("refused", True)


async def test_a_webhook_answers_while_the_payer_has_updates_in_line(edge: Harness) -> None:
    gate = asyncio.Event()

    async def wait(update: Update) -> None:
        await gate.wait()

    hook = Webhook(bot=edge.bot, dispatcher=edge.dispatcher(wait), token_health=edge.token_health)
    app = create_app(is_ready=lambda: True, routes=[hook.route()])
    for number in range(10):
        await edge.telegram.say(CHAT, f"{number}")
    query = await ask(edge)
    updates = await edge.telegram.result("getUpdates")
    async with serving(app, Address("127.0.0.1", 0)) as address, asyncio.TaskGroup() as group:
        # As Telegram does with max_connections; the sandbox posts one after the other.
        posts = [group.create_task(post(f"http://{address}", update)) for update in updates]
        assert (await outcome(edge, query, within_s=5))["state"] == "paid"
        done, _ = await asyncio.wait(posts, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1  # the others wait in line
        gate.set()
    assert {each.result() for each in posts} == {200}


async def post(url: str, update: Json) -> int:
    """Post an update as Telegram does."""
    secrets = Secrets.of_token(TOKEN)
    async with httpx2.AsyncClient(trust_env=False) as http:
        headers = {SECRET_HEADER: secrets.header}
        return (await http.post(url + secrets.path, json=update, headers=headers)).status_code


def test_telegram_is_asked_for_checkouts() -> None:
    assert "pre_checkout_query" in ALLOWED_UPDATES


@pytest.mark.parametrize("text", ["", "topup:1:", "topup:1::7", "topup:1:a:x", "topup:2:a:7", "a"])
def test_a_foreign_payload_is_none(text: str) -> None:
    assert read_payload(text) is None


def test_a_payload_says_the_same_when_it_is_read() -> None:
    longest = Payload("p" * 32, 2**63 - 1)
    assert read_payload(longest.text()) == longest
    assert len(longest.text()) <= MAX_PAYLOAD_BYTES
    with pytest.raises(PayloadTooLong):
        Payload("p" * 128, 1).text()
