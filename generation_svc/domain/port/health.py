"""Where it is kept how models have been doing."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Protocol

from generation_svc.domain.model_health import ModelHealth


class HealthStore(Protocol):
    """What our jobs show of models, and what the provider said of them."""

    async def of_models(
        self, model_ids: Collection[str], *, recent: timedelta, believed_for: timedelta
    ) -> Mapping[str, ModelHealth]:
        """Read what is known of models; what the provider said is believed for so long."""

    async def claim_read(
        self, model_ids: Collection[str], *, used_within: timedelta, every: timedelta
    ) -> str | None:
        """Choose the model that the provider is asked about next; of all replicas one may ask."""

    async def keep(self, model_id: str, *, normal_share: float | None) -> None:
        """Keep what the provider said of a model."""
