"""Wallets of tests: credits for an owner, and what must hold of the ledger at any moment."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from generation_svc.domain.ledger import AccountKind, Transfer, TransferKind, Wallet
from generation_svc.domain.top_up import TELEGRAM_STARS, Payment, TopUp, telegram_user
from generation_svc.usecase.money.lease_refund import RefundReport, lease_refunds, report_refund
from generation_svc.usecase.money.record_top_up import record_top_up
from generation_svc.usecase.money.refund_top_up import Refund, refund_top_up
from tests.lifecycle import CALLER, Harness

IMAGEN: dict[str, Any] = {"model_id": "google/imagen4"}
"""A job that costs 8 credits exactly."""
FREE: dict[str, Any] = {}
"""A job that costs nothing."""
PRICE = 8
BUYER = "telegram:1"
"""Who pays in Stars."""


async def grant(
    harness: Harness,
    credits_: int,
    *,
    owner: str = "user:1",
    kind: TransferKind = TransferKind.GRANT,
    cause: str = "",
) -> None:
    """Give an owner credits, or have it buy some."""
    accounts = {
        TransferKind.GRANT: (AccountKind.GRANTS, AccountKind.GRANTED),
        TransferKind.TOP_UP: (AccountKind.EXCHANGE, AccountKind.PAID),
    }
    source, target = accounts[kind]
    transfer = Transfer(kind, source, target, credits_, cause=cause or str(uuid4()), owner=owner)
    async with harness.transaction() as tx:
        await tx.ledger.lock([owner])
        assert await tx.ledger.move([transfer]) == 1


async def bought(
    harness: Harness, credits_: int, *, owner: str = BUYER, external_id: str = ""
) -> TopUp:
    """Have an owner buy credits: with Stars, if it is a user of Telegram."""
    is_user = telegram_user(owner) is not None
    payment = Payment(
        TELEGRAM_STARS if is_user else "card",
        external_id or str(uuid4()),
        owner,
        100,
        "XTR" if is_user else "RUB",
        credits=credits_,
        bot_id=7 if is_user else None,
    )
    recorded = await record_top_up(
        harness.deps, CALLER, payment=payment, telegram_host="sandbox" if is_user else ""
    )
    return recorded.top_up


async def take_back(harness: Harness, top_up: TopUp, *, is_charged_back: bool = False) -> TopUp:
    """Refund a top-up by force, or have it charged back; what is spent becomes a debt."""
    refund = Refund(
        CALLER, str(top_up.id), "asked", is_forced=True, is_charged_back=is_charged_back
    )
    return await refund_top_up(harness.deps, refund)


async def report_refunds(harness: Harness, error: str = "") -> int:
    """Return what waits for that as a bot does, to whom Telegram says this; return how many."""
    leased = await lease_refunds(harness.deps, CALLER, bot_id=7, limit=10)
    for each in leased:
        report = RefundReport(CALLER, str(each.id), str(each.lease_token), error)
        await report_refund(harness.deps, report)
    return len(leased)


async def wallet(harness: Harness, owner: str = "user:1") -> Wallet:
    async with harness.transaction() as tx:
        return await tx.ledger.wallet(owner)


async def holds(harness: Harness) -> list[tuple[str, int]]:
    """The state of each hold, and what was captured."""
    rows = await harness.query("SELECT state, captured FROM hold ORDER BY create_time, job_id")
    return [(row["state"], row["captured"]) for row in rows]


async def check_ledger(harness: Harness) -> None:
    """Hold every wallet to its transfers and to its open holds, and each to the one before it."""
    wrong = await harness.query(_WRONG_WALLETS)
    wrong += await harness.query(_WRONG_HELD)
    wrong += await harness.query(_WRONG_BALANCES)
    wrong += await harness.query(_WRONG_HOLDS)
    assert not wrong, wrong


_WRONG_WALLETS = """
SELECT * FROM wallet LEFT JOIN LATERAL (
    SELECT coalesce(sum(amount) FILTER (WHERE target = 'granted'), 0)
        - coalesce(sum(amount) FILTER (WHERE source = 'granted'), 0) AS sum_granted,
        coalesce(sum(amount) FILTER (WHERE target = 'paid'), 0)
        - coalesce(sum(amount) FILTER (WHERE source = 'paid'), 0) AS sum_paid,
        coalesce(sum(amount) FILTER (WHERE target = 'held'), 0)
        - coalesce(sum(amount) FILTER (WHERE source = 'held'), 0) AS sum_held,
        coalesce(sum(amount) FILTER (WHERE source = 'debt'), 0)
        - coalesce(sum(amount) FILTER (WHERE target = 'debt'), 0) AS sum_debt
    FROM transfer WHERE transfer.owner = wallet.owner) AS sums ON true
WHERE (granted, paid, held, debt) IS DISTINCT FROM (sum_granted, sum_paid, sum_held, sum_debt)
"""
_WRONG_HELD = """
SELECT * FROM wallet WHERE held <> (SELECT coalesce(sum(granted + paid), 0) FROM hold
    WHERE hold.owner = wallet.owner AND hold.state = 'open')
"""
_WRONG_BALANCES = """
SELECT * FROM (SELECT id, owner, balance_after, sum(CASE WHEN target IN ('granted', 'paid')
        THEN amount ELSE 0 END - CASE WHEN source IN ('granted', 'paid') THEN amount ELSE 0 END)
        OVER (PARTITION BY owner ORDER BY id) AS balance FROM transfer WHERE owner IS NOT NULL)
    AS entry WHERE balance_after <> balance
"""
_WRONG_HOLDS = """
SELECT hold.* FROM hold JOIN job ON job.id = hold.job_id
WHERE (hold.state = 'open') <> (job.state IN ('queued', 'running') OR job.state = 'cancelled'
    AND EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id
        AND (attempt.state IN ('submitting', 'unknown', 'accepted') OR attempt.state = 'succeeded'
            AND (hold.end_time IS NULL OR attempt.end_time <= hold.end_time)))
    AND NOT EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id
        AND attempt.state = 'settled'))
"""


async def stars(harness: Harness) -> dict[str, int]:
    """How many Stars each account of the house holds."""
    rows = await harness.query(
        "SELECT account, sum(amount)::bigint AS amount FROM (SELECT target AS account, amount"
        " FROM transfer WHERE currency = 'xtr' UNION ALL SELECT source, -amount FROM transfer"
        " WHERE currency = 'xtr') AS entry GROUP BY account"
    )
    return {row["account"]: row["amount"] for row in rows}
