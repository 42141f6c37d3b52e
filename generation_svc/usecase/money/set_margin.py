"""Sets by how much prices exceed the provider's."""

from collections.abc import Sequence

import structlog

from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.domain.money import MarginRule, MarginScope
from generation_svc.domain.purpose import Purpose
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money

MAX_MARGINS = 1000
"""How many margins may hold at once."""

_logger = structlog.get_logger(__name__)


async def set_margin(deps: Dependencies, rule: MarginRule) -> Sequence[MarginRule]:
    """Write a rule and return those that hold; jobs keep the price that they have.

    Raises MoneyOff, and InvalidInputs for a model or a purpose that there is not. The margin of a
    model that is gone can be taken away.
    """
    check_money(deps)
    if rule.margin is not None:
        _check_place(deps, rule)
    async with deps.database.transaction() as tx:
        await tx.money.add_margin(rule)
        holding = _holding(await tx.money.margins())
        if len(holding) > MAX_MARGINS:
            words = f"There are {MAX_MARGINS} margins. Take one away first."
            raise InvalidInputs((FieldViolation("factor", words),))
    deps.money.terms.expire()
    _logger.info(
        "a margin was set",
        scope=rule.scope,
        scope_id=rule.scope_id,
        margin=str(rule.margin),
        actor=rule.actor,
        reason=rule.reason,
    )
    return holding


async def list_margins(deps: Dependencies) -> Sequence[MarginRule]:
    """Return the margins that hold. Raises MoneyOff."""
    check_money(deps)
    return _holding(await deps.database.read(lambda tx: tx.money.margins()))


def _holding(rules: Sequence[MarginRule]) -> list[MarginRule]:
    return [rule for rule in rules if rule.margin is not None]


def _check_place(deps: Dependencies, rule: MarginRule) -> None:
    is_model, is_purpose = (rule.scope is each for each in (MarginScope.MODEL, MarginScope.PURPOSE))
    if is_model and rule.scope_id not in deps.models.catalog.models:
        raise InvalidInputs((FieldViolation("model_id", "There is no such model."),))
    if is_purpose and rule.scope_id not in set(Purpose):
        words = f"Must be one of {', '.join(sorted(Purpose))}."
        raise InvalidInputs((FieldViolation("purpose", words),))
