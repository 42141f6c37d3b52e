"""The one who generates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from generation_svc.domain.observation import Observation


@dataclass(frozen=True, slots=True)
class FreshLink:
    """A link to a result that the provider's API made when it was asked."""

    url: str = field(repr=False)
    is_proved: bool
    """Whether it came over TLS, so that the provider alone can have said it."""


class Provider(Protocol):
    """The one who generates. Every method raises a `ProviderError`."""

    @property
    def name(self) -> str:
        """What it is called in the paths of its callbacks."""

    @property
    def is_proved(self) -> bool:
        """Whether answers come over TLS, so that the provider alone can have given them."""

    async def create_task(
        self, model_id: str, inputs: Mapping[str, Any], *, callback_url: str | None
    ) -> str:
        """Create a task and return its id.

        Raises ProviderSilent when it is not known whether there is a task now; after every other
        error there is none.
        """

    async def read_task(self, task_id: str) -> Observation:
        """Read what the provider knows of a task; `MISSING` if it knows none."""

    async def upload(self, path: Path, *, file_name: str, mime_type: str) -> str:
        """Hand over a file, in pieces, and return a link that it can read for a day."""

    async def fresh_link(self, url: str) -> FreshLink:
        """Return a new link to a result whose link died."""

    async def credits(self) -> Decimal:
        """Return the balance of the account; the harmless call that shows whether it works."""
