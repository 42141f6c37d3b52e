"""Fetches the result of a success: stores its bytes, then settles the job.

Whatever is wrong with a link, there is one ladder (docs/reliability.md has it as a table): the link
again, a fresh link, both again and again, a delay reason from the third try on, and an end. What
could be had by then is the result, and it says how many files are missing.

A fetch that was killed is done again. The keys name the attempt and the try: one that stood still
while its lease went to another worker may write on, and then not over what a job was settled with.
What was put without getting a row, `orphan_bytes` removes. A large file takes minutes: the lease is
renewed meanwhile, so that a fetch that is alive is nobody else's, and one that was killed soon is.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from generation_svc.domain.attempt import Attempt, AttemptState, Trouble
from generation_svc.domain.error import (
    FetchFailed,
    ProviderError,
    ResultTooLarge,
    Unavailable,
)
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.job import DelayReason, Job, JobState, Result
from generation_svc.domain.media import Media
from generation_svc.domain.observation import ResultItem
from generation_svc.domain.port.media import StoredFile
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine.fetch_lease import LeaseLost, under_lease
from generation_svc.engine.persist import persist
from generation_svc.engine.result_deadline import DELAY_FROM_TRY, deadline_of, kind_of, retry_after
from generation_svc.engine.store_result import LINK_TROUBLES, store_file
from generation_svc.engine.work import Batch, Work
from generation_svc.lifecycle import charge, model_revision, topic
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.late_result import keep_late
from generation_svc.lifecycle.record import revise, settle
from runtime.wait import Deadline

_GONE = Failure.of(FailureReason.RESULT_UNAVAILABLE)
_TROUBLES = (*LINK_TROUBLES, ProviderError, Unavailable)
_logger = structlog.get_logger(__name__)


class NotTried(FetchFailed):
    """A link was not tried, since others took the time: that says nothing of it."""


@dataclass(frozen=True, slots=True)
class _Haul:
    """What one try brought."""

    kept: list[StoredFile] = field(default_factory=list)
    troubles: list[Exception] = field(default_factory=list)
    """One for each link that gave nothing."""


async def _claim(deps: Dependencies, *, limit: int) -> Batch[Attempt]:
    async with deps.database.transaction() as tx:
        attempts, next_due = await tx.attempts.claim_fetches(
            lease=deps.timing.fetch_lease, limit=limit
        )
    return Batch(attempts, next_due)


async def fetch(deps: Dependencies, attempt: Attempt, /) -> None:
    """Fetch the result of an attempt that is claimed, and settle its job."""
    structlog.contextvars.bind_contextvars(job_id=str(attempt.job_id))
    items = attempt.observation.results if attempt.observation else ()
    try:
        haul = await under_lease(deps, attempt, work=_haul(deps, attempt, items=items))
    except LeaseLost:
        _logger.warning("another worker fetches this result now")
        return
    except asyncio.CancelledError:
        await persist(partial(_give_back, deps, attempt))
        raise
    await persist(partial(_conclude, deps, attempt, haul=haul))


WORK = Work("fetch", topic.FETCH, concurrency=8, claim=_claim, do=fetch)
"""Fetching the results of successes."""


async def _give_back(deps: Dependencies, attempt: Attempt) -> None:
    """Make a cancelled fetch due for another worker."""
    async with deps.database.transaction() as tx:
        if await tx.attempts.renew_fetch(attempt, lease=timedelta(0)):
            tx.announce(topic.FETCH)


async def _haul(deps: Dependencies, attempt: Attempt, *, items: Sequence[ResultItem]) -> _Haul:
    """Try each link that gave nothing yet; one that is slow leaves the others to the next try."""
    haul, deadline = _Haul(), Deadline(deps.timing.fetch_lease.total_seconds() / 2)
    ours = await _ours_already(deps, attempt, count=len(items))
    model = await model_revision.of_job(deps, attempt)
    form = model.result if model else None
    for position, item in enumerate(items):
        if position in ours:
            continue
        # The first link is always tried, or a fetch that begins late would never get anywhere.
        if (haul.kept or haul.troubles) and deadline.is_over:
            haul.troubles.append(NotTried("There was no time left for this link."))
            continue
        try:
            kept = await store_file(deps, attempt, position=position, item=item, form=form)
            haul.kept.extend(kept)
        except _TROUBLES as error:
            haul.troubles.append(error)
    return haul


async def _ours_already(deps: Dependencies, attempt: Attempt, *, count: int) -> frozenset[int]:
    if attempt.fetch_tries < 2 or count < 2:
        return frozenset()
    async with deps.database.transaction() as tx:
        return frozenset(await tx.media.positions_of(attempt.id))


async def _conclude(deps: Dependencies, attempt: Attempt, *, haul: _Haul) -> None:
    async with deps.database.transaction() as tx:
        job, current = await tx.jobs.lock_with_attempt(attempt.id)
        # Another worker, or the hard stop, came first; bytes without a row are swept later.
        if current.state is not AttemptState.SUCCEEDED:
            return
        media = await tx.media.insert_media(haul.kept, attempt=attempt)
        if haul.troubles and current.fetch_tries != attempt.fetch_tries:
            return  # this one stood still, and another worker has the result: it will conclude
        if all(isinstance(error, ResultTooLarge) for error in haul.troubles):
            await end(tx, job, attempt=current, troubles=haul.troubles, written=media)
            return
        if haul.kept and all(isinstance(error, NotTried) for error in haul.troubles):
            await tx.attempts.schedule_fetch(current.id, due=timedelta(0))
            tx.announce(topic.FETCH)
            return
        kind = kind_of(current, haul.troubles)
        deadline = deadline_of(deps, current, kind=kind)
        if tx.now() < deadline:
            await _requeue(deps, tx, job, attempt=current, haul=haul, kind=kind, deadline=deadline)
        else:
            await end(tx, job, attempt=current, troubles=haul.troubles)


async def _requeue(
    deps: Dependencies,
    tx: Transaction,
    job: Job,
    *,
    attempt: Attempt,
    haul: _Haul,
    kind: Trouble,
    deadline: datetime,
) -> None:
    tries, errors = attempt.fetch_tries, [type(error).__name__ for error in haul.troubles]
    _logger.warning("the result could not be fetched", errors=repr(haul.troubles), tries=tries)
    due = retry_after(deps, tries=tries, deadline=deadline)
    await tx.attempts.schedule_fetch(attempt.id, due=due, trouble=kind)
    # The claim told no more than when its lease ends.
    deps.engine.due_after(tx, topic.FETCH, span=due)
    await tx.jobs.note(
        job.id, event=JobEventKind.FETCH_FAILED, detail={"tries": tries, "errors": errors}
    )
    if tries >= DELAY_FROM_TRY and _is_delay_news(job, now=tx.now()):
        await revise(
            tx,
            job,
            event=JobEventKind.DELAYED,
            delay_reason=DelayReason.RESULT_DELAYED,
            delay_until_time=deadline,
        )


def _is_delay_news(job: Job, *, now: datetime) -> bool:
    """Return whether the user knows no time, or one that is over, until when the result is late."""
    if job.state is not JobState.RUNNING:
        return False
    is_told = job.delay_reason is DelayReason.RESULT_DELAYED
    is_over = job.delay_until_time is not None and job.delay_until_time <= now
    return job.delay_reason is None or (is_told and is_over)


async def end(
    tx: Transaction,
    job: Job,
    *,
    attempt: Attempt,
    troubles: Sequence[Exception] = (),
    written: Sequence[Media] = (),
) -> None:
    """Settle a success with what of it is ours, if that is anything.

    What this transaction has written of it saves a read where that is all.
    """
    files = len(attempt.observation.results) if attempt.observation else 0
    is_all = files > 0 and len(written) == files
    # Otherwise earlier tries may have brought some of the files.
    media = tuple(written) if is_all else tuple(await tx.media.media_of(attempt.id))
    missing = max(files - len(media), 0)
    if missing:
        _logger.error("files of the result are given up", errors=repr(troubles), files=missing)
    text = attempt.observation.result_text if attempt.observation else ""
    if media or text:
        result = Result(media=media, text=text, missing_count=missing)
        await _store_result(tx, job, attempt=attempt, result=result)
        return
    # The hard stop tried nothing: its attempt may still succeed if the success is reported again.
    state = AttemptState.FAILED if troubles else AttemptState.LOST
    await tx.attempts.end(attempt.id, state, error=repr(troubles) if troubles else "hard stop")
    await charge.release_unused(tx, job)
    if not job.state.is_final and not await tx.attempts.live(job.id):
        await settle(tx, job, _GONE, event=JobEventKind.GAVE_UP)


async def _store_result(tx: Transaction, job: Job, *, attempt: Attempt, result: Result) -> None:
    cost = charge.cost_of(attempt)
    if job.state.is_final:
        await tx.jobs.note(job.id, event=JobEventKind.KEPT_LATE, detail={"attempt": attempt.number})
        await keep_late(tx, job, attempt, result=result, cost=cost)
        return
    await tx.attempts.end(attempt.id, AttemptState.SETTLED)
    await settle(tx, job, result, event=JobEventKind.SETTLED, cost=cost)
