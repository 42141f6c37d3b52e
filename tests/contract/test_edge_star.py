"""Refunds are made, payments are kept until they are recorded, and Telegram's list is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc
import pytest
from telegram import Update
from telegram.error import NetworkError

from atelier.wallet.v1 import star_transaction_pb2 as star_pb
from atelier.wallet.v1 import top_up_pb2
from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import TopUp
from edge_bot.pack.payload import Payload
from edge_bot.update import polling
from edge_bot.update.lease import PollingLease
from generation_client import GenerationError
from tests.contract.edge_harness import BOT_ID, CHAT, Harness, harness, until
from tests.contract.edge_wallet import WalletDesk
from tests.integration.sandbox_telegram import Json
from tests.integration.star_partner import TRANSACTIONS

OWNER = f"telegram:{CHAT}"


@pytest.fixture
async def edge() -> AsyncIterator[Harness]:
    async with harness() as made:
        await made.telegram.started(CHAT)
        yield made


def wallet(edge: Harness) -> WalletDesk:
    return edge.service.wallet


async def paid(edge: Harness, *, is_recorded: bool = True) -> str:
    """Have a payment made, and recorded; return its charge."""
    payload = Payload("small", CHAT).text()
    message = await edge.telegram.invoice(CHAT, stars=50, payload=payload)
    payment = await edge.telegram.paid(CHAT, message_id=message["message_id"])
    if is_recorded:
        request = pb.RecordTopUpRequest(
            provider="telegram_stars",
            external_id=payment["charge_id"],
            owner=OWNER,
            pack_id="small",
            amount=50,
            currency="XTR",
            telegram_host="127.0.0.1",
            bot_id=BOT_ID,
        )
        await edge.client.wallet.RecordTopUp(request)
    return str(payment["charge_id"])


async def reports(edge: Harness) -> list[pb.ReportRefundRequest]:
    return wallet(edge).asked("ReportRefund")


def state(edge: Harness) -> int:
    return wallet(edge).top_ups[0].state


async def test_a_refund_is_made_and_reported(edge: Harness) -> None:
    charge_id = await paid(edge)
    wallet(edge).refund(charge_id)
    async with edge.running(edge.refund_worker()):
        await until(lambda: reports(edge))
    assert state(edge) == top_up_pb2.TOP_UP_STATE_REFUNDED
    [call] = await edge.telegram.calls("refundStarPayment")
    assert call["params"]["telegram_payment_charge_id"] == charge_id
    assert int(call["params"]["user_id"]) == CHAT


async def test_who_was_not_told_of_a_payment_is_told_until_it_is_reported(edge: Harness) -> None:
    await paid(edge)
    [top_up] = wallet(edge).top_ups
    wallet(edge).untold.add(top_up.id)
    tries = 0

    async def tell(told: TopUp) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise NetworkError("away")
        await edge.tell(told)

    async with edge.running(edge.refund_worker(tell=tell)):
        await until(lambda: is_known(edge))
    assert {each.id for each in edge.told} == {top_up.id}
    [report] = wallet(edge).asked("ReportTold")
    assert (report.top_up_id, report.state) == (top_up.id, top_up_pb2.TOP_UP_STATE_CREDITED)


async def is_known(edge: Harness) -> bool:
    return not wallet(edge).untold


async def test_a_refund_that_was_made_before_is_a_success(edge: Harness) -> None:
    charge_id = await paid(edge)
    wallet(edge).refund(charge_id)
    await edge.telegram.result(
        "refundStarPayment", user_id=CHAT, telegram_payment_charge_id=charge_id
    )
    async with edge.running(edge.refund_worker()):
        [report] = await until(lambda: reports(edge))
    assert (report.error, state(edge)) == ("", top_up_pb2.TOP_UP_STATE_REFUNDED)


async def test_what_telegram_refuses_is_reported_in_its_words(edge: Harness) -> None:
    wallet(edge).refund(await paid(edge))
    wallet(edge).top_ups[0].external_id = "stx-unknown"
    async with edge.running(edge.refund_worker()):
        report = (await until(lambda: reports(edge)))[0]
    assert report.error.lower() == "charge_not_found"
    assert state(edge) == top_up_pb2.TOP_UP_STATE_REFUNDING


@pytest.mark.parametrize("kind", ["answer_lost", "server_error", "too_many_requests"])
async def test_a_refund_in_doubt_is_healed_by_the_next_lease(edge: Harness, kind: str) -> None:
    wallet(edge).refund(await paid(edge))
    await edge.telegram.fault(kind=kind, method="refundStarPayment", times=1, retry_after=1)
    async with edge.running(edge.refund_worker()):
        await edge.telegram.until_called("refundStarPayment", is_over=True)
        assert not await reports(edge)
        wallet(edge).expire_leases()
        [report] = await until(lambda: reports(edge))
    assert (report.error, state(edge)) == ("", top_up_pb2.TOP_UP_STATE_REFUNDED)


async def test_a_report_is_made_again_until_the_service_takes_it(edge: Harness) -> None:
    wallet(edge).refund(await paid(edge))
    wallet(edge).refuse_with("ReportRefund", "", grpc.StatusCode.UNAVAILABLE)
    async with edge.running(edge.refund_worker()):
        await until(lambda: reports(edge))
        wallet(edge).refusals.clear()
        await until(lambda: is_refunded(edge))


async def is_refunded(edge: Harness) -> bool:
    return state(edge) == top_up_pb2.TOP_UP_STATE_REFUNDED


async def test_an_order_to_read_the_stars_is_news(edge: Harness) -> None:
    news = asyncio.Event()
    wallet(edge).reads_stars = True
    async with edge.running(edge.refund_worker(star_news=news)):
        await asyncio.wait_for(news.wait(), 5)


async def test_nothing_is_leased_where_there_is_no_money(edge: Harness) -> None:
    wallet(edge).is_off = True
    async with edge.running(edge.refund_worker()), edge.running(edge.star_reader()):
        await until(lambda: has_asked(edge, "ListPacks"))
    assert not wallet(edge).asked("LeaseRefunds")
    assert not await edge.telegram.calls("getStarTransactions")


async def has_asked(edge: Harness, method: str, times: int = 1) -> bool:
    return len(wallet(edge).asked(method)) >= times


async def enter(edge: Harness, transaction: Json) -> str:
    response = await edge.telegram.http.post("/sandbox/transactions", json=transaction)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


PARTNERS = {
    "user": star_pb.STAR_PARTNER_USER,
    "chat": star_pb.STAR_PARTNER_CHAT,
    "fragment": star_pb.STAR_PARTNER_FRAGMENT,
    "telegram_ads": star_pb.STAR_PARTNER_TELEGRAM_ADS,
    "telegram_api": star_pb.STAR_PARTNER_TELEGRAM_API,
    "affiliate_program": star_pb.STAR_PARTNER_AFFILIATE_PROGRAM,
    "other": star_pb.STAR_PARTNER_OTHER,
}


@pytest.mark.parametrize("kind", TRANSACTIONS)
async def test_every_transaction_is_told_whole(edge: Harness, kind: str) -> None:
    given = TRANSACTIONS[kind]
    number = await enter(edge, given)
    async with edge.running(edge.star_reader()):
        await until(lambda: has_asked(edge, "ReportStarTransactions"))
    [told] = wallet(edge).stars.values()
    partner = given.get("source") or given["receiver"]
    assert (told.id, told.is_incoming) == (number, "source" in given)
    assert (told.amount, told.nanostar_amount) == (given["amount"], given.get("nanostar_amount", 0))
    assert told.partner == PARTNERS[partner["type"]]
    assert told.transaction_type == partner.get("transaction_type", "")
    assert told.user_id == partner.get("user", {}).get("id", 0)
    assert told.invoice_payload == partner.get("invoice_payload", "")
    shown = json.loads(told.document_json)
    assert shown["date"] == told.time.seconds
    assert partner.keys() <= (shown.get("source") or shown["receiver"]).keys()


async def test_the_list_is_read_page_by_page_from_where_it_was_left(edge: Harness) -> None:
    numbers = [await enter(edge, TRANSACTIONS["gift"]) for _ in range(230)]
    wallet(edge).offset = 10
    async with edge.running(edge.star_reader()):
        await until(lambda: has_asked(edge, "ReportStarTransactions", 3))
    asked = wallet(edge).asked("ReportStarTransactions")
    assert [(each.offset, len(each.transactions)) for each in asked] == [
        (10, 100),
        (110, 100),
        (210, 20),
    ]
    told = {each.id for each in wallet(edge).stars.values()}
    assert told == set(numbers[10:])
    assert all(each.heal and each.telegram_host == "127.0.0.1" for each in asked)


async def test_a_cursor_that_stays_ends_the_reading(edge: Harness) -> None:
    for _ in range(100):
        await enter(edge, TRANSACTIONS["gift"])
    wallet(edge).is_stuck = True
    async with edge.running(edge.star_reader()):
        await until(lambda: has_asked(edge, "ReportStarTransactions"))
        await until(lambda: has_given_up(edge))
    assert len(wallet(edge).asked("ReportStarTransactions")) == 1


async def has_given_up(edge: Harness) -> bool:
    return not edge.service.edge.holder


async def test_news_is_read_at_once(edge: Harness) -> None:
    news = asyncio.Event()
    async with edge.running(edge.star_reader(news=news, heals=False)):
        await until(lambda: has_asked(edge, "ReportStarTransactions"))
        charge_id = await paid(edge, is_recorded=False)
        news.set()
        await until(lambda: has_asked(edge, "ReportStarTransactions", 2))
    assert charge_id in {each.id for each in wallet(edge).stars.values()}
    assert not wallet(edge).asked("ReportStarTransactions")[-1].heal


async def test_only_who_may_poll_reads(edge: Harness) -> None:
    lease = PollingLease(edge.client, bot_id=BOT_ID, clock=edge.clock)
    reader = edge.star_reader(lease=lease, is_polling=True, read_s=0.02)
    async with edge.running(reader):
        await until(lambda: has_asked(edge, "ListPacks"))
        assert not wallet(edge).asked("GetStarCursor")
        await lease.take()
        await until(lambda: has_asked(edge, "ReportStarTransactions"))
        assert lease.is_held


async def test_the_list_is_read_again_after_telegram_was_away(edge: Harness) -> None:
    await edge.telegram.fault(kind="server_error", method="getStarTransactions", times=2)
    async with edge.running(edge.star_reader(read_s=0.02)):
        await until(lambda: has_asked(edge, "ReportStarTransactions"))


@dataclass
class Recorder:
    """Handles updates as if the service were away for some time."""

    failures: int
    recorded: list[str] = field(default_factory=list)

    async def __call__(self, update: Update) -> None:
        message = update.message
        if message is None or message.successful_payment is None:
            return
        if self.failures:
            self.failures -= 1
            raise GenerationError(code=grpc.StatusCode.UNAVAILABLE)
        self.recorded.append(message.successful_payment.telegram_payment_charge_id)

    async def has_recorded(self) -> bool:
        return bool(self.recorded)


async def test_a_payment_is_kept_longer_than_any_other_update(
    edge: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "MAX_WAIT_S", 0.01)
    charge_id = await paid(edge, is_recorded=False)
    recorder = Recorder(failures=30)
    async with edge.polling(recorder):
        await until(recorder.has_recorded)
        await until(edge.has_confirmed)
    assert recorder.recorded == [charge_id]


async def test_a_payment_that_was_not_recorded_comes_again_after_a_kill(edge: Harness) -> None:
    charge_id = await paid(edge, is_recorded=False)
    first, second = Recorder(failures=10**6), Recorder(failures=0)
    poller = asyncio.create_task(edge.poller(first).run(asyncio.Event()))
    await until(lambda: has_failed(first))
    poller.cancel()
    await asyncio.wait((poller,))
    edge.service.edge.holder = ""
    async with edge.polling(second):
        await until(edge.has_confirmed)
    assert (first.recorded, second.recorded) == ([], [charge_id])


async def has_failed(recorder: Recorder) -> bool:
    return recorder.failures < 10**6


async def test_a_payment_stays_at_telegram_while_service_and_right_are_gone(edge: Harness) -> None:
    charge_id = await paid(edge, is_recorded=False)
    recorder = Recorder(failures=10**6)
    async with edge.polling(recorder, lease_s=0.3):
        await until(lambda: has_failed(recorder))
        edge.service.edge.is_refusing = True
        await until(lambda: has_released(edge))
        assert await edge.pending()  # nothing but the record of it may confirm it
        recorder.failures, edge.service.edge.is_refusing = 0, False
        await until(recorder.has_recorded)
        await until(edge.has_confirmed)
    assert recorder.recorded == [charge_id]


async def has_released(edge: Harness) -> bool:
    """Whether the poller has given up the right that it could not keep."""
    return any(not lease_s for _, lease_s in edge.service.edge.asked)
