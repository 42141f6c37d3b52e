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


def gain_text(amount: int, speak: Texts) -> str:
    """Return how many credits somebody gets, as a button says it."""
    return speak.count("+{n} credit", "+{n} credits", amount)


def pack_label(pack: Pack, speak: Texts) -> str:
    """Return what a pack gives and costs, as its button says it."""
    return f"{gain_text(pack.credits, speak)} · ⭐️ {pack.stars}"


def paid_text(top_up: TopUp) -> str:
    """Return what was paid: Stars, or an amount in the smallest unit of a currency."""
    if top_up.currency == CURRENCY:
        return f"⭐️ {top_up.amount}"
    return amount_text(top_up.amount, top_up.currency)


def day_text(time: Timestamp, speak: Texts) -> str:
    """Return a day as people write it."""
    written = "%d.%m.%Y" if speak.language == "ru" else "%d %b %Y"
    return f"{time.ToDatetime(tzinfo=UTC):{written}}"


def time_text(time: Timestamp, speak: Texts) -> str:
    """Return a day and a time, in UTC."""
    return f"{day_text(time, speak)}, {time.ToDatetime(tzinfo=UTC):%H:%M}"
