"""The look for what is due: one statement for all kinds of work, and for each sweep.

Whoever commits a row tells the scheduler of its process, or announces it. What a process that was
killed left behind, and what was announced while nobody listened, this look finds.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from generation_svc.domain.port.due import DueKind, DueRules
from generation_svc.engine.callback_replay import PENDING_AGE, UNTRUSTED_KEPT
from generation_svc.engine.work import Batch, Work
from generation_svc.lifecycle.dependencies import Dependencies

Tell = Callable[[timedelta], None]
"""Tells a scheduler in how long there is something for it."""


def looking(tell: Mapping[DueKind, Tell], *, interval: timedelta) -> Work[Any]:
    """Return the work of looking, now and at intervals, and telling what is found."""

    async def look(deps: Dependencies, *, limit: int) -> Batch[Any]:
        async with deps.database.transaction() as tx:
            due = await tx.due.look(_rules(deps))
        for kind, span in due.items():
            # What comes due after the next look, that look tells.
            if span <= interval:
                tell[kind](span)
        return Batch(next_due=interval)

    return Work("look", None, concurrency=1, claim=look, do=_nothing)


def _rules(deps: Dependencies) -> DueRules:
    return DueRules(
        readable=deps.provider.accounts,
        submit_lease=deps.timing.submit_lease,
        hard_deadline=deps.timing.hard_deadline,
        callback_age=PENDING_AGE,
        untrusted_kept=UNTRUSTED_KEPT,
    )


async def _nothing(deps: Dependencies, item: object, /) -> None:
    """Do nothing: the look is all that there is to it."""
