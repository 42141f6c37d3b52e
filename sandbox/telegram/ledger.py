"""The Stars of a bot: what moved in and out, in order, and what is left."""

import secrets
from bisect import insort
from typing import Any

from sandbox.telegram.model import Bot, Json, User
from sandbox.telegram.star import Payment, StarTransaction

NANO = 10**9


def new_transaction_id() -> str:
    """Make an id as long and odd as Telegram's are."""
    return f"stx{secrets.token_urlsafe(60)}"


def book(bot: Bot, transaction: StarTransaction) -> None:
    """Enter a transaction in chronological order; of one second the later entered comes later."""
    insort(bot.star_transactions, transaction, key=lambda one: one.date)


def book_payment(bot: Bot, payment: Payment, *, user: User, is_incoming: bool) -> None:
    """Enter a payment, or its refund, which carries the same id."""
    assert payment.charge_id, "only what was charged is booked"
    partner: Json = {
        "type": "user",
        "transaction_type": "invoice_payment",
        "user": user.to_api(),
        "invoice_payload": payment.invoice.payload,
    }
    entry: dict[str, Any] = {"id": payment.charge_id, "amount": payment.invoice.total_amount}
    book(bot, StarTransaction(**entry, is_incoming=is_incoming, partner=partner))


def balance(bot: Bot) -> Json:
    """Return the bot's Stars as `StarAmount` shows them; both parts have the same sign."""
    total = sum(_nanostars(one) for one in bot.star_transactions)
    sign = -1 if total < 0 else 1
    whole, part = divmod(abs(total), NANO)
    return {"amount": sign * whole} | ({"nanostar_amount": sign * part} if part else {})


def _nanostars(transaction: StarTransaction) -> int:
    amount = transaction.amount * NANO + transaction.nanostar_amount
    return amount if transaction.is_incoming else -amount
