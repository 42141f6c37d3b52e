"""Payments of all kinds, and what Telegram says and lists of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from generation_svc.domain.imported_balance import ImportedBalance
from generation_svc.domain.star import StarDirection, StarPartner, StarTransaction
from generation_svc.domain.top_up import TELEGRAM_STARS, Pack, Payment, telegram_user
from tests.ledger.ground import PACKS
from tests.ledger.world import PAYERS, Paid

BOT = 7
THEN = datetime(2026, 1, 1, tzinfo=UTC)
ALREADY, UNKNOWN, BUSY = "CHARGE_ALREADY_REFUNDED", "CHARGE_NOT_FOUND", "Too Many Requests"


def any_payment(random: Random, name: str) -> Payment:
    """Return a payment of anybody for any pack."""
    return payment_of(random.choice(PAYERS), random.choice(PACKS), name)


def payment_of(owner: str, pack: Pack, name: str) -> Payment:
    """Return what somebody pays for a pack: in Stars, if it is a user of Telegram."""
    if telegram_user(owner) is None:
        return Payment("card", name, owner, 100, "RUB", credits=pack.credits)
    return Payment(TELEGRAM_STARS, name, owner, pack.stars, "XTR", pack_id=pack.id, bot_id=BOT)


def said(random: Random, paid: Paid) -> str:
    """Return what Telegram says to a refund, which it makes unless it says something else."""
    if not paid.is_listed:
        return UNKNOWN
    if paid.is_back:
        return ALREADY
    paid.is_back = random.random() < 0.7
    return "" if paid.is_back else BUSY


def lines(paid: Paid, number: int) -> list[StarTransaction]:
    """Return what Telegram lists of a payment, which is one line or two."""
    payment = paid.payment
    user = telegram_user(payment.owner)
    came = StarTransaction(
        BOT,
        payment.external_id,
        StarDirection.IN,
        payment.amount,
        THEN + timedelta(minutes=2 * number),
        partner=StarPartner.USER,
        user_id=user,
        transaction_type="invoice_payment",
        payload=f"topup:1:{payment.pack_id}:{user}",
    )
    went = replace(came, direction=StarDirection.OUT, time=came.time + timedelta(minutes=1))
    return [came, went] if paid.is_back else [came]


def any_balance(random: Random) -> ImportedBalance:
    """Return a balance of an earlier bot; some are no numbers, and some worth nothing."""
    user = random.randint(1, 3)
    amount = random.choice(("7", "40", "0.5", "nothing"))
    return ImportedBalance("old", str(user), amount, "coin", f"telegram:{min(user, 2)}")
