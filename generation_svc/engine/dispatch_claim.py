"""Claims the queued jobs that are served next, and writes the attempts that are sent at once.

It is one transaction, and claimers take turns: so the places at the provider, the calls of the
budgets and the fair order are exact, however many replicas there are. What cannot be sent at once
is only claimed: its media is handed over first, its model is tried, or an earlier attempt of it may
still come home.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeAlias
from uuid import UUID

from generation_svc.domain.account import Account
from generation_svc.domain.port.dispatch import AccountView, DispatchView
from generation_svc.domain.port.queue import Claim
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine import outgoing_attempt, rate_budget, submission
from generation_svc.engine.account import assign, call_wait, free_places
from generation_svc.engine.outgoing_attempt import OutgoingAttempt
from generation_svc.engine.persist import persist
from generation_svc.engine.work import Batch
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.dependencies import Dependencies

NOW = timedelta(0)
LOOK_AGAIN = timedelta(milliseconds=20)
"""When to look again where a call or a job was taken between the look and the claim."""
LOOK_EVERY = timedelta(seconds=1)
"""How often to look where only the end of a task helps, which nobody announces."""
LONGEST_BLOCK = timedelta(seconds=5)
"""How long new jobs are not looked for at most: that an account is back may not be heard."""
LEAST_SCALE = 0.1
"""How much more often at most, where time is scaled."""


@dataclass(frozen=True, slots=True)
class DispatchItem:
    """A claimed job, with its attempt if it can be sent at once."""

    claim: Claim
    outgoing: OutgoingAttempt | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """The one try of an account whose breaker is open, for whoever takes the right to it.

    It is not claimed with the jobs. Whoever records an answer holds its job's lock when it comes to
    the breaker, and a claimer that held the breaker's would wait for the job; and jobs that are
    claimed must not wait for the breaker of another account.
    """

    account: Account


FoundItems: TypeAlias = Batch[DispatchItem | Probe]
"""What a look at the queue brought."""


async def look(deps: Dependencies, *, limit: int, probed: Account | None = None) -> FoundItems:
    """Claim at most so many jobs, and find probes; of a probed account whatever it can take.

    Nothing is sent while nobody knows whether the database is a restored one.
    """
    if deps.money.unread:
        return Batch(next_due=LOOK_EVERY, blocked_for=LOOK_EVERY)
    looking = asyncio.ensure_future(_look(deps, limit=limit, probed=probed))
    try:
        # Shielded, and on cancellation waited for: nobody else knows what was claimed.
        return await asyncio.shield(looking)
    except asyncio.CancelledError:
        await asyncio.wait({looking})
        if not looking.cancelled() and not looking.exception():
            for item in looking.result().items:
                await give_back(deps, item)
        raise


async def give_back(deps: Dependencies, item: DispatchItem | Probe) -> None:
    """Let another dispatcher do at once what was claimed here and not begun."""
    if isinstance(item, Probe):
        return
    if item.outgoing:
        attempt = item.outgoing.attempt
        why = "not sent: the service stopped"
        work = partial(submission.withdraw, deps, item.claim, attempt=attempt, why=why)
    else:
        work = partial(release, deps, item.claim, due=NOW)
    await persist(work)


async def release(deps: Dependencies, claim: Claim, *, due: timedelta) -> None:
    """Let another dispatcher go on with a job, at once or when a part may be back."""
    async with deps.database.transaction() as tx:
        await tx.queue.release(claim, due=due)
        tx.announce(topic.DISPATCH)


async def _look(deps: Dependencies, *, limit: int, probed: Account | None) -> FoundItems:
    async with deps.database.transaction() as tx:
        view = await _view(deps, tx, accounts=(probed,) if probed else deps.provider.accounts)
        due = [] if probed else [a for a, each in view.accounts.items() if _is_probe_due(each)]
        usable = {a: each for a, each in view.accounts.items() if probed or not each.is_open}
        found = await _claim(deps, tx, usable, limit=limit - len(due[:limit]))
    probe_waits = _probe_waits(deps, view, is_more=bool(due[limit:]))
    return Batch(
        [*map(Probe, due[:limit]), *found.items],
        _earliest(found.next_due, view.job_wait, *probe_waits),
        blocked_for=_earliest(found.blocked_for, LONGEST_BLOCK, *probe_waits) or NOW,
    )


def _earliest(*waits: timedelta | None) -> timedelta | None:
    return min((wait for wait in waits if wait is not None), default=None)


async def _view(
    deps: Dependencies, tx: Transaction, *, accounts: Sequence[Account]
) -> DispatchView:
    limit, window = rate_budget.limit_of(deps, "create")
    return await tx.dispatch.view(
        accounts, lease=deps.timing.submit_lease, limit=limit, window=window
    )


def _is_probe_due(view: AccountView) -> bool:
    return view.is_open and view.probe_wait is not None and view.probe_wait <= NOW


def _probe_waits(
    deps: Dependencies, view: DispatchView, *, is_more: bool
) -> list[timedelta | None]:
    """Return when open breakers are probed next; who probes now announces its end."""
    if is_more:
        return [NOW]
    open_ = [each for each in view.accounts.values() if each.is_open]
    return [deps.timing.submit_lease if _is_probe_due(each) else each.probe_wait for each in open_]


async def _claim(
    deps: Dependencies, tx: Transaction, views: Mapping[Account, AccountView], *, limit: int
) -> FoundItems:
    """Claim what can be sent now, and no more.

    Whoever claims more than the budget allows has jobs stand before one that comes meanwhile, and
    whose owner is first.
    """
    places = free_places(deps, views)
    # One more than can be claimed says whether it is worth coming back.
    most = min(limit, sum(places.values()))
    jobs = await tx.dispatch.waiting(list(places), limit=most + 1) if most else ()
    chosen = assign(jobs, places=places, limit=limit)
    items = await _claim_chosen(deps, tx, chosen) if chosen else []
    full = [call_wait(deps, view) for account, view in views.items() if account not in places]
    waits = [_idle(deps) if wait is None else wait for wait in full]
    if len(jobs) > len(chosen) or (places and not most):
        waits.append(_wait_for_more(deps, views, places, chosen=chosen, limit=limit))
    if items:
        waits.append(deps.timing.submit_lease)  # an item that fails by a fault is due then
    if len(items) < len(chosen):
        waits.append(LOOK_AGAIN)
    return Batch(
        items,
        min(waits, default=None),
        blocked_for=NOW if places else min(waits, default=LONGEST_BLOCK),
    )


def _wait_for_more(
    deps: Dependencies,
    views: Mapping[Account, AccountView],
    places: Mapping[Account, int],
    *,
    chosen: Mapping[UUID, Account],
    limit: int,
) -> timedelta:
    """Return when the due jobs that were not chosen can be."""
    taken = Counter(chosen.values())
    if len(chosen) >= limit or any(places[account] > taken[account] for account in places):
        return NOW
    waits = [call_wait(deps, views[account], taken=taken[account]) for account in places]
    return min(_idle(deps) if wait is None else wait for wait in waits)


def _idle(deps: Dependencies) -> timedelta:
    return LOOK_EVERY * min(1.0, max(deps.timing.time_scale, LEAST_SCALE))


async def _claim_chosen(
    deps: Dependencies, tx: Transaction, chosen: Mapping[UUID, Account]
) -> list[DispatchItem]:
    claims = await tx.dispatch.claim(chosen, lease=deps.timing.submit_lease)
    written, short = await outgoing_attempt.write(deps, tx, claims)
    for claim in short:  # claimed, it would stand before one that comes meanwhile and is first
        await tx.queue.release(claim, due=NOW)
    late = {claim.job.id for claim in short}
    return [
        DispatchItem(claim, written.get(claim.job.id))
        for claim in claims
        if claim.job.id not in late
    ]
