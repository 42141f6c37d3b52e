"""Whether the accounts at the provider cover what was promised."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ProviderBalance:
    """What the usable accounts have left, and what they will pay for."""

    left: Decimal | None = None
    """None if that is not known of each of them, or was told too long ago."""
    open_cost: Decimal = Decimal(0)
    """What the jobs cost that the provider has not taken, or took since it told the balance."""

    def covers(self, cost: Decimal) -> bool:
        """Return whether there is enough for so much more; what is not known is enough."""
        return self.left is None or self.open_cost + cost <= self.left
