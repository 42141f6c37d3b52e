"""What a database says of its money, and what the provider's costs are multiplied with."""

from collections.abc import Sequence
from typing import Protocol

from generation_svc.domain.money import MarginRule, MoneyMode, MoneyState


class MoneyStore(Protocol):
    """Keeps the state of the money, and the margins."""

    async def state(self) -> MoneyState | None:
        """Read the state; None where there never was money."""

    async def mark(self, mode: MoneyMode) -> MoneyState:
        """Say which money this is, unless that was said before; return what holds."""

    async def set_sales(self, closed_reason: str | None) -> MoneyState:
        """Close sales for a reason, or open them; return what holds."""

    async def margins(self) -> Sequence[MarginRule]:
        """Read the latest rule of each scope."""

    async def add_margin(self, rule: MarginRule) -> MarginRule:
        """Write a rule, which holds from now on."""
