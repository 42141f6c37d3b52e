"""Applies observations of a task, from callbacks and from polling alike.

The job's row is locked first, then the attempt's; so the second of two
observations finds what the first one did, and nothing happens twice.
"""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import Job, JobState, Result
from generation_svc.domain.observation import Observation, ProviderState, Source
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle import charge, model_outage, model_revision, topic
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.fetch_handover import FetchHandover
from generation_svc.lifecycle.record import revise, settle

MAX_TEXT = 500
"""How much of the provider's words about a failure that no table explains is kept in the trace."""
_WORDS = {
    ProviderState.UNKNOWN: "the provider reported an unknown state",
    ProviderState.EMPTY: "the provider reported a success without a result",
}
_LATE: Mapping[Source, JobEventKind] = {
    "callback": JobEventKind.CALLBACK_LATE,
    "poll": JobEventKind.POLL_LATE,
    "answer": JobEventKind.ANSWER_LATE,
}
_logger = structlog.get_logger(__name__)


async def observe(
    deps: Dependencies, attempt: Attempt, *, observation: Observation, source: Source
) -> bool:
    """Apply an observation that is believed; return whether it changed anything."""
    async with deps.database.transaction() as tx:
        return await apply(deps, tx, attempt=attempt, observation=observation, source=source)


async def apply(
    deps: Dependencies,
    tx: Transaction,
    *,
    attempt: Attempt,
    observation: Observation,
    source: Source,
) -> bool:
    """Do the same as a part of a transaction."""
    # Everybody locks in this order, or two transactions would wait for each other.
    job, current = await tx.jobs.lock_with_attempt(attempt.id)
    if observation.state in (ProviderState.UNKNOWN, ProviderState.EMPTY):
        _logger.warning(_WORDS[observation.state], word=observation.word)
    await charge.book_cost(deps, tx, job=job, attempt=current, observation=observation)
    if not _is_news(job, current, observation=observation):
        return await _note_late(tx, job, current, observation=observation, source=source)
    await tx.jobs.note(job.id, event=JobEventKind(source), detail=_detail(current, observation))
    if observation.state is ProviderState.SUCCEEDED:
        await _succeed(deps, tx, job=job, attempt=current, observation=observation, source=source)
        return True
    if observation.state is ProviderState.FAILED:
        await _fail(deps, tx, job=job, attempt=current, observation=observation)
        return True
    return await _see(deps, tx, job=job, attempt=current, observation=observation)


def _is_news(job: Job, attempt: Attempt, *, observation: Observation) -> bool:
    """Return whether this can change anything: nothing is read into what is over.

    A success is, even of an attempt that was refused or given up, while its job still waits: the
    provider may say "not now" and create the task all the same. One that comes after its job has
    failed is kept beside the failure, free of charge. Not so of a cancelled job: an attempt that
    lives could be charged, and its hold is gone.
    """
    if attempt.is_live:
        return attempt.state is not AttemptState.SUCCEEDED
    is_written_off = attempt.state in (AttemptState.REFUSED, AttemptState.LOST)
    is_success = observation.state is ProviderState.SUCCEEDED
    may_keep = not job.state.is_final or job.state is JobState.FAILED
    return is_written_off and is_success and may_keep


async def take(
    deps: Dependencies, tx: Transaction, *, job: Job, attempt: Attempt, task_id: str
) -> None:
    """Record that the provider has this task; the job runs, if it was waiting for that."""
    usual, _ = deps.models.durations(job.model_id)
    typical = deps.views.queue.known_typical(job.model_id)
    first_read = deps.timing.first_read(
        typical=typical or usual * deps.timing.time_scale,
        has_callbacks=deps.provider.callback_base_url is not None,
    )
    await tx.attempts.accept(attempt.id, task_id=task_id, first_read=first_read)
    if first_read is not None:
        deps.engine.due_after(tx, topic.READ, span=first_read)
    await _run(deps, tx, job=job, attempt=attempt)


async def _run(deps: Dependencies, tx: Transaction, *, job: Job, attempt: Attempt) -> Job:
    if job.state is not JobState.QUEUED:
        return job
    _, longest = deps.models.durations(job.model_id)
    return await revise(
        tx,
        job,
        event=JobEventKind.TAKEN,
        detail={"attempt": attempt.number},
        state=JobState.RUNNING,
        delay_reason=None,
        finish_deadline_time=tx.now() + longest * deps.timing.longest_factor,
    )


