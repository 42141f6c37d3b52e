"""Keeps jobs from costing the operator more than it wants, and more than it has at the provider.

Both are sums over all jobs, read at most every five seconds by each process, to which it adds what
it accepted since. So processes together may pass a limit by what they accept in that time.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import structlog

from generation_svc.domain.clock import day_after, day_of
from generation_svc.domain.daily_cap import Cap, DailyCost
from generation_svc.domain.job import DelayReason, Job
from generation_svc.domain.money_error import DailyCapReached, ProviderBalanceLow
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.provider_balance import ProviderBalance
from generation_svc.lifecycle.accepted_cost import AcceptedCosts
from generation_svc.lifecycle.dependencies import Dependencies

_logger = structlog.get_logger(__name__)


class LimitedJob:
    """A job that is counted until it is known what became of it."""

    def __init__(self, job: Job, counts: list[AcceptedCosts]) -> None:
        self._job, self._counts = job, counts
        for each in counts:
            each.add(job)

    def keep(self) -> None:
        """Go on counting it, since it is accepted."""
        for each in self._counts:
            each.keep(self._job)

    def drop(self) -> None:
        """Count it no more, unless it was kept."""
        for each in self._counts:
            each.drop(self._job)


@asynccontextmanager
async def admitted(deps: Dependencies, job: Job) -> AsyncIterator[LimitedJob]:
    """Count a new job while it is accepted. Raises DailyCapReached, ProviderBalanceLow."""
    money = deps.money
    cost = await _daily_cost(deps) if money.caps.is_set else None
    balance = await _balance(deps) if _is_sold(deps, job) else None
    # From here to the count nothing is awaited, so that no other job comes in between.
    cap = _cap_reached(deps, job, cost=cost) if cost else None
    is_covered = balance is None or _is_covered(deps, job, balance=balance)
    counts = [money.daily_cost.accepted] if cost else []
    counts += [money.balance.accepted] if money.mode is not None else []
    counted = LimitedJob(job, counts if cap is None and is_covered else [])
    try:
        if cap is not None:
            raise await _capped(deps, cap)
        if not is_covered:
            raise _low(deps, job)
        yield counted
    finally:
        counted.drop()


def _is_sold(deps: Dependencies, job: Job) -> bool:
    return deps.money.mode is not None and job.price.credits != "0"


def _cap_reached(deps: Dependencies, job: Job, *, cost: DailyCost) -> Cap | None:
    since = deps.money.daily_cost.accepted
    known = cost.with_jobs(free=since.free, overall=since.overall)
    own = job.price.cost or Decimal(0)
    return known.reached(deps.money.caps, cost=own, is_free=job.price.is_free)


def _is_covered(deps: Dependencies, job: Job, *, balance: ProviderBalance) -> bool:
    own = job.price.cost or Decimal(0)
    return balance.covers(deps.money.balance.accepted.overall + own)


async def _daily_cost(deps: Dependencies) -> DailyCost:
    """Return what the jobs of today cost, as known a moment ago."""
    today, recent = day_of(deps.database.now()), deps.money.daily_cost

    async def read(tx: Transaction) -> DailyCost:
        return await tx.money.daily_cost(today)

    known = await recent.get(read, database=deps.database)
    if known.day is not None and known.day != today.date():
        recent.expire()
        known = await recent.get(read, database=deps.database)
    for cap, cost in ((Cap.FREE, known.free), (Cap.ALL, known.overall)):
        deps.meter.daily_cost.labels(cap.value).set(float(cost))
    return known


async def _capped(deps: Dependencies, cap: Cap) -> DailyCapReached:
    """Return the refusal, and tell the operator once a day."""
    now = deps.database.now()
    deps.meter.unaffordable_jobs.labels(cap.value).inc()
    if deps.money.capped_days.get(cap) != now.date():
        async with deps.database.transaction() as tx:
            is_news = await tx.money.claim_day(f"daily cap {cap}", day=now.date())
        deps.money.capped_days[cap] = now.date()
        if is_news:
            _logger.error("the limit of the day is reached", action="daily_cap", cap=cap.value)
    return DailyCapReached(cap, retry_after=day_after(now) - now)


async def _balance(deps: Dependencies) -> ProviderBalance:
    """Return what the usable accounts have left, as known a moment ago."""

    async def read(tx: Transaction) -> ProviderBalance:
        accounts, age = deps.provider.accounts, deps.timing.balance_age
        states = await tx.breaker.states(accounts)
        refused = DelayReason.PROVIDER_ACCOUNT
        usable = [each for each in accounts if states[each].reason is not refused]
        told = await tx.breaker.balances(usable, within=age)
        left = sum(told.values(), Decimal(0)) if len(told) == len(usable) else None
        return ProviderBalance(left, await tx.money.open_cost(within=age))

    return await deps.money.balance.get(read, database=deps.database)


def _low(deps: Dependencies, job: Job) -> ProviderBalanceLow:
    deps.meter.unaffordable_jobs.labels("balance").inc()
    _logger.error(
        "the accounts at the provider do not cover the jobs that are open",
        action="provider_balance_low",
        model=job.model_id,
        cost=str(job.price.cost),
    )
    return ProviderBalanceLow(job.model_id)
