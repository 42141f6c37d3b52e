"""Chooses the account of a job that refers to an earlier one: the account that made it."""

from collections.abc import Sequence

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.error import ReferenceUnavailable
from generation_svc.lifecycle.dependencies import Dependencies


def account_for(deps: Dependencies, makers: Sequence[Attempt]) -> str | None:
    """Return the name of the account that made all of this and alone knows it; None for nothing.

    Raises ReferenceUnavailable for what was made on an account that is gone, or on another one than
    what stands before it.
    """
    account = makers[0].account if makers else None
    for maker in makers:
        if maker.account != account or maker.account not in deps.provider.accounts:
            raise ReferenceUnavailable(str(maker.job_id))
    return account.name if account else None
