"""Webhooks: their posts and their addresses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from generation_svc.domain.delivery import (
    Delivery,
)
from generation_svc.domain.webhook import WebhookEndpoint


@dataclass(frozen=True, slots=True)
class WebhookPost:
    """What is posted to a webhook."""

    id: UUID
    """The same one at every try, so that the receiver knows a repetition."""
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    """The keys that sign it, newest first."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What came of a post."""

    status: int
    """The HTTP status; 0 where there was none."""
    problem: str = ""
    """Why there was none, in words for the job's trace."""
    retry_after: timedelta | None = None
    """How long the receiver asks to be left alone."""


class WebhookSender(Protocol):
    """Posts to the addresses that callers name."""

    def check(self, url: str, *, field: str = "webhook.url") -> None:
        """Raise InvalidInputs, with one violation of the field, for what is never posted to."""

    async def post(self, post: WebhookPost) -> WebhookAnswer:
        """Post once, in bounded time; whatever goes wrong is an answer, too."""


class WebhookStore(Protocol):
    """The deliveries that the service sends itself, and the addresses that are gone."""

    async def begin(self, *, span: timedelta, most_per_host: int) -> Delivery | None:
        """Lease and begin a due delivery, of the host with the fewest under way.

        None if nothing is due, or only for hosts that have `most_per_host` under way.
        """

    async def next_due(self) -> timedelta | None:
        """Return in how long a delivery is due, whichever its host; None if there is none."""

    async def disable(self, url: str, *, caller: str, reason: str) -> None:
        """Note that an address is gone; whatever still waits to be posted to it never will be."""

    async def enable(self, url: str, *, caller: str) -> WebhookEndpoint | None:
        """Let an address be posted to again; None if it never was."""

    async def note(self, url: str, *, caller: str, answer: WebhookAnswer) -> None:
        """Count a post to an address, and keep what came of it as the latest."""

    async def page(
        self, *, caller: str, is_disabled: bool | None, after: str, limit: int
    ) -> Sequence[WebhookEndpoint]:
        """Read addresses of a caller behind `after`, in their order."""

    async def forget_idle(self, *, older_than: timedelta, limit: int) -> int:
        """Remove enabled addresses that were not posted to for so long; return how many."""

    async def is_disabled(self, url: str, *, caller: str) -> bool:
        """Return whether an address is disabled."""
