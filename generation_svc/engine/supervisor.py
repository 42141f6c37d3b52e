"""Starts and stops all schedulers of the service together."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from generation_svc.domain.port.due import DueKind
from generation_svc.engine import dispatch, fetch_result, poll, read_cost, send_webhook
from generation_svc.engine.due import looking
from generation_svc.engine.scheduler import Scheduler
from generation_svc.engine.sweep import SWEEPS, sweeping
from generation_svc.engine.work import Work
from generation_svc.lifecycle.dependencies import Dependencies

LOOK_SECONDS = 5.0
"""How often what is due is looked for: what was announced and not heard waits so long."""
LEAST_LOOK_SECONDS = 0.2
LEAST_FACTOR = 0.2
"""The least by which other intervals are multiplied, however fast a test lets time pass."""


WORK: Mapping[DueKind, Work[Any]] = {
    DueKind.DISPATCH: dispatch.WORK,
    DueKind.READ: poll.WORK,
    DueKind.FETCH: fetch_result.WORK,
    DueKind.WEBHOOK: send_webhook.WORK,
    DueKind.COST: read_cost.WORK,
}
"""What rows make due, beside the sweeps."""


class Supervisor:
    """The schedulers at work."""

    def __init__(self, deps: Dependencies, schedulers: Sequence[Scheduler[Any]]) -> None:
        self._stopping = deps.stopping
        self._schedulers = schedulers
        for each in schedulers:
            if each.topic:
                deps.engine.add(each.topic, each)
        self._running = [asyncio.create_task(each.run(), name="scheduler") for each in schedulers]

    async def finish(self, *, grace_seconds: float) -> None:
        """Start no further work, and give what is under way some time; then cancel it.

        Who is broken off gives its lease back, so that another replica goes on at once.
        """
        self._stopping.set()
        for each in self._schedulers:
            each.wake()
        ending = asyncio.create_task(self._finished())
        await asyncio.wait({ending}, timeout=grace_seconds)
        # Cancelled and awaited, so that each gives its claim or lease back before the database
        # closes.
        for task in (ending, *self._running):
            task.cancel()
        await asyncio.gather(ending, *self._running, return_exceptions=True)
        await asyncio.gather(*(each.cancel() for each in self._schedulers))

    async def _finished(self) -> None:
        await asyncio.wait(self._running)
        for each in self._schedulers:
            await each.finish()


def _schedulers(deps: Dependencies, *, time_scale: float) -> list[Scheduler[Any]]:
    """Return one for each kind of work and each sweep, and the one that tells them what is due."""
    factor = min(1.0, max(time_scale, LEAST_FACTOR))
    by_kind: dict[DueKind, Scheduler[Any]] = {
        kind: Scheduler(deps, work) for kind, work in WORK.items()
    }
    clocked = []
    for sweep in SWEEPS:
        scheduler = Scheduler(deps, sweeping(sweep, factor=factor))
        if sweep.kind:
            by_kind[sweep.kind] = scheduler
        else:
            clocked.append(scheduler)
    # The look costs one statement, so that a test may have it at every 0.2 s.
    interval = timedelta(seconds=max(LOOK_SECONDS * min(1.0, time_scale), LEAST_LOOK_SECONDS))
    look = looking({kind: each.due_in for kind, each in by_kind.items()}, interval=interval)
    return [Scheduler(deps, look), *by_kind.values(), *clocked]


@asynccontextmanager
async def working(
    deps: Dependencies, *, time_scale: float, grace_seconds: float
) -> AsyncIterator[Supervisor]:
    """Work while the block runs, or until its supervisor is told to finish."""
    supervisor = Supervisor(deps, _schedulers(deps, time_scale=time_scale))
    try:
        yield supervisor
    finally:
        await supervisor.finish(grace_seconds=grace_seconds)
