"""What the ledger holds once everything is quiet, and the promises about credits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from atelier.wallet.v1 import wallet_service_pb2 as pb
from tests.chaos.ledger import Ledger
from tests.chaos.sale import FACTORS, SHOP, SHOP_CREDITS
from tests.e2e.history import History
from tests.e2e.stack import Stack

LATE_S = 30
"""How long the check of a whole ledger may take."""
_CHARGES = """
SELECT job.id::text AS job_id, hold.owner, job.inputs->>'prompt' AS prompt, job.state,
    hold.state AS hold_state, hold.captured, hold.granted + hold.paid AS held, job.is_ceiling,
    coalesce(hold.promised, 1) AS promised, coalesce(hold.lent, 0) AS lent,
    job.is_free, EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id
        AND attempt.state = 'settled') AS is_stored,
    EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id
        AND attempt.state = 'unknown') AS may_come,
    coalesce(jsonb_array_length(job.result->'media'), 0) AS delivered,
    coalesce((job.result->>'missing_count')::int, 0) AS missing,
    (SELECT coalesce(sum(amount), 0)::bigint FROM transfer
        WHERE cause = job.id::text AND kind = 'hold' AND target = 'held') AS kept,
    (SELECT count(*) FROM transfer WHERE cause = job.id::text AND kind = 'capture') AS captures,
    (SELECT coalesce(sum(amount), 0)::bigint FROM transfer
        WHERE cause = job.id::text AND kind = 'release') AS released,
    EXISTS (SELECT FROM transfer
        WHERE cause = job.id::text AND kind = 'release' AND source = 'income') AS is_late
FROM job LEFT JOIN hold ON hold.job_id = job.id
WHERE hold.job_id IS NOT NULL OR NOT job.is_free
    OR EXISTS (SELECT FROM transfer WHERE cause = job.id::text)
"""
_ACCOUNTS = """
SELECT currency, account, sum(amount)::bigint AS amount FROM (
    SELECT currency, target AS account, amount FROM transfer
    UNION ALL SELECT currency, source, -amount FROM transfer) AS entry GROUP BY currency, account
"""


@dataclass(frozen=True, kw_only=True)
class Charge:
    """A job that is paid for, with what was moved for it."""

    job_id: str
    prompt: str
    state: str
    owner: str | None
    """Who pays; None if nothing was held."""
    hold_state: str | None
    held: int | None
    captured: int | None
    is_free: bool = False
    is_ceiling: bool = False
    is_stored: bool = True
    may_come: bool = False
    """Whether a task of unknown fate may still bring a result, which nobody can ask for."""
    delivered: int = 1
    missing: int = 0
    kept: int = 0
    """What all transfers together kept for it."""
    captures: int = 1
    released: int = 0
    promised: int = 1
    """How many results were agreed to."""
    lent: int = 0
    is_late: bool = False
    """Whether something came back when the cost was told afterwards."""

    @property
    def is_kept(self) -> bool:
        """Whether what it holds is to be kept: it was cancelled, and may bring a result."""
        return self.hold_state == "open" and self.state == "cancelled" and self.may_come


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """What an owner has, by the database's own account."""

    owner: str
    balance: int
    held: int = 0
    debt: int = 0


