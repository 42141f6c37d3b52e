"""Money for the attacked service: the words of its calls, and what must hold of its ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.ledger_audit import Rule
from tests.e2e.stack import Stack
from tests.fuzz.known import Known
from tests.fuzz.odd import ABSENT_ID, Odd

PACKS = "small=100:100,large=1200:1000"
TOLD = frozenset(
    {
        "a payment cannot be credited",
        "a payment was not returned",
        "Telegram's list of Stars and the ledger differ",
    }
)
"""What the service tells its operator, as it must, when somebody in an edge's name says so."""
AMOUNTS = (0, 1, 100, 1000)
"""What packs cost, and what they do not."""
LIES = frozenset({Rule.STAR, Rule.STAR_SEEN})
"""The rules about Telegram's list of Stars, which the attacker writes as it likes."""


def money_words(odd: Odd, known: Known) -> dict[str, Callable[[], str]]:
    """Return what fields about money usually hold, by their names."""
    return {
        "top_up_id": lambda: odd.pick(known.top_ups or [ABSENT_ID]),
        "external_id": lambda: f"charge {odd.random.randrange(200)}",
        "id": lambda: f"charge {odd.random.randrange(200)}",
        "pack_id": lambda: odd.pick(("", "", "small", "large")),
        "currency": lambda: odd.pick(("XTR", "EUR")),
        "telegram_host": lambda: odd.pick(("telegram.example", "api.telegram.org", "")),
        "invoice_payload": lambda: odd.pick(("", "small", "telegram:1")),
        "transaction_type": lambda: odd.pick(("", "invoice_payment")),
        "reason": lambda: odd.pick(("a test", "a gift")),
        "factor": lambda: odd.pick(("", "1", "1.5", "1000")),
        "purpose": lambda: "",
        "batch_id": lambda: f"0198c0de-0000-7000-8000-{odd.random.randrange(20):012}",
        "rate": lambda: odd.pick(("1", "0.01", "100")),
        "source": lambda: "old",
        "user_id": lambda: str(odd.random.randrange(1, 60)),
        "amount": lambda: odd.pick(("1", "10.5", "0")),
        "first_day": lambda: odd.pick(("2026-11-01", "2026-11-29")),
        "last_day": lambda: odd.pick(("2026-11-29", "2026-12-01")),
    }


def learn_money(known: Known, answer: Any) -> None:
    """Remember the top-ups and leases of refunds that an answer names."""
    if isinstance(answer, pb.RecordTopUpResponse):
        known.learn(known.top_ups, answer.top_up.id)
    for leased in answer.refunds if isinstance(answer, pb.LeaseRefundsResponse) else ():
        known.learn(known.leases, leased.lease_token)


async def ledger_differences(running: Stack) -> list[str]:
    """Return what the ledger shows that no input may bring about."""
    report = await running.client.wallet.CheckLedger(pb.CheckLedgerRequest())
    return [
        f"{each.rule}: {each.subject}: {each.problem}"
        for each in report.differences
        if each.rule not in LIES
    ]
