"""Asks whether an owner agreed to what a model copies of a person."""

from generation_svc.domain.model import Consent, Model
from generation_svc.lifecycle.dependencies import Dependencies


async def missing_consent(deps: Dependencies, model: Model, *, owner: str) -> Consent | None:
    """Return what the model copies and the owner has not agreed to; None where nothing is."""
    consent = model.consent
    if consent is None:
        return None
    found = await deps.database.read(lambda tx: tx.consents.find(owner, consent=consent))
    return None if found else consent
