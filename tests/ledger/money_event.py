"""What can happen to wallets: payments and their way back, gifts, prices, imports, blocks."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from random import Random
from uuid import uuid4

from generation_svc.domain.money import MarginRule, MarginScope
from generation_svc.engine.maintenance.receipts import number_receipts
from generation_svc.usecase.money.block_owner import Block, block_owner
from generation_svc.usecase.money.grant_credits import GrantRequest, grant_credits
from generation_svc.usecase.money.import_balances import ImportBatch, import_balances, undo_import
from generation_svc.usecase.money.lease_refund import RefundReport, lease_refunds, report_refund
from generation_svc.usecase.money.read_stars import StarPage, report_stars
from generation_svc.usecase.money.record_top_up import record_top_up
from generation_svc.usecase.money.refund_top_up import Refund, refund_top_up
from generation_svc.usecase.money.set_sales import set_sales
from tests.ledger.ground import PACKS
from tests.ledger.payment import BOT, any_balance, any_payment, lines, payment_of, said
from tests.ledger.world import OWNERS, PAYERS, Events, Paid
from tests.lifecycle import CALLER, Harness

HOST = "sandbox"


class MoneyEvents(Events):
    """Everything that can happen to a wallet without a job."""

    async def begin(self) -> None:
        """Have one owner buy something."""
        paid = Paid(payment_of(OWNERS[1], PACKS[1], self.name("charge")))
        self.payments.append(paid)
        await self._tell(paid)

    async def pay(self, random: Random, is_twice: bool) -> None:
        """Have somebody pay, and the update come twice, at once, later, or only in the list."""
        paid = Paid(any_payment(random, self.name("charge")), is_listed=random.random() < 0.9)
        self.payments.append(paid)
        if random.random() < 0.2 and paid.payment.is_stars and paid.is_listed:
            return  # the update is lost
        if is_twice and random.random() < 0.5:
            await self.at_once(self._tell(paid), self._tell(paid))
        else:
            for _ in range(1 + is_twice):
                await self._tell(paid)

    async def _tell(self, paid: Paid) -> None:
        """Tell a payment; whatever happened before, that is an answer with its top-up."""
        assert await self.do(partial(self._record, paid))

    async def _record(self, paid: Paid, bench: Harness) -> bool:
        host = HOST if paid.payment.is_stars else ""
        payment = paid.payment
        told = await record_top_up(bench.deps, CALLER, payment=payment, telegram_host=host)
        assert paid.top_up is None or paid.top_up.id == told.top_up.id
        paid.top_up = told.top_up
        return True

    async def tell_again(self, random: Random, _: bool) -> None:
        """Have an old update come once more."""
        if self.payments:
            await self._tell(random.choice(self.payments))

    async def refund(self, random: Random, is_forced: bool) -> None:
        await self._take_back(random, is_forced=is_forced, is_charged_back=False)

    async def charge_back(self, random: Random, _: bool) -> None:
        await self._take_back(random, is_forced=False, is_charged_back=True)

    async def _take_back(self, random: Random, *, is_forced: bool, is_charged_back: bool) -> None:
        known = [each for each in self.payments if each.top_up]
        if known:
            paid = random.choice(known)
            refund = Refund(CALLER, str(paid.top_up and paid.top_up.id), "asked")
            refund = replace(refund, is_forced=is_forced, is_charged_back=is_charged_back)
            paid.is_back |= is_charged_back
            await self.do(lambda bench: refund_top_up(bench.deps, refund))

    async def return_stars(self, random: Random, is_heard: bool) -> None:
        """Return what waits for that, as a bot does; its report may be lost."""
        leased = await self.do(
            lambda bench: lease_refunds(bench.deps, CALLER, bot_id=BOT, limit=10)
        )
        for each in leased or ():
            (paid,) = (p for p in self.payments if p.payment.external_id == each.external_id)
            report = RefundReport(CALLER, str(each.id), str(each.lease_token), said(random, paid))
            if is_heard:
                await self.do(partial(_report, report))

    async def take_by_telegram(self, random: Random, _: bool) -> None:
        """Have Telegram take a payment back, which nobody is told of but by its list."""
        if self.payments:
            random.choice(self.payments).is_back = True

    async def list_stars(self, _: Random, __: bool) -> None:
        """Have the edge read Telegram's list, and what the ledger lacks booked."""
        listed = [each for each in self.payments if each.is_listed and each.payment.is_stars]
        told = [line for number, each in enumerate(listed) for line in lines(each, number)]
        page = StarPage(BOT, HOST, 0, told[:99], heal=True)
        await self.do(lambda bench: report_stars(bench.deps, CALLER, page=page))

    async def number(self, _: Random, __: bool) -> None:
        await self.do(lambda bench: number_receipts(bench.deps))

    async def grant(self, random: Random, is_given: bool) -> None:
        """Give somebody credits, or take what is left of them; the call may come twice."""
        credits_ = random.choice((3, 40)) if is_given else random.choice((-5, -5, -500))
        request = GrantRequest(CALLER, self.name("grant"), random.choice(PAYERS), credits_, "so")
        for _ in range(random.choice((1, 1, 2))):
            await self.do(lambda bench: grant_credits(bench.deps, request))

    async def bring(self, random: Random, is_new: bool) -> None:
        """Import balances of an earlier bot, perhaps those of an earlier batch once more."""
        if is_new or not self.batches:
            rows = [any_balance(random) for _ in range(random.randint(1, 3))]
            self.batches.append(ImportBatch(uuid4(), rows, Decimal("0.5"), "we moved"))
        batch = random.choice(self.batches)
        await self.do(lambda bench: import_balances(bench.deps, CALLER, batch=batch, apply=True))

    async def undo(self, random: Random, _: bool) -> None:
        if self.batches:
            batch = random.choice(self.batches).id
            undone = partial(undo_import, batch_id=batch, reason="no")
            await self.do(lambda bench: undone(bench.deps, CALLER))

    async def block(self, random: Random, is_blocked: bool) -> None:
        block = Block(random.choice(PAYERS), is_blocked and random.random() < 0.5, "why")
        await self.do(lambda bench: block_owner(bench.deps, CALLER, block=block))

    async def close(self, random: Random, is_closed: bool) -> None:
        """Close sales, or rather open them."""
        is_open = not is_closed or random.random() < 0.5
        sales = partial(set_sales, is_open=is_open, reason="a walk")
        await self.do(lambda bench: sales(bench.deps, CALLER))
        self.ground.expire()

    async def reprice(self, random: Random, _: bool) -> None:
        margin = Decimal(random.choice(("0.0371", "1", "1", "1.5", "3")))
        rule = MarginRule(MarginScope.DEFAULT, "", margin, "operator", "it moved")
        await self.do(partial(_reprice, rule))
        self.ground.expire()

    async def new_month(self, _: Random, __: bool) -> None:
        """Have a month begin: all that was lent was lent in an earlier one."""
        if not self.is_together:
            bench = self.ground.harness
            await bench.query("UPDATE wallet SET lent_month = lent_month - interval '1 month'")
            await bench.query("UPDATE hold SET create_time = create_time - interval '1 month'")


async def _reprice(rule: MarginRule, bench: Harness) -> None:
    async with bench.transaction() as tx:
        await tx.money.add_margin(rule)


async def _report(report: RefundReport, bench: Harness) -> None:
    await report_refund(bench.deps, report)
