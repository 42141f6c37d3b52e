"""Reads tasks of attempts that have ended: what they cost, and whether they succeeded after all.

Some callbacks name no cost. The result and the outcome do not wait for it: the attempt has ended,
and its row is due to be read a few times more, each time after a longer wait. One that was given up
is read in the same way: if its task succeeds later and the callback is lost, nobody else would ask.
"""

import structlog

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.error import ProviderError
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.engine import rate_budget
from generation_svc.engine.work import Batch, Work
from generation_svc.lifecycle import charge
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.observe import keep_cost, observe

COST_READS = 9
"""How often it is read; each wait is three times as long, together four and a half hours."""
MOST_READS = 2 * COST_READS
"""How many reads there may be, with those whose process was killed, to take up a success."""
_logger = structlog.get_logger(__name__)


async def _claim(deps: Dependencies, *, limit: int) -> Batch[Attempt]:
    async with deps.database.transaction() as tx:
        attempts, next_due = await tx.attempts.claim_costs(
            first_wait=deps.timing.cost_retry, readable=deps.provider.accounts, limit=limit
        )
    return Batch(attempts, next_due)


async def _do(deps: Dependencies, attempt: Attempt, /) -> None:
    structlog.contextvars.bind_contextvars(job_id=str(attempt.job_id))
    # Shorter than its claim, or another replica would read it as well; live tasks wait longer.
    wait = min(deps.timing.read_lease, deps.timing.cost_retry) / 2
    permit = await rate_budget.reserve(deps, "read", account=attempt.account, max_wait=wait)
    if permit is None or permit.is_over:
        await _put_off(deps, attempt)
        return
    async with rate_budget.making(deps, permit):
        told = await _ask(deps, attempt)
    if told is not None and _is_late_success(attempt, told):
        await observe(deps, attempt, observation=told, source="poll")
    elif told is not None and told.cost is not None:
        async with deps.database.transaction() as tx:
            job, ended = await tx.jobs.lock_with_attempt(attempt.id)
            await charge.book_cost(deps, tx, job=job, attempt=ended, observation=told)
            await keep_cost(tx, job, ended, observation=told)
    if attempt.cost_reads >= COST_READS:
        await _give_up(deps, attempt)


WORK = Work("cost", None, concurrency=1, claim=_claim, do=_do)
"""Reading what nobody told; without an announcement, since nobody waits for it."""


def _is_late_success(attempt: Attempt, told: Observation) -> bool:
    """Return whether a task succeeded whose attempt was given up.

    One that is given up again and again, since its files cannot be had, is left at last.
    """
    is_success = told.state is ProviderState.SUCCEEDED
    return is_success and attempt.is_written_off and attempt.cost_reads <= MOST_READS


async def _ask(deps: Dependencies, attempt: Attempt) -> Observation | None:
    assert attempt.task_id is not None  # what has no task is not due
    account = attempt.account
    try:
        observation = await deps.provider.client.read(attempt.task_id, account=account.name)
    except ProviderError as error:  # the claim has set the next try
        _logger.info("an ended task could not be read", error=repr(error), account=str(account))
        return None
    # What a task took is final with the task alone: before, it may be given back.
    return observation if observation.is_final else None


async def _put_off(deps: Dependencies, attempt: Attempt) -> None:
    """Ask later, and count no read: there was no room for one."""
    async with deps.database.transaction() as tx:
        await tx.attempts.put_off_cost(attempt.id, due=deps.timing.cost_retry)


async def _give_up(deps: Dependencies, attempt: Attempt) -> None:
    async with deps.database.transaction() as tx:
        is_news = await tx.attempts.give_up_cost(attempt.id)
    if is_news:
        account = attempt.account
        deps.meter.unknown_costs.labels(provider=account.provider, account=account.name).inc()
        _logger.warning("the provider does not tell what a task cost", account=str(account))
