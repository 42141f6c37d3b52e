"""What the people and callers of a run did and were told."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.chaos.plan import Order
from tests.chaos.sale import Gift, Purchase


@dataclass
class Ledger:
    """What the outside knows; the check holds the system to it."""

    seed: int
    orders: dict[int, Order] = field(default_factory=dict)
    """Who asked, by the number of the order."""
    jobs: dict[int, str] = field(default_factory=dict)
    """The job that a caller was given, by the number of its order."""
    refused: dict[int, str] = field(default_factory=dict)
    """What was missing for a job, by the number of its order."""
    agreed: dict[int, int] = field(default_factory=dict)
    """The price that a caller agreed to last, by the number of its order."""
    repriced: int = 0
    """How often a caller was told of another price than it had agreed to."""
    gifts: dict[int, Gift] = field(default_factory=dict)
    """What was given, or paid elsewhere, by its number."""
    returned: set[int] = field(default_factory=set)
    """What of it went back."""
    purchases: dict[str, Purchase] = field(default_factory=dict)
    """What was bought in the chat, by the charge."""
    refunds: set[str] = field(default_factory=set)
    """The charges that an operator was promised to go back."""
    payment_ids: dict[str, str] = field(default_factory=dict)
    """Telegram's payments, by the charge."""
    unpaid: Counter[str] = field(default_factory=Counter)
    """How many payments were not made, by how they ended."""
    turns: dict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """Who does something in a chat: one thing after another."""
    presses: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The presses of a person's confirmation."""
    blocked: set[int] = field(default_factory=set)
    """Who blocked the bot."""
    revisions: dict[int, list[int]] = field(default_factory=dict)
    """What a stream gave, in its order."""
    feed_new: Counter[str] = field(default_factory=Counter)
    """How often the feed had a job's outcome as new."""
    feed_again: Counter[str] = field(default_factory=Counter)
    """How often the feed had it as one that may have come before."""
    complaints: list[tuple[int, str]] = field(default_factory=list)
    """What broke a promise before somebody's eyes."""

    def prompt_of(self, number: int) -> str:
        """Return the words of an order, which no other one contains."""
        return f"chaos {self.seed:04d} order {number:05d} end"

    def number_of(self, prompt: str) -> int:
        """Return the number of the order with these words; 0 for anybody else's."""
        words = prompt.split()
        return int(words[3]) if words[:1] == ["chaos"] else 0

    def complain(self, number: int, what: str) -> None:
        """Note a broken promise."""
        self.complaints.append((number, what))
