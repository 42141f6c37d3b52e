"""Records that an owner agreed to have a voice or a face copied."""

from generation_svc.domain.caller import Caller
from generation_svc.domain.consent import ConsentRecord
from generation_svc.domain.model import Consent
from generation_svc.lifecycle.dependencies import Dependencies


async def record_consent(
    deps: Dependencies, caller: Caller, *, owner: str, consent: Consent, wording_version: str
) -> ConsentRecord:
    """Write a consent and return it as it is recorded. Raises PermissionDenied."""
    caller.require_owner(owner)
    async with deps.database.transaction() as tx:
        return await tx.consents.record(
            owner, consent=consent, wording_version=wording_version, caller=caller.name
        )