async def _succeed(
    deps: Dependencies,
    tx: Transaction,
    *,
    job: Job,
    attempt: Attempt,
    observation: Observation,
    source: Source,
) -> None:
    job = await _run(deps, tx, job=job, attempt=attempt)
    observation = await _as_promised(deps, tx, job=job, observation=observation)
    if observation.results:
        await _have_fetched(deps, tx, attempt=attempt, observation=observation, source=source)
        return
    await tx.attempts.succeed(attempt.id, observation, source=source)
    await tx.attempts.end(attempt.id, AttemptState.SETTLED)
    result = Result(text=observation.result_text)
    if job.state.is_final:
        await charge.capture_late(tx, job, result, cost=observation.cost)
        return
    await settle(tx, job, result, event=JobEventKind.SETTLED, cost=observation.cost)


async def _as_promised(
    deps: Dependencies, tx: Transaction, *, job: Job, observation: Observation
) -> Observation:
    """Return a result as the model's document promises it; data is called as the model is."""
    model = await model_revision.of_job(deps, job, tx=tx)
    if model is None:
        return observation
    shaped = deps.provider.callbacks.shape(observation, form=model.result)
    named = (
        replace(item, title=model.title.en) if item.content and not item.title else item
        for item in shaped.results
    )
    return replace(shaped, results=tuple(named))


async def _have_fetched(
    deps: Dependencies,
    tx: Transaction,
    *,
    attempt: Attempt,
    observation: Observation,
    source: Source,
) -> None:
    """Have a result fetched: by this process if it has a place for that, else by anybody."""
    slot = deps.engine.try_reserve(topic.FETCH)
    if slot is None:
        await tx.attempts.succeed(attempt.id, observation, source=source)
        tx.announce(topic.FETCH)
        return
    handover = FetchHandover(tx, slot=slot)
    handover.claimed = await tx.attempts.succeed(
        attempt.id, observation, source=source, lease=deps.timing.fetch_lease
    )


async def _fail(
    deps: Dependencies, tx: Transaction, *, job: Job, attempt: Attempt, observation: Observation
) -> None:
    """A failure ends the job only if no other attempt of it can still bring a result."""
    await tx.attempts.see(attempt.id, observation)
    await tx.attempts.end(attempt.id, AttemptState.FAILED, error=observation.fail_code)
    failure = deps.provider.callbacks.explain(observation)
    if failure.reason is FailureReason.MODEL_UNAVAILABLE:
        await model_outage.begin(deps, tx, model_id=job.model_id, text=observation.fail_message)
    if failure.reason is FailureReason.GENERATION_FAILED:
        text = observation.fail_message[:MAX_TEXT]
        detail = {"attempt": attempt.number, "code": observation.fail_code, "text": text}
        await tx.jobs.note(job.id, event=JobEventKind.UNEXPLAINED, detail=detail)
    await charge.release_unused(tx, job)
    # The attempt was ended above, so `live` counts only the others.
    if not job.state.is_final and not await tx.attempts.live(job.id):
        await settle(tx, job, failure, event=JobEventKind.SETTLED)


async def _see(
    deps: Dependencies, tx: Transaction, *, job: Job, attempt: Attempt, observation: Observation
) -> bool:
    """Keep what is not final; a task id is news for an attempt that had no answer."""
    # An attempt of unknown fate is adopted here: its callback knows the task that no answer named.
    await tx.attempts.see(attempt.id, observation)
    if attempt.task_id is None and observation.task_id is not None:
        await take(deps, tx, job=job, attempt=attempt, task_id=observation.task_id)
        return True
    return False


async def _note_late(
    tx: Transaction, job: Job, attempt: Attempt, *, observation: Observation, source: Source
) -> bool:
    detail = _detail(attempt, observation)
    await tx.jobs.note(job.id, event=_LATE[source], detail=detail)
    await keep_cost(tx, job, attempt, observation=observation)
    return False


async def keep_cost(
    tx: Transaction, job: Job, attempt: Attempt, *, observation: Observation
) -> None:
    """Keep what an attempt took that nobody knew at its end; its job is locked, and pays by it."""
    cost = observation.cost
    if cost is not None and observation.is_final and await tx.attempts.keep_cost(attempt.id, cost):
        await charge.lower(tx, job, attempt, cost=cost)


def _detail(attempt: Attempt, observation: Observation) -> dict[str, object]:
    return {
        "attempt": attempt.number,
        "state": observation.state,
        "word": observation.word,
        "fail_code": observation.fail_code,
    }
