"""Chooses the account that a job is sent on, by free capacity."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from generation_svc.domain.account import Account
from generation_svc.domain.port.dispatch import AccountView, WaitingJob
from generation_svc.engine import rate_budget
from generation_svc.lifecycle.dependencies import Dependencies


def free_places(deps: Dependencies, views: Mapping[Account, AccountView]) -> Mapping[Account, int]:
    """Return how many jobs each account can take now; an account that can take none is left out."""
    places = {
        account: min(
            deps.limits.active_tasks - view.load.active, view.free_calls - view.load.claims
        )
        for account, view in views.items()
    }
    return {account: count for account, count in places.items() if count > 0}


def assign(
    jobs: Sequence[WaitingJob], *, places: Mapping[Account, int], limit: int
) -> Mapping[UUID, Account]:
    """Give each of these jobs an account, the one with most left, as long as there are places.

    A job that one account alone can do stands before nobody if that account has none left.
    """
    left = dict(places)
    chosen: dict[UUID, Account] = {}
    for job in jobs:
        able = [a for a, count in left.items() if count and job.account in (None, a.name)]
        if able and len(chosen) < limit:
            account = max(able, key=left.__getitem__)
            left[account] -= 1
            chosen[job.id] = account
    return chosen


def call_wait(deps: Dependencies, view: AccountView, *, taken: int = 0) -> timedelta | None:
    """Return when an account without a place has one again; None if a task has to end first."""
    if view.load.active + taken >= deps.limits.active_tasks:
        return None
    limit, window = rate_budget.limit_of(deps, "create")
    if view.call_wait is not None:
        return view.call_wait
    # Where claims speak for all calls one ends now and then; else all were taken just now.
    return window / limit if view.load.claims >= limit else window
