"""When the provider takes more for a job than it was quoted for."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ExcessBound:
    """What the provider may take beyond a quote unnoticed; the greater of the two counts."""

    share: Decimal = Decimal("0.05")
    """A part of the quote."""
    credits: Decimal = Decimal("0.5")
    """So many of the provider's credits."""


@dataclass(frozen=True, slots=True)
class CostExcess:
    """A task that cost more than its job was quoted for, by more than the bound."""

    attempt_id: UUID
    model_id: str
    quoted: Decimal
    taken: Decimal


def is_excess(cost: Decimal, *, quoted: Decimal, bound: ExcessBound) -> bool:
    """Return whether a cost exceeds a quote by more than rounding or a change of unit would."""
    return cost - quoted > max(bound.credits, quoted * bound.share)
