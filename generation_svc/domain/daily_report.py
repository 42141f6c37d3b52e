"""What each model brought and cost on a day."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class DailyLine:
    """What a model brought and cost on a day, which is one of UTC."""

    day: date
    model_id: str
    charged_count: int
    income: int
    """What was charged, in credits."""
    cost_milli: int
    """What the provider took, in thousandths of its credits."""
    late_cost_milli: int
    """What of it was for jobs whose credits had gone back."""
    free_cost_milli: int
    """What of it was for jobs of free models."""

    @property
    def margin(self) -> Decimal | None:
        """What each of the provider's credits brought; None where it took nothing."""
        if not self.cost_milli:
            return None
        return (Decimal(self.income * 1000) / self.cost_milli).quantize(_PLACES)
