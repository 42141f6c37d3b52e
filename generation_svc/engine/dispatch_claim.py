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
from uuid import UUID

import structlog

from generation_svc.domain.account import Account
from generation_svc.domain.attempt import Attempt
from generation_svc.domain.error import Unavailable
from generation_svc.domain.port.dispatch import AccountView, DispatchView
from generation_svc.domain.port.provider import ProviderRequest
from generation_svc.domain.port.queue import Claim
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.provider_input import provider_input
from generation_svc.engine import breaker, rate_budget, submission
from generation_svc.engine.account import assign, call_wait, free_places
from generation_svc.engine.persist import persist
from generation_svc.engine.rate_budget import RatePermit
from generation_svc.lifecycle import input_media, reference, topic
from generation_svc.lifecycle.callback_address import CALLBACK_TOKEN_BYTES
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.token import new_token, token_hash

NOW = timedelta(0)
IDLE = timedelta(seconds=1)
LEAST_SCALE = 0.1
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OutgoingAttempt:
    """An attempt that is written and not sent yet."""

    attempt: Attempt
    request: ProviderRequest
    token: str
    permit: RatePermit


@dataclass(frozen=True, slots=True)
class DispatchItem:
    """A claimed job, with its attempt if it can be sent at once."""

    claim: Claim
    outgoing: OutgoingAttempt | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """The right to the one try of an account whose breaker is open."""

    account: Account


@dataclass(frozen=True, slots=True)
class FoundItems:
    """What a look at the queue brought."""

    items: Sequence[DispatchItem | Probe]
    next_due: timedelta | None
    """When to look again; None if nothing says so."""
    budget_wait: timedelta = NOW
    """When a call comes free, if that is all that is missing."""


async def look(deps: Dependencies, *, limit: int, probed: Account | None = None) -> FoundItems:
    """Claim at most so many jobs and probes; of an account that is probed whatever it can take."""
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
        work = partial(breaker.conclude, deps, item.account, is_answered=True)
    elif item.outgoing:
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
    probes = await _probes(deps, due[:limit])
    waits = [found.next_due, view.job_wait, *_probe_waits(deps, view, is_more=bool(due[limit:]))]
    next_due = min((wait for wait in waits if wait is not None), default=None)
    return FoundItems([*probes, *found.items], next_due, budget_wait=found.budget_wait)


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


async def _probes(deps: Dependencies, accounts: Sequence[Account]) -> list[Probe]:
    """Claim these probes, each apart.

    Whoever records an answer holds its job's lock when it comes to the breaker, and a claimer that
    held the breaker's would wait for the job.
    """
    probes = []
    for account in accounts:
        try:
            if await breaker.claim_probe(deps, account):
                probes.append(Probe(account))
        except Unavailable as error:  # the jobs are claimed all the same
            _logger.warning("a probe has to wait", account=str(account), error=str(error))
    return probes


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
    calls = [wait for wait in full if wait is not None]
    budget_wait = NOW if places else min(calls, default=NOW)
    return FoundItems(items, min(waits, default=None), budget_wait=budget_wait)


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
    """Return how often to look where only the end of a task helps, which nobody announces."""
    return IDLE * min(1.0, max(deps.timing.time_scale, LEAST_SCALE))


async def _claim_chosen(
    deps: Dependencies, tx: Transaction, chosen: Mapping[UUID, Account]
) -> list[DispatchItem]:
    claims = await tx.dispatch.claim(chosen, lease=deps.timing.submit_lease)
    outgoing = await _write_attempts(deps, tx, claims)
    return [DispatchItem(claim, outgoing.get(claim.job.id)) for claim in claims]


async def _write_attempts(
    deps: Dependencies, tx: Transaction, claims: Sequence[Claim]
) -> Mapping[UUID, OutgoingAttempt]:
    """Write the attempts of those that can be sent at once, with a call of the budget for each."""
    requests = {claim.job.id: _request(deps, claim) for claim in claims}
    calls = Counter(claim.account for claim in claims if requests[claim.job.id])
    if not calls:
        return {}
    limit, window = rate_budget.limit_of(deps, "create")
    # Made before the calls are taken, so that their age includes the time that the commit takes.
    permits = {a: RatePermit("create", account=a, window=window) for a in calls}
    taken = await tx.rate_budget.take_several("create", calls=calls, limit=limit, window=window)
    sent = _first_of_each([claim for claim in claims if requests[claim.job.id]], counts=taken)
    tokens = {claim.job.id: new_token(CALLBACK_TOKEN_BYTES) for claim in sent}
    attempts = await tx.dispatch.write_attempts(
        sent, token_hashes=[token_hash(token) for token in tokens.values()], time=tx.now()
    )
    return {
        each.job_id: OutgoingAttempt(each, request, tokens[each.job_id], permits[each.account])
        for each in attempts
        if (request := requests[each.job_id])
    }


def _first_of_each(claims: Sequence[Claim], *, counts: Mapping[Account, int]) -> list[Claim]:
    """Return so many claims of each account, those that are served first.

    Somebody else may have taken a call that was free before: then the last ones wait for theirs.
    """
    left = Counter(counts)
    first = []
    for claim in claims:
        if left[claim.account] > 0:
            left[claim.account] -= 1
            first.append(claim)
    return first


def _request(deps: Dependencies, claim: Claim) -> ProviderRequest | None:
    """Return what is sent of a job, unless something else has to be done before."""
    model = deps.models.catalog.models.get(claim.job.model_id)
    if model is None or claim.is_trial or _has_attempt(claim):
        return None
    inputs = claim.job.inputs
    if input_media.needs_upload(claim.job, model=model) or reference.job_ids(model, inputs):
        return None
    try:
        return ProviderRequest(model.id, provider_input(model, inputs, resolved={}))
    # One job must not keep the others of its batch from being claimed; it fails by itself later.
    except Exception:
        _logger.exception("a request cannot be made", job_id=str(claim.job.id))
        return None


def _has_attempt(claim: Claim) -> bool:
    """Return whether an attempt of it may come home, which is to be waited for."""
    return claim.attempts > 0
