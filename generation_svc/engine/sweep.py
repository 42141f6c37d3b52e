"""Sweeps: what heals and tidies, due by rows or by a clock of its own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from generation_svc.domain.port.due import DueKind
from generation_svc.engine.callback_replay import replay_callbacks, trim_callbacks
from generation_svc.engine.maintenance.accounts import WATCH_SECONDS, watch_accounts
from generation_svc.engine.maintenance.deadlines import end_overdue, end_unstarted
from generation_svc.engine.maintenance.delays import label_delays
from generation_svc.engine.maintenance.epoch import follow_epoch
from generation_svc.engine.maintenance.excess import switch_off_dear
from generation_svc.engine.maintenance.health import (
    HEALTH_SECONDS,
    forget_documents,
    watch_models,
)
from generation_svc.engine.maintenance.holds import end_holds
from generation_svc.engine.maintenance.ledger import check_ledger
from generation_svc.engine.maintenance.orphan_bytes import remove_orphans
from generation_svc.engine.maintenance.orphans import mark_orphans
from generation_svc.engine.maintenance.receipts import number_receipts
from generation_svc.engine.maintenance.retention import forget_expired
from generation_svc.engine.maintenance.stars import compare_stars
from generation_svc.engine.maintenance.usage import measure_usage
from generation_svc.engine.work import Batch, Work
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.wait import is_set_within

Step = Callable[[Dependencies], Awaitable[bool]]
"""One sweep; True means that there may be more to do."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One kind of sweep."""

    step: Step
    kind: DueKind | None = None
    """What is due when it has something to do; None if it goes by a clock."""
    interval_seconds: float | None = None
    """How often it runs by itself; None if never."""

    @property
    def name(self) -> str:
        """What it is called in logs and metrics."""
        return self.step.__name__


SWEEPS = (
    Sweep(mark_orphans, DueKind.ORPHAN),
    Sweep(end_unstarted, DueKind.START_DEADLINE),
    Sweep(end_overdue, DueKind.HARD_STOP),
    Sweep(label_delays, DueKind.DELAY),
    Sweep(replay_callbacks, DueKind.CALLBACK),
    Sweep(trim_callbacks, DueKind.SURPLUS),
    Sweep(remove_orphans, interval_seconds=1),
    Sweep(measure_usage, interval_seconds=5),
    Sweep(forget_expired, interval_seconds=60),
    Sweep(watch_accounts, interval_seconds=WATCH_SECONDS),
    Sweep(watch_models, interval_seconds=HEALTH_SECONDS),
    Sweep(end_holds, interval_seconds=300),
    Sweep(check_ledger, interval_seconds=300),
    Sweep(follow_epoch, interval_seconds=5),
    Sweep(number_receipts, interval_seconds=60),
    Sweep(switch_off_dear, interval_seconds=10),
    Sweep(forget_documents, interval_seconds=3600),
    Sweep(compare_stars, interval_seconds=3600),
)
"""All of them; each is independent of the others and safe in every replica."""


def sweeping(sweep: Sweep, *, factor: float) -> Work[Step]:
    """Return a sweep as work: one at a time, its intervals multiplied by a factor."""
    every = sweep.interval_seconds
    interval = None if every is None else timedelta(seconds=every * factor)
    # What rows make due may stay due for a while; what goes by a clock ends its round at once.
    pause_seconds = factor if sweep.kind else 0

    async def claim(deps: Dependencies, *, limit: int) -> Batch[Step]:
        return Batch([sweep.step], next_due=interval)

    async def run(deps: Dependencies, step: Step, /) -> None:
        while await step(deps) and not await is_set_within(deps.stopping, pause_seconds):
            pass

    return Work(sweep.name, None, concurrency=1, claim=claim, do=run)
