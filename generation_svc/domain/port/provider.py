"""The provider of generations and the accounts with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from generation_svc.domain.observation import Observation


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """What a provider is asked to make, in its own words."""

    model_id: str
    inputs: Mapping[str, Any] = field(repr=False)
    """The model's fields under the provider's names."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The provider accepted the request and reports its outcome later."""

    handle: str
    """What the provider calls it: opaque text, at most 128 characters."""


@dataclass(frozen=True, slots=True)
class FreshLink:
    """A link to a result that the provider's API made when it was asked."""

    url: str = field(repr=False)
    is_proved: bool
    """Whether it came over TLS, so that the provider alone can have said it."""


class Provider(Protocol):
    """The one who generates. Every method raises a `ProviderError`.

    What is submitted, read and counted belongs to one of several accounts, each with limits, a
    breaker and a balance of its own. An account has a name, never a key, outside of the adapter.
    """

    @property
    def name(self) -> str:
        """What it is called in the paths of its callbacks, and in rows."""

    @property
    def accounts(self) -> Sequence[str]:
        """The names of the accounts that can be used, at least one."""

    @property
    def is_proved(self) -> bool:
        """Whether answers come over TLS, so that the provider alone can have given them."""

    async def submit(
        self, attempt_id: UUID, request: ProviderRequest, *, callback_url: str | None, account: str
    ) -> Submitted | Observation:
        """Ask for a generation; the answer may already be its result.

        The attempt's id goes along for providers that take an id of ours. Raises ProviderSilent
        when it is not known whether there is a task now; after every other error there is none.
        """

    async def read(self, handle: str, *, account: str) -> Observation:
        """Read what the provider knows of a task; `MISSING` if it knows none."""

    async def upload(self, path: Path, *, file_name: str, mime_type: str, account: str) -> str:
        """Hand over a file, in pieces, and return a link that it can read for a day."""

    async def fresh_link(self, url: str, *, account: str) -> FreshLink:
        """Return a new link to a result whose link died."""

    async def normal_share(self, model_id: str, *, account: str) -> float | None:
        """Return the share of the last hour in which a model did normally; None if unknown."""

    async def balance(self, account: str) -> Decimal:
        """Return what an account has left; the harmless call that shows whether it works."""
