"""Where a job goes that refers to what an earlier one made: to the account that made it."""

from collections.abc import Sequence
from uuid import UUID

from generation_svc.domain.error import ReferenceUnavailable
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.dependencies import Dependencies


async def account_for(
    deps: Dependencies, tx: Transaction, *, caller: str, job_ids: Sequence[UUID]
) -> str | None:
    """Return the name of the account that alone knows these jobs; None if there are none.

    Raises ReferenceUnavailable for a job that is not this caller's, that made nothing, whose
    account is gone, or that was made on another account than the one before it.
    """
    name: str | None = None
    for job_id in job_ids:
        account = await tx.attempts.account_of(job_id, caller=caller)
        if account is None or account not in deps.provider.accounts:
            raise ReferenceUnavailable(str(job_id))
        if name not in (None, account.name):
            raise ReferenceUnavailable(str(job_id))
        name = account.name
    return name
