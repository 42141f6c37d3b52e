"""Keeps what owners agreed to have copied: a voice or a face."""

from collections.abc import Sequence

from generation_svc.domain.caller import Caller
from generation_svc.domain.consent import ConsentRecord
from generation_svc.domain.model import Consent
from generation_svc.lifecycle.dependencies import Dependencies


async def record(
    deps: Dependencies, caller: Caller, *, owner: str, consent: Consent, wording_version: str
) -> ConsentRecord:
    """Write a consent and return it as it is recorded. Raises PermissionDenied."""
    caller.require_owner(owner)
    async with deps.database.transaction() as tx:
        return await tx.consents.record(
            owner, consent=consent, wording_version=wording_version, caller=caller.name
        )


async def page(
    deps: Dependencies, caller: Caller, *, owner: str, after: str, limit: int
) -> Sequence[ConsentRecord]:
    """Read what an owner agreed to, by kind. Raises PermissionDenied."""
    caller.require_owner(owner)
    return await deps.database.read(lambda tx: tx.consents.page(owner, after=after, limit=limit))


async def withdraw(deps: Dependencies, caller: Caller, *, owner: str, consent: Consent) -> None:
    """Forget a consent; what was accepted with it goes on. Raises PermissionDenied."""
    caller.require_owner(owner)
    async with deps.database.transaction() as tx:
        await tx.consents.withdraw(owner, consent=consent)
