"""Payments with `python -m edge_bot` as a process of its own, killed at bad moments."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from atelier.wallet.v1 import top_up_pb2
from edge_bot.pack.payload import Payload
from tests.contract.edge_harness import CHAT, Harness, harness, until
from tests.contract.edge_wallet import WalletDesk
from tests.contract.test_edge_process import Process
from tests.contract.test_edge_process import running as running_edge
from tests.integration.sandbox_telegram import Json

OWNER = f"telegram:{CHAT}"


@pytest.fixture
async def edge() -> AsyncIterator[Harness]:
    async with harness(webhook_retry_s=0.1) as made:
        await made.telegram.started(CHAT, language_code="en")
        yield made


@asynccontextmanager
async def running(edge: Harness, *, is_webhook: bool = False) -> AsyncIterator[Process]:
    """Run an edge that may poll at once, whoever was killed before."""
    edge.service.edge.holder = ""
    async with running_edge(edge, is_webhook=is_webhook) as process:
        yield process


def wallet(edge: Harness) -> WalletDesk:
    return edge.service.wallet


async def pay(edge: Harness, **order: str) -> Json:
    """Have the small pack paid, with the edge agreeing; return the payment."""
    payload = Payload("small", CHAT).text()
    message = await edge.telegram.invoice(CHAT, stars=50, payload=payload)
    query = await edge.telegram.pay(CHAT, message_id=message["message_id"], **order)
    return await edge.telegram.until_paid(query["pre_checkout_query_id"])


async def has_asked(edge: Harness, method: str) -> bool:
    return bool(wallet(edge).asked(method))


async def thanks(edge: Harness) -> list[Json]:
    return [each for each in await edge.messages() if "+100 credits" in each.get("text", "")]


@pytest.mark.parametrize("is_webhook", [False, True], ids=["polling", "webhook"])
async def test_a_payment_survives_a_kill_before_it_is_credited(
    edge: Harness, is_webhook: bool
) -> None:
    wallet(edge).hangs.add("RecordTopUp")
    async with running(edge, is_webhook=is_webhook) as first:
        payment = await pay(edge, notice="twice")
        await until(lambda: has_asked(edge, "RecordTopUp"))
        await first.end(signal.SIGKILL)
    assert await edge.pending()
    assert not wallet(edge).top_ups
    wallet(edge).hangs.clear()
    async with running(edge, is_webhook=is_webhook):
        await until(lambda: thanks(edge), within_s=20)
        await until(edge.has_confirmed, within_s=20)
    assert [each.external_id for each in wallet(edge).top_ups] == [payment["charge_id"]]
    assert wallet(edge).balances[OWNER] == 100
    assert len(await thanks(edge)) == 1


async def test_a_payment_without_an_update_is_in_what_is_read_at_the_start(edge: Harness) -> None:
    async with running(edge) as first:
        payment = await pay(edge, notice="never")
        await first.end(signal.SIGKILL)
    wallet(edge).stars.clear()
    async with running(edge):
        await until(lambda: is_told(edge, payment["charge_id"]), within_s=10)
    [told] = wallet(edge).stars.values()
    assert (told.user_id, told.amount) == (CHAT, 50)
    assert told.invoice_payload == Payload("small", CHAT).text()
    assert wallet(edge).asked("ReportStarTransactions")[-1].heal


async def is_told(edge: Harness, charge_id: str) -> bool:
    return charge_id in {each.id for each in wallet(edge).stars.values()}


async def test_a_refund_survives_a_kill_before_its_report(edge: Harness) -> None:
    async with running(edge) as first:
        payment = await pay(edge)
        await until(lambda: thanks(edge))
        await first.end(signal.SIGTERM)
    wallet(edge).refund(payment["charge_id"])
    wallet(edge).hangs.add("ReportRefund")
    async with running(edge) as second:
        await until(lambda: has_asked(edge, "ReportRefund"), within_s=10)
        await second.end(signal.SIGKILL)
    wallet(edge).hangs.clear()
    wallet(edge).expire_leases()
    async with running(edge):
        await until(lambda: is_refunded(edge), within_s=10)
        await until(lambda: is_refund_told(edge), within_s=10)
    refunds = await edge.telegram.calls("refundStarPayment")
    assert [each["status"] for each in refunds] == [200, 400]
    assert len([each for each in await edge.messages() if "refunded_payment" in each]) == 1


async def is_refunded(edge: Harness) -> bool:
    return wallet(edge).top_ups[0].state == top_up_pb2.TOP_UP_STATE_REFUNDED


async def is_refund_told(edge: Harness) -> bool:
    return any("went back to you" in each.get("text", "") for each in await edge.messages())
