"""Models that the provider switched off."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID


class ModelStore(Protocol):
    """The models that the provider switched off, as all replicas know."""

    async def outages(self) -> Mapping[str, datetime]:
        """Read the models that are off, and until when they rest."""

    async def rest_left(self, model_id: str) -> timedelta | None:
        """Read how long a model that is off still rests; None if it is on."""

    async def begin_outage(self, model_id: str, *, rest: timedelta, text: str) -> bool:
        """Note that a model is off, and let it rest; return whether that is news."""

    async def claim_probe(self, model_id: str, *, job_id: UUID, span: timedelta) -> bool:
        """Let this job be the one that tries a model whose rest is over, for so long."""

    async def end_outage(self, model_id: str) -> bool:
        """Note that a model works; return whether it was off."""