@dataclass(kw_only=True)
class Money:
    """Everything about credits that the check looks at."""

    charges: list[Charge] = field(default_factory=list)
    wallets: list[Wallet] = field(default_factory=list)
    accounts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What each account of each currency holds by its transfers."""
    differences: list[str] = field(default_factory=list)
    """What CheckLedger found."""

    @property
    def granted(self) -> int:
        """What the house gave."""
        return -self.accounts["credit", "grants"]

    @property
    def income(self) -> int:
        return self.accounts["credit", "income"]

    @property
    def sold(self) -> int:
        """What the house sold, less what went back."""
        return -self.accounts["credit", "exchange"]

    @property
    def balances(self) -> int:
        """What all owners have, less what they owe."""
        return sum(each.balance + each.held - each.debt for each in self.wallets)


async def gather_money(stack: Stack) -> Money:
    """Read the ledger, and have the service check it."""
    found = await stack.client.wallet.CheckLedger(pb.CheckLedgerRequest(), timeout=LATE_S)
    return Money(
        charges=[Charge(**row) for row in await stack.history.rows(_CHARGES)],
        wallets=await _wallets(stack.history),
        accounts=Counter(
            {
                (row["currency"], row["account"]): row["amount"]
                for row in await stack.history.rows(_ACCOUNTS)
            }
        ),
        differences=[f"{each.rule}: {each.subject}: {each.problem}" for each in found.differences],
    )


async def _wallets(history: History) -> list[Wallet]:
    rows = await history.rows("SELECT owner, granted + paid AS balance, held, debt FROM wallet")
    return [Wallet(**row) for row in rows]


def credit_problems(
    money: Money, ledger: Ledger, *, bought: Counter[str]
) -> Iterator[tuple[str, str]]:
    """Give what is wrong with the credits: a subject, and what is so.

    What everybody bought with Stars and kept is what Telegram says.
    """
    for text in money.differences:
        yield "CheckLedger", text
    for charge in money.charges:
        for problem in _wrong(charge):
            yield charge.job_id, problem
    yield from _told_otherwise(money, ledger)
    yield from _over_limit(money)
    yield from _out_of_balance(money, ledger, bought=bought)


def _wrong(charge: Charge) -> Iterator[str]:
    """Give what is wrong with what was charged for a job."""
    if charge.is_free or charge.held is None:
        yield f"is free or without a hold, and moved credits: {charge}"
        return
    if charge.hold_state == "open" and not charge.is_kept:
        yield f"still holds {charge.held} credits, and is {charge.state}"
    if charge.kept != charge.held:
        yield f"holds {charge.held} credits, and {charge.kept} were kept for it"
    if charge.captures > 1:
        yield f"was charged {charge.captures} times"
    if charge.captured and (not charge.is_stored or charge.state == "failed"):
        yield f"was charged {charge.captured} credits and is {charge.state}, with nothing stored"
    if charge.hold_state != "open" and charge.released + (charge.captured or 0) != charge.held:
        yield f"gave back {charge.released} of {charge.held}, of which it took {charge.captured}"
    if charge.state == "succeeded" and not _is_fair(charge):
        yield f"took {charge.captured} of {charge.held} for {charge.delivered} results"


def _is_fair(charge: Charge) -> bool:
    """Return whether a success cost what was agreed; a ceiling is never exceeded."""
    held, captured = charge.held or 0, charge.captured or 0
    if charge.is_ceiling:
        return 0 < captured <= held
    handed = max(charge.promised, charge.delivered + charge.missing)
    return captured == held * charge.delivered // handed


def _told_otherwise(money: Money, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Hold what callers were told to what was held."""
    charged = {ledger.number_of(each.prompt): each for each in money.charges}
    for number, missing in ledger.refused.items():
        if number in charged:
            yield f"order {number}", f"was refused for {missing} credits and has a job"
        if int(missing) <= 0:
            yield f"order {number}", f"was refused though {missing} credits were missing"
    for number in ledger.jobs.keys() & ledger.orders.keys():
        price, sale = ledger.agreed.get(number, 0), ledger.orders[number].sale
        found = charged.get(number)
        if (found.held if found else None) != (price or None):
            yield f"order {number}", f"was made for {price} credits, and {found} is there"
        elif price not in {sale.price(factor) for factor in FACTORS}:
            yield f"order {number}", f"was made for {price} credits, which is no price of {sale}"
        elif found and (found.owner == SHOP) != ledger.orders[number].is_of_shop:
            yield f"order {number}", f"is paid from the wallet of {found.owner}"


def _over_limit(money: Money) -> Iterator[tuple[str, str]]:
    """Hold the wallet that may owe to its limit."""
    lent = Counter[str]()
    for charge in money.charges:
        lent[charge.owner or ""] += charge.lent if charge.hold_state != "released" else 0
    for owner, amount in lent.items():
        if amount > (SHOP_CREDITS if owner == SHOP else 0):
            yield owner, f"was lent {amount} credits in a month"


def _out_of_balance(
    money: Money, ledger: Ledger, *, bought: Counter[str]
) -> Iterator[tuple[str, str]]:
    """Hold every owner's credits to what it was given and charged, and the house's to all."""
    due, kept = Counter(bought), Counter[str]()
    for gift in ledger.gifts.values():
        due[gift.owner] += gift.credits if gift.number not in ledger.returned else 0
    for charge in money.charges:
        due[charge.owner or ""] -= charge.captured or 0
        kept[charge.owner or ""] += (charge.held or 0) if charge.hold_state == "open" else 0
    has = {each.owner: each for each in money.wallets}
    for owner in due.keys() | has.keys():
        wallet = has.get(owner, Wallet(owner=owner, balance=0))
        has_all = wallet.balance + wallet.held - wallet.debt == due[owner]
        if not has_all or wallet.held != kept[owner]:
            yield owner, f"should have {due[owner]} credits and has {wallet}"
    if money.granted + money.sold != money.balances + money.income:
        words = f"{money.granted} credits were given, {money.sold} sold, {money.balances} are left"
        yield "ledger", f"{words}, {money.income} were earned"
