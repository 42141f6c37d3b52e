"""What each model brought and cost on a day."""

from dataclasses import dataclass
from datetime import date


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
