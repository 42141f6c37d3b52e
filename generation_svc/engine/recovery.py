"""Finds out what happened since the backup was made that a database was restored from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import structlog

from generation_svc.domain.attempt import AttemptState
from generation_svc.domain.epoch import Restored
from generation_svc.domain.error import ProviderError
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.job import JobState
from generation_svc.domain.star import StarDifference
from generation_svc.engine import fetch_result, poll
from generation_svc.engine.batch import BATCH
from generation_svc.engine.work import do_one
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.epoch import start_over
from generation_svc.lifecycle.record import settle
from generation_svc.lifecycle.star_difference import star_differences

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_RESULT = re.compile(rf"result/({_UUID})/({_UUID})/.+")
_NOT_STARTED = Failure.of(FailureReason.START_DEADLINE)
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recovery:
    """A recovery that has begun."""

    restored: Restored
    bots: Sequence[int]
    """Those whose Stars are read again."""
    time: datetime


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent since the backup, as far as somebody else knows it."""

    balances: Mapping[str, tuple[Decimal | None, Decimal | None]]
    """What each account had at the backup and has now; None where nobody told."""
    results: Mapping[UUID, Sequence[UUID]] = field(default_factory=dict)
    """The jobs, with their attempts, whose results are kept and which the database lacks."""


async def begin_recovery(deps: Dependencies, *, bots: Sequence[int] = ()) -> Recovery | None:
    """Have the Stars of all bots read again; None if there is nothing to recover."""
    async with deps.database.transaction() as tx:
        known = await tx.epochs.lock()
        if known is None or known.restored is None:
            return None
        return Recovery(known.restored, await tx.stars.read_again(bots), tx.now())


async def unread_bots(deps: Dependencies, recovery: Recovery) -> Sequence[int]:
    """Return the bots whose edges did not report all of their Stars since."""
    async with deps.database.transaction() as tx:
        return await tx.stars.unread(recovery.bots, since=recovery.time)


async def remaining_differences(deps: Dependencies) -> Sequence[StarDifference]:
    """Return where Telegram's lists and the ledger still differ."""
    async with deps.database.transaction() as tx:
        return await star_differences(tx)


async def read_tasks(deps: Dependencies) -> int:
    """Ask the provider for each task that was under way; return how many there were."""
    async with deps.database.transaction() as tx:
        count = await tx.attempts.hasten_all_reads()
    while await do_one(deps, poll.WORK) or await do_one(deps, fetch_result.WORK):
        pass
    return count


async def end_queued(deps: Dependencies) -> Sequence[UUID]:
    """Fail the jobs that were queued in the backup, with their holds released; return which.

    They may have been sent since, and the provider has no list by which that could be known.
    """
    ended: list[UUID] = []
    while True:
        async with deps.database.transaction() as tx:
            left = await tx.epochs.queued_at_restore(limit=BATCH)
        if not left:
            return ended
        for job_id in left:
            await _end_queued(deps, job_id)
        ended.extend(left)


async def _end_queued(deps: Dependencies, job_id: UUID) -> None:
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(job_id)
        if job.state is not JobState.QUEUED:  # cancelled, or ended by another recovery
            return
        for attempt in await tx.attempts.live(job.id):
            await tx.attempts.end(attempt.id, AttemptState.LOST, error="a backup was restored")
        await settle(tx, job, _NOT_STARTED, event=JobEventKind.GAVE_UP)


async def find_spent(deps: Dependencies, recovery: Recovery) -> Spent:
    """Compare balances, and look for results that no attempt of the database brought."""
    balances = {}
    for account in deps.provider.accounts:
        before = recovery.restored.balances.get(str(account))
        now = await _balance(deps, account.name)
        balances[str(account)] = (Decimal(before) if before else None, now)
    return Spent(balances, await _unknown_results(deps))


async def end_recovery(deps: Dependencies) -> int | None:
    """Open sales, with a new series of receipts; return which, or None if another one did."""
    return await start_over(deps.database, deps.media.store)


async def _balance(deps: Dependencies, account: str) -> Decimal | None:
    try:
        return await deps.provider.client.balance(account)
    except ProviderError as error:
        _logger.warning("the balance could not be read", account=account, error=repr(error))
        return None


async def _unknown_results(deps: Dependencies) -> Mapping[UUID, Sequence[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    async for piece in deps.media.store.list("result/"):
        matches = [match for each in piece if (match := _RESULT.fullmatch(each.key))]
        jobs = {UUID(match[2]): UUID(match[1]) for match in matches}
        async with deps.database.transaction() as tx:
            unknown = await tx.epochs.unknown_attempts(jobs)
        for attempt in sorted(unknown):
            attempts = found.setdefault(jobs[attempt], [])
            attempts.extend([attempt] if attempt not in attempts else [])
    return found
