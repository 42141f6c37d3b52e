"""How a model has been doing lately: what the provider says of it, and our own last hour."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

FEWEST = 5
"""How many generations of the last hour say something."""
FEWEST_USUAL = 20
"""How many generations show what is usual."""
FAILING_SHARE = 0.5
"""From which share of failures on a model is failing."""
NORMAL_SHARE = 1 / 3
"""Up to which share of normal times, as the provider calls them, a model is failing."""
SLOW_FACTOR = 2
"""From how many times the usual time on a model is slow."""


class ModelState(StrEnum):
    """What people are told of a model before they pay."""

    FINE = "fine"
    SLOW = "slow"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """What is known of a model."""

    succeeded: int = 0
    """The generations of our last hour that brought a result."""
    failed: int = 0
    """Those that failed for the provider's reasons, and not for what was asked."""
    recent: timedelta | None = None
    """The median time of those that brought a result."""
    usual: timedelta | None = None
    """The median time before that; None until enough have shown it."""
    normal_share: float | None = None
    """Of the provider's last hour, the share that it calls normal; None without traffic."""

    @property
    def state(self) -> ModelState | None:
        """How the model does; None where nobody knows."""
        runs = self.succeeded + self.failed
        if runs >= FEWEST and self.failed >= runs * FAILING_SHARE:
            return ModelState.FAILING
        # Our own generations are the better witnesses where there are enough of them.
        is_doubted = self.normal_share is not None and self.normal_share <= NORMAL_SHARE
        if is_doubted and runs < FEWEST:
            return ModelState.FAILING
        if self._is_slow():
            return ModelState.SLOW
        return ModelState.FINE if runs >= FEWEST or self.normal_share is not None else None

    def _is_slow(self) -> bool:
        if self.recent is None or self.usual is None or self.succeeded < FEWEST:
            return False
        return self.recent > self.usual * SLOW_FACTOR
