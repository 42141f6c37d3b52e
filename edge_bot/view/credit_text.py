"""The words that all screens about money share."""

from __future__ import annotations

from datetime import UTC

from google.protobuf.timestamp_pb2 import Timestamp

from atelier.wallet.v1.top_up_pb2 import Pack, TopUp
from edge_bot.pack.payload import CURRENCY
from edge_bot.view.language import Texts
from runtime.currency import amount_text


def balance_text(balance: int, speak: Texts) -> str:
    """Return how many credits somebody has."""
    return speak.count("You have {n} credit.", "You have {n} credits.", balance)


def debt_text(debt: int, speak: Texts) -> str:
    """Return what somebody owes; empty if it is nothing."""
    if not debt:
        return ""
    owed = speak.number(debt)
    return speak.html("❗️ Owed: {n}. The next top-up pays it first.", n=owed)


def blocked_text(speak: Texts) -> str:
    """Return that somebody may start and buy nothing."""
    return speak.html("⛔️ Your account is blocked. Questions: /paysupport")


def gain_text(amount: int, speak: Texts) -> str:
    """Return how many credits somebody gets, as a button says it."""
    return speak.count("+{n} credit", "+{n} credits", amount)


def pack_label(pack: Pack, speak: Texts) -> str:
    """Return what a pack gives and costs, as its button says it."""
    return f"{gain_text(pack.credits, speak)} · ⭐️ {speak.number(pack.stars)}"


def credits_text(amount: int, speak: Texts) -> str:
    """Return so many credits, in words that go with the number."""
    return speak.count("{n} credit", "{n} credits", amount)


def paid_text(top_up: TopUp, speak: Texts) -> str:
    """Return what was paid: Stars, or an amount in the smallest unit of a currency."""
    if top_up.currency == CURRENCY:
        return f"⭐️ {speak.number(top_up.amount)}"
    point = "," if speak.language == "ru" else "."
    return amount_text(top_up.amount, top_up.currency, point=point)


def day_text(time: Timestamp, speak: Texts) -> str:
    """Return a day as people write it."""
    written = "%d.%m.%Y" if speak.language == "ru" else "%d %b %Y"
    return f"{time.ToDatetime(tzinfo=UTC):{written}}"


def time_text(time: Timestamp, speak: Texts) -> str:
    """Return a day and a time, in UTC."""
    return f"{day_text(time, speak)}, {time.ToDatetime(tzinfo=UTC):%H:%M}"
