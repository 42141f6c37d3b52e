"""The consents of owners."""

from collections.abc import Sequence
from typing import Protocol

from generation_svc.domain.consent import ConsentRecord
from generation_svc.domain.model import Consent


class ConsentStore(Protocol):
    """What owners agreed to."""

    async def find(self, owner: str, *, consent: Consent) -> ConsentRecord | None:
        """Return what an owner agreed to, or None."""

    async def page(self, owner: str, *, after: str, limit: int) -> Sequence[ConsentRecord]:
        """Return what an owner agreed to, by kind, of the kinds after one."""

    async def withdraw(self, owner: str, *, consent: Consent) -> None:
        """Forget what an owner agreed to; where it agreed to nothing, nothing changes."""

    async def record(
        self, owner: str, *, consent: Consent, wording_version: str, caller: str
    ) -> ConsentRecord:
        """Write what an owner agreed to; the same wording again changes nothing."""
