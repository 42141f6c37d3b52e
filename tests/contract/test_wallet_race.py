"""All that moves an owner's money at once, from fifty connections, while jobs run and end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import psycopg
from google.protobuf.timestamp_pb2 import Timestamp

from atelier.generation.v1 import generation_service_pb2 as generation_pb
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.star_transaction_pb2 import STAR_PARTNER_USER, StarTransaction
from atelier.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from generation_svc.domain.ledger_audit import Rule
from generation_svc.lifecycle.ledger_audit import check_ledger
from generation_svc.rpc.deadline import limiting
from tests.contract.failure import refusal_of_error
from tests.contract.service import Service, sandbox_kie, serving, struct

OWNER, BOT, HOST = "telegram:7", 9, "telegram.example"
CONNECTIONS, CALLS = 50, 14
SEED = 7
CHARGES = 60
"""How many payments there are, of which each is recorded, listed and taken back many times."""
REFUSALS = {
    "INSUFFICIENT_CREDITS",
    "OWNER_BLOCKED",
    "STALE_LEASE",
    "TOP_UP_SPENT",
    "JOB_NOT_FOUND",
}
"""What such calls may be refused with."""
PATIENT = limiting({}, ordinary=timedelta(minutes=10))
"""All want one wallet: how long somebody waits for it depends on the machine."""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@dataclass
class Crowd:
    """Customers, a bot and operators, who all want something of one owner."""

    chance: random.Random
    told: Counter[str] = field(default_factory=Counter)
    top_ups: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)

    async def one(self, channel: grpc.aio.Channel) -> None:
        """Do one thing after another on a connection of one's own."""
        wallet, generation = WalletServiceStub(channel), GenerationServiceStub(channel)
        doings: list[Callable[[], Awaitable[Any]]] = [
            lambda: self._pay(wallet),
            lambda: self._pay(wallet),
            lambda: self._refund(wallet),
            lambda: self._refund(wallet),
            lambda: self._return(wallet),
            lambda: wallet.ReportStarTransactions(self._listed()),
            lambda: wallet.GrantCredits(self._gift()),
            lambda: self._create(generation),
            lambda: self._create(generation),
            lambda: self._create(generation),
            lambda: generation.CancelJob(
                generation_pb.CancelJobRequest(job_id=self.chance.choice(self.jobs or ["none"]))
            ),
            lambda: wallet.BlockOwner(
                pb.BlockOwnerRequest(
                    owner=OWNER, is_blocked=self.chance.random() < 0.2, reason="a test"
                )
            ),
            lambda: wallet.ListTopUps(pb.ListTopUpsRequest(owner=OWNER)),
        ]
        for _ in range(CALLS):
            await self._noted(self.chance.choice(doings))

    async def _noted(self, do: Callable[[], Awaitable[Any]]) -> None:
        try:
            await do()
        except grpc.aio.AioRpcError as error:
            self.told[refusal_of_error(error).reason or error.code().name] += 1
        else:
            self.told["OK"] += 1

    def _charge(self) -> str:
        return f"charge-{self.chance.randrange(CHARGES)}"

    async def _pay(self, wallet: Any) -> None:
        paid = pb.RecordTopUpRequest(
            provider="telegram_stars",
            external_id=self._charge(),
            owner=OWNER,
            pack_id="small",
            amount=100,
            currency="XTR",
            telegram_host=HOST,
            bot_id=BOT,
        )
        self.top_ups.append((await wallet.RecordTopUp(paid)).top_up.id)

    async def _refund(self, wallet: Any) -> None:
        if self.top_ups:
            request = pb.RefundTopUpRequest(
                top_up_id=self.chance.choice(self.top_ups),
                reason="a test",
                is_forced=self.chance.random() < 0.5,
                is_charged_back=self.chance.random() < 0.3,
            )
            await wallet.RefundTopUp(request)

    async def _return(self, wallet: Any) -> None:
        """Do as a bot does, to which Telegram answers one thing or another."""
        leased = await wallet.LeaseRefunds(pb.LeaseRefundsRequest(bot_id=BOT, max_count=3))
        for each in leased.refunds:
            error = self.chance.choice(("", "CHARGE_ALREADY_REFUNDED", "CHARGE_NOT_FOUND"))
            report = pb.ReportRefundRequest(
                top_up_id=each.top_up.id, lease_token=each.lease_token, error=error
            )
            await wallet.ReportRefund(report)

    def _listed(self) -> pb.ReportStarTransactionsRequest:
        charges = sorted({self._charge() for _ in range(5)})
        told = [
            StarTransaction(
                id=charge,
                is_incoming=self.chance.random() < 0.7,
                amount=100,
                time=Timestamp(seconds=1_760_000_000 + int(charge.rpartition("-")[2])),
                partner=STAR_PARTNER_USER,
                user_id=7,
                transaction_type="invoice_payment",
                invoice_payload="topup:1:small:7",
            )
            for charge in charges
        ]
        return pb.ReportStarTransactionsRequest(
            bot_id=BOT, telegram_host=HOST, transactions=told, heal=True
        )

    def _gift(self) -> pb.GrantCreditsRequest:
        return pb.GrantCreditsRequest(
            request_id=f"{self.chance.random()}",
            owner=OWNER,
            credits=self.chance.choice((-20, -5, 10, 30)),
            reason="a gift",
        )

    async def _create(self, generation: Any) -> None:
        wish = generation_pb.CreateJobRequest(
            model_id="google/imagen4", inputs=struct({"prompt": "a cat"}), owner=OWNER
        )
        self.jobs.append((await generation.CreateJob(wish)).job.id)


async def rush(service: Service, *, seed: int) -> Crowd:
    crowd, apart = Crowd(random.Random(seed)), [("grpc.use_local_subchannel_pool", 1)]
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(service.address, apart))
            for _ in range(CONNECTIONS)
        ]
        await asyncio.gather(*map(crowd.one, channels))
    return crowd


async def test_all_that_moves_money_at_once_ends_and_the_ledger_agrees(
    database_url: str, tmp_path: Path
) -> None:
    more = {"money": "test", "star_packs": "small=100:100"}
    async with (
        sandbox_kie() as url,
        serving(
            database_url, tmp_path, kie_url=url, more_settings=more, around=(PATIENT,)
        ) as service,
    ):
        crowd = await rush(service, seed=SEED)
        report = await check_ledger(service.database)

    assert set(crowd.told) <= {"OK", *REFUSALS}
    assert sum(crowd.told.values()) == CONNECTIONS * CALLS
    # The list that the bot told is made up, so that only what it says itself may differ.
    differences = [
        each for each in report.differences if each.rule not in (Rule.STAR, Rule.STAR_SEEN)
    ]
    assert differences == []
    # After the service, whose connections tell what they counted at their end.
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        row = await (await connection.execute(DEADLOCKS)).fetchone()
    assert row == (0,)
