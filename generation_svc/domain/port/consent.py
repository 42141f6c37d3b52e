"""The consents of owners."""

from typing import Protocol

from generation_svc.domain.consent import ConsentRecord
from generation_svc.domain.model import Consent


class ConsentStore(Protocol):
    """What owners agreed to."""

    async def find(self, owner: str, *, consent: Consent) -> ConsentRecord | None:
        """Return what an owner agreed to, or None."""

    async def record(
        self, owner: str, *, consent: Consent, wording_version: str, caller: str
    ) -> ConsentRecord:
        """Write what an owner agreed to; the same wording again changes nothing."""
