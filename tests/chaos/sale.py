"""What of money a run will do: what is sold, who pays, what goes back, how prices change."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Any, Literal

from tests.e2e.caller import SHOP_CREDITS as SHOP_CREDITS

Notice = Literal["once", "twice", "never"]


@dataclass(frozen=True, kw_only=True)
class Sale:
    """A model and what it costs."""

    model_id: str
    cost: str = "0"
    """What a provider takes for a job at most."""
    is_ceiling: bool = False
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def price(self, factor: str) -> int:
        """Return what a job is agreed to for at a margin."""
        return int((Decimal(self.cost) * Decimal(factor)).to_integral_value(ROUND_CEILING))


FREE = Sale(model_id="qwen/text-to-image")
SERIES = "wan/2-7-image"
"""The model that makes several pictures, of which some never come."""
SALES = (
    Sale(model_id="google/imagen4", cost="8"),
    Sale(model_id=SERIES, cost="19.2", options={"n": 4}),
    Sale(model_id="bytedance/seedream-v4-text-to-image", cost="5", is_ceiling=True),
    Sale(model_id="gpt-image-2-text-to-image", cost="16", is_ceiling=True),
)
SOLD = 0.75
"""The share of the callers' jobs that are paid for."""
FACTORS = ("1", "0.9", "1.25", "1.5")
"""The margins between which an operator changes; a run begins with the first."""
OWNERS = 7
"""Whose jobs the callers' are: few, so that they compete for their credits."""
FIRST_OWNER = 900
SHOP = "shop"
"""The wallet of the caller that may owe."""
SHOP_SHARE = 0.4
"""The share of the paid jobs without a destination that are that caller's."""
PACK = 30
"""How many credits a pack has, and how many Stars it costs."""
GIFT_EVERY_S, PURCHASE_EVERY_S, MARGIN_EVERY_S = 2.2, 1.8, 7.0


class Source(StrEnum):
    """Where credits come from that nobody bought in the chat."""

    GRANT = "grant"
    CARD = "card"


class Return(StrEnum):
    """How a payment goes back."""

    ASKED = "asked"
    FORCED = "forced"
    CHARGED_BACK = "charged back"
    BY_BOTH = "by both"
    """Given back by an operator and by Telegram's support at once."""


@dataclass(frozen=True, kw_only=True)
class Gift:
    """Credits that an owner is given, or pays for elsewhere."""

    number: int
    at_s: float
    owner: str
    source: Source
    credits: int
    is_repeated: bool
    """Whether it is told twice."""
    goes_back: Return | None = None
    goes_back_after_s: float = 0


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """A pack that a person buys in the chat."""

    number: int
    at_s: float
    user_id: int
    query: Notice = "once"
    """How often Telegram asks whether the payment may be made."""
    notice: Notice = "once"
    """How often Telegram tells of the payment; if never, its list alone does."""
    settle_s: float = 0
    """How long Telegram takes for the charge after the bot's yes."""
    answer_within_s: float | None = None
    """How long the first try waits for the bot's yes, where it is less than usual."""
    is_again: bool = False
    """Whether an invoice is paid that was there before, perhaps once more."""
    goes_back: Return | None = None
    goes_back_after_s: float = 0
    is_repeated: bool = False
    """Whether the return is asked for twice."""

    @property
    def owner(self) -> str:
        """Whose credits they are."""
        return f"telegram:{self.user_id}"


@dataclass(frozen=True, kw_only=True)
class Margin:
    """A change of prices by an operator."""

    at_s: float
    model_id: str
    """Of which model; empty for all."""
    factor: str


def owner_of(number: int) -> str:
    """Return whose job the one with this number is, where a caller asks."""
    return f"telegram:{FIRST_OWNER + number % OWNERS}"


def gifts_of(rng: random.Random, *, feed_s: float) -> list[Gift]:
    """Draw who gets credits, and when: for many a job it is too little at that moment."""
    times = [0.0] * OWNERS + _times(rng, feed_s, every_s=GIFT_EVERY_S)
    return [_gift(rng, number=number, at_s=at_s) for number, at_s in enumerate(times, 1)]


def _gift(rng: random.Random, *, number: int, at_s: float) -> Gift:
    source = rng.choice(list(Source))
    goes_back = rng.choice((Return.ASKED, Return.FORCED, Return.CHARGED_BACK))
    return Gift(
        number=number,
        at_s=at_s,
        owner=owner_of(rng.randrange(OWNERS)),
        source=source,
        credits=rng.randint(3, 40),
        is_repeated=rng.random() < 0.4,
        goes_back=goes_back if source is Source.CARD and rng.random() < 0.4 else None,
        goes_back_after_s=rng.uniform(0, 12),
    )


def purchases_of(rng: random.Random, *, feed_s: float) -> list[Purchase]:
    """Draw who buys what in the chat, and what of it goes back how."""
    times = _times(rng, feed_s, every_s=PURCHASE_EVERY_S)
    return [_purchase(rng, number=number, at_s=at_s) for number, at_s in enumerate(times, 1)]


def _purchase(rng: random.Random, *, number: int, at_s: float) -> Purchase:
    return Purchase(
        number=number,
        at_s=at_s,
        user_id=FIRST_OWNER + rng.randrange(OWNERS),
        query="twice" if rng.random() < 0.2 else "once",
        notice=rng.choices(("once", "twice", "never"), weights=(5, 3, 3))[0],
        settle_s=rng.choice((0, 0, rng.uniform(0, 3))),
        answer_within_s=rng.uniform(0, 0.15) if rng.random() < 0.15 else None,
        is_again=rng.random() < 0.3,
        goes_back=_return(rng) if rng.random() < 0.5 else None,
        goes_back_after_s=rng.uniform(0, 8),
        is_repeated=rng.random() < 0.4,
    )


def _return(rng: random.Random) -> Return:
    return rng.choices(list(Return), weights=(3, 2, 3, 2))[0]


def margins_of(rng: random.Random, *, feed_s: float) -> list[Margin]:
    """Draw how prices change while jobs are asked for."""
    models = ("", *(each.model_id for each in SALES))
    return [
        Margin(at_s=at_s, model_id=rng.choice(models), factor=rng.choice(FACTORS))
        for at_s in _times(rng, feed_s, every_s=MARGIN_EVERY_S)
    ]


def _times(rng: random.Random, feed_s: float, *, every_s: float) -> list[float]:
    return sorted(rng.uniform(0, feed_s) for _ in range(int(feed_s / every_s)))
