"""Takes models off sale of which a task cost more than was quoted, until the operator looks.

A task is noted with the transfer of its cost, and forgotten with the switch. So a process that is
killed does both or neither, and what the operator switches on again stays on until the next task.
"""

from functools import partial

import structlog

from generation_svc.domain.cost_excess import CostExcess
from generation_svc.engine.batch import one_by_one
from generation_svc.lifecycle.current_catalog import refresh
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.model_off import take_off_sale

_logger = structlog.get_logger(__name__)


async def switch_off_dear(deps: Dependencies) -> bool:
    """Switch off every model of which a task cost too much; once is enough."""
    if deps.money.mode is None:
        return False
    models = await deps.database.read(lambda tx: tx.ledger.dear_models())
    if models:
        await one_by_one(models, partial(_switch_off, deps))
        await refresh(deps)
    return False


async def _switch_off(deps: Dependencies, model_id: str) -> None:
    async with deps.database.transaction() as tx:
        excess = await tx.ledger.take_excess(model_id)  # None where another replica was faster
        is_news = excess and await take_off_sale(
            deps, tx, model_id=model_id, reason=_reason(excess)
        )
    if excess and is_news:
        _logger.error(
            "a model is off sale: the provider took more than was quoted",
            action="dear_model_off",
            model=model_id,
            reason=_reason(excess),
            advice="change its price or its margin, then switch it on",
        )


def _reason(excess: CostExcess) -> str:
    """Return what the operator reads beside the switch."""
    quoted, taken = f"{excess.quoted.normalize():f}", f"{excess.taken.normalize():f}"
    return f"cost {taken} above quote {quoted} (attempt {excess.attempt_id})"
