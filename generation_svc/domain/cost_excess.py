"""When the provider takes more for a job than it was quoted for."""

from decimal import Decimal

SHARE = Decimal("0.05")
"""Which part of a quote the provider may take beyond it unnoticed."""
LEAST = Decimal("0.5")
"""How many of the provider's credits it may take beyond any quote."""


def is_excess(cost: Decimal, *, quoted: Decimal) -> bool:
    """Return whether a cost exceeds a quote by more than rounding or a change of unit would."""
    return cost - quoted > max(LEAST, quoted * SHARE)
