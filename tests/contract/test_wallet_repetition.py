"""A call about money that is made again, at once, cut off or after a restart has one effect."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.timestamp_pb2 import Timestamp

from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.imported_balance_pb2 import ImportedBalance
from atelier.wallet.v1.star_transaction_pb2 import (
    STAR_PARTNER_OTHER,
    STAR_PARTNER_USER,
    StarTransaction,
)
from atelier.wallet.v1.top_up_pb2 import TopUp
from atelier.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from generation_svc.lifecycle.ledger_audit import check_ledger
from tests.contract.failure import refused
from tests.contract.service import Service, serving

OWNER, BOT, HOST = "telegram:7", 9, "telegram.example"
BATCH = "0198c0de-0000-7000-8000-000000000001"
AT_ONCE = 20
LONGEST_CUT_S = 0.05
SERVICE = pb.DESCRIPTOR.services_by_name["WalletService"]
Stub = Any
"""A stub of the service; its calls are typed by their names alone here."""


def stars(charge: str = "charge-1", **fields: Any) -> pb.RecordTopUpRequest:
    paid: dict[str, Any] = {"pack_id": "small", "amount": 100, "currency": "XTR", "bot_id": BOT}
    return pb.RecordTopUpRequest(
        provider="telegram_stars",
        external_id=charge,
        telegram_host=HOST,
        **({"owner": OWNER} | paid | fields),
    )


CARD = pb.RecordTopUpRequest(
    provider="card", external_id="1", owner="web:1", credits=5, amount=50, currency="EUR"
)


def gift(**fields: Any) -> pb.GrantCreditsRequest:
    usual: dict[str, Any] = {"request_id": "g-1", "owner": OWNER, "credits": 10, "reason": "a gift"}
    return pb.GrantCreditsRequest(**(usual | fields))


async def record(stub: Stub) -> TopUp:
    made: TopUp = (await stub.RecordTopUp(stars())).top_up
    return made


async def a_refund(stub: Stub) -> pb.RefundTopUpRequest:
    return pb.RefundTopUpRequest(top_up_id=(await record(stub)).id, reason="disliked")


async def a_charge_back(stub: Stub) -> pb.RefundTopUpRequest:
    top_up = await record(stub)
    return pb.RefundTopUpRequest(top_up_id=top_up.id, reason="gone", is_charged_back=True)


async def a_report(stub: Stub) -> pb.ReportRefundRequest:
    await stub.RefundTopUp(await a_refund(stub))
    (leased,) = (await stub.LeaseRefunds(pb.LeaseRefundsRequest(bot_id=BOT))).refunds
    return pb.ReportRefundRequest(top_up_id=leased.top_up.id, lease_token=leased.lease_token)


async def an_import(stub: Stub) -> pb.ImportBalancesRequest:
    rows = [
        ImportedBalance(source="old", user_id=f"{n}", amount="5", currency="RUB")
        for n in range(1, 31)
    ]
    return pb.ImportBalancesRequest(
        batch_id=BATCH, balances=rows, rate="2", apply=True, reason="a move"
    )


async def an_undoing(stub: Stub) -> pb.UndoImportRequest:
    await stub.ImportBalances(await an_import(stub))
    return pb.UndoImportRequest(batch_id=BATCH, reason="a mistake")


async def a_page(stub: Stub) -> pb.ReportStarTransactionsRequest:
    told = StarTransaction(
        id="charge-1",
        is_incoming=True,
        amount=100,
        time=Timestamp(seconds=int(datetime(2026, 11, 29, tzinfo=UTC).timestamp())),
        partner=STAR_PARTNER_USER,
        user_id=7,
        transaction_type="invoice_payment",
        invoice_payload="topup:1:small:7",
    )
    return pb.ReportStarTransactionsRequest(
        bot_id=BOT, telegram_host=HOST, transactions=[told], heal=True
    )


async def a_told_one(stub: Stub) -> pb.ReportToldRequest:
    return pb.ReportToldRequest(top_up_id=(await record(stub)).id)


async def a_gift(stub: Stub) -> pb.SettleStarTransactionRequest:
    told = StarTransaction(id="gift-1", is_incoming=True, amount=70, partner=STAR_PARTNER_OTHER)
    page = pb.ReportStarTransactionsRequest(bot_id=BOT, telegram_host=HOST, transactions=[told])
    await stub.ReportStarTransactions(page)
    return pb.SettleStarTransactionRequest(
        bot_id=BOT,
        transaction_id="gift-1",
        is_incoming=True,
        credit=pb.StarCredit(owner=OWNER, credits=77),
        reason="he sent a photo of it",
    )


@dataclass(frozen=True)
class Case:
    rpc: str
    prepare: Callable[[Stub], Awaitable[Any]]
    moves: int
    """How many transfers it makes."""


async def ready(stub: Stub, *, request: Any) -> Any:
    return request


def simply(request: Any) -> Callable[[Stub], Awaitable[Any]]:
    return lambda stub: ready(stub, request=request)


CASES = [
    Case("RecordTopUp", simply(stars()), 2),
    Case("RecordTopUp", simply(CARD), 1),
    Case("RefundTopUp", a_refund, 1),
    Case("RefundTopUp", a_charge_back, 2),
    Case("ReportRefund", a_report, 1),
    Case("ReportStarTransactions", a_page, 2),
    Case("ReportTold", a_told_one, 0),
    Case("GrantCredits", simply(gift()), 1),
    Case("BlockOwner", simply(pb.BlockOwnerRequest(owner=OWNER, is_blocked=True, reason="x")), 0),
    Case("SetMargin", simply(pb.SetMarginRequest(factor="1.5", reason="a test")), 0),
    Case("ImportBalances", an_import, 30),
    Case("UndoImport", an_undoing, 30),
    Case("HealStars", simply(pb.HealStarsRequest(bot_id=BOT, reason="updates were lost")), 0),
    Case("SettleStarTransaction", a_gift, 2),
    Case("SetSales", simply(pb.SetSalesRequest(reason="a test")), 0),
]


def test_every_call_that_changes_something_is_tried() -> None:
    changing = {
        each.name
        for each in SERVICE.methods
        if each.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS
    }
    assert {each.rpc for each in CASES} == changing - {"LeaseRefunds"}


@asynccontextmanager
async def desks(
    database_url: str, folder: Path, *, count: int = 1
) -> AsyncIterator[tuple[Service, list[Stub]]]:
    """Start a service, and open so many connections to it."""
    more = {"money": "test", "star_packs": "small=100:100"}
    apart = [("grpc.use_local_subchannel_pool", 1)]
    async with AsyncExitStack() as stack:
        served = serving(database_url, folder, more_settings=more)
        service = await stack.enter_async_context(served)
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(service.address, apart))
            for _ in range(count)
        ]
        yield service, [WalletServiceStub(each) for each in channels]


async def standing(database_url: str) -> list[Any]:
    """Return what there is of money: transfers, wallets, top-ups, margins that hold, sales."""
    queries = (
        "SELECT kind, source, target, amount, owner, cause FROM transfer ORDER BY id",
        "SELECT owner, granted, paid, held, debt, is_blocked FROM wallet ORDER BY owner",
        "SELECT external_id, state, refund_count FROM top_up ORDER BY id",
        "SELECT DISTINCT scope, scope_id, margin FROM margin_rule ORDER BY scope, scope_id, margin",
        "SELECT sales_closed_reason FROM money_state",
    )
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        return [await (await connection.execute(each)).fetchall() for each in queries]


async def cut_off(call: grpc.aio.UnaryUnaryCall[Any, Any], *, after_s: float) -> str:
    """Give a call up after a while, wherever it is then; return what came of it."""
    try:
        async with asyncio.timeout(after_s):
            await call
    except TimeoutError:
        return "CANCELLED"
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


@pytest.mark.parametrize("case", CASES, ids=lambda each: f"{each.rpc}-{each.moves}")
async def test_a_call_made_many_times_has_one_effect(
    database_url: str, tmp_path: Path, case: Case
) -> None:
    chance = random.Random(case.rpc)
    async with desks(database_url, tmp_path, count=AT_ONCE) as (service, stubs):
        request = await case.prepare(stubs[0])
        before = await standing(database_url)
        cuts = [chance.uniform(0, LONGEST_CUT_S) for _ in stubs]
        told = await asyncio.gather(
            *(
                cut_off(getattr(stub, case.rpc)(request), after_s=cut)
                for stub, cut in zip(stubs, cuts, strict=True)
            )
        )
        assert set(told) <= {"OK", "CANCELLED"}
        answers = await asyncio.gather(*(getattr(stub, case.rpc)(request) for stub in stubs))
        after = await standing(database_url)
        assert len(after[0]) - len(before[0]) == case.moves
        assert not any(getattr(each, "is_new", False) for each in answers) or "CANCELLED" in told
    async with desks(database_url, tmp_path) as (service, [stub]):
        await getattr(stub, case.rpc)(request)
        assert await standing(database_url) == after
        assert (await check_ledger(service.database)).differences == ()


async def test_a_refund_is_leased_to_one_of_many(database_url: str, tmp_path: Path) -> None:
    async with desks(database_url, tmp_path, count=AT_ONCE) as (_, stubs):
        await stubs[0].RefundTopUp(await a_refund(stubs[0]))
        request = pb.LeaseRefundsRequest(bot_id=BOT, max_count=20)
        answers = await asyncio.gather(*(stub.LeaseRefunds(request) for stub in stubs))
        assert sum(len(each.refunds) for each in answers) == 1


OTHERS = {
    "owner of a top-up": ("RecordTopUp", stars(), stars(owner="telegram:8"), "TOP_UP_REUSED"),
    "owner of a grant": ("GrantCredits", gift(), gift(owner="web:2"), "REQUEST_ID_REUSED"),
    "credits of a grant": ("GrantCredits", gift(), gift(credits=11), "REQUEST_ID_REUSED"),
    "sign of a grant": ("GrantCredits", gift(), gift(credits=-10), "REQUEST_ID_REUSED"),
}


@pytest.mark.parametrize(("rpc", "first", "other", "reason"), OTHERS.values(), ids=OTHERS)
async def test_one_of_two_that_differ_is_made_and_the_other_refused(
    database_url: str, tmp_path: Path, rpc: str, first: Any, other: Any, reason: str
) -> None:
    async with desks(database_url, tmp_path, count=AT_ONCE) as (service, stubs):
        await getattr(stubs[0], rpc)(first)
        for request in (first, other):
            calls = [getattr(stub, rpc)(request) for stub in stubs]
            if request is first:
                await asyncio.gather(*calls)
                continue
            refusals = await asyncio.gather(*map(refused, calls))
            assert {(each.code, each.reason) for each in refusals} == {
                (grpc.StatusCode.ALREADY_EXISTS, reason)
            }
            fields = {each.metadata["field"] for each in refusals}
            assert fields == {"owner" if request.owner != first.owner else "credits"}
        assert (await check_ledger(service.database)).differences == ()
