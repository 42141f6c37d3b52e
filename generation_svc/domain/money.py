"""Whether jobs are paid for here, and what they cost beyond the provider's price."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from generation_svc.domain.model import Model

NO_MARGIN = Decimal(1)
"""What a cost is multiplied with where no rule says otherwise."""


class MoneyMode(StrEnum):
    """Which money a database holds, for ever."""

    TEST = "test"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class ClosedSales:
    """Why nothing is sold, and since when."""

    reason: str
    """In the words of whoever closed them, which are the operator's own."""
    is_restored: bool = False
    """Whether what happened since a backup has to be recovered first."""
    time: datetime | None = None
    """None if it is not known."""


@dataclass(frozen=True, slots=True)
class MoneyState:
    """What a database says of its money."""

    mode: MoneyMode
    sales_closed_reason: str | None = None
    is_restored: bool = False
    """Whether what happened since a backup has to be recovered first."""
    sales_close_time: datetime | None = None

    @property
    def closed(self) -> ClosedSales | None:
        """Why nothing is sold; None while sales are open."""
        if self.sales_closed_reason is None:
            return None
        return ClosedSales(self.sales_closed_reason, self.is_restored, self.sales_close_time)


class MarginScope(StrEnum):
    """What a margin holds for; the more special one counts."""

    DEFAULT = "default"
    PURPOSE = "purpose"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class MarginRule:
    """What the costs of some models are multiplied with, from a time on."""

    scope: MarginScope
    scope_id: str
    """The model or the purpose; empty for the default."""
    margin: Decimal | None
    """None takes the margin of this scope away."""
    actor: str = ""
    reason: str = ""
    time: datetime | None = None


class Margins:
    """The rules in force: of each scope the latest."""

    def __init__(self, rules: Iterable[MarginRule] = ()) -> None:
        self._margins = {(rule.scope, rule.scope_id): rule.margin for rule in rules if rule.margin}

    def of(self, model: Model) -> Decimal:
        """Return the margin of a model."""
        purpose = (MarginScope.PURPOSE, str(model.purpose))
        places = ((MarginScope.MODEL, model.id), purpose, (MarginScope.DEFAULT, ""))
        found = (self._margins[place] for place in places if place in self._margins)
        return next(found, NO_MARGIN)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms jobs are sold."""

    margins: Margins
    closed: ClosedSales | None = None
    """Why nothing is sold now; None while sales are open."""
