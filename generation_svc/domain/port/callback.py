"""Callbacks as they came, and what reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from generation_svc.domain.failure import Failure
from generation_svc.domain.observation import Observation


class CallbackReader(Protocol):
    """Reads what the provider posts, and puts its failures into words."""

    def read(self, body: bytes) -> Observation:
        """Read what a callback says; any bytes at all give an observation."""

    def is_signed(self, headers: Mapping[str, str], *, task_id: str | None) -> bool:
        """Return whether the headers prove that the provider spoke of this task just now.

        True where no key for signatures is set: the token alone is the proof then.
        """

    def explain(self, observation: Observation) -> Failure:
        """Say in words for people why a task failed."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A callback as it was stored, before it is applied."""

    id: UUID
    body: bytes
    attempt_id: UUID | None
    is_trusted: bool


class ReceiptStore(Protocol):
    """Callbacks as they came."""

    async def insert(
        self, receipt: Receipt, *, task_id: str | None, headers: Mapping[str, str]
    ) -> None:
        """Keep a callback."""

    async def finish(self, receipt_id: UUID, *, outcome: str) -> None:
        """Note what came of it."""

    async def pending(self, *, older_than: timedelta, limit: int) -> Sequence[Receipt]:
        """Read receipts that were stored and never applied."""

    async def trim(self, *, keep: int) -> None:
        """Forget the oldest callbacks that are not believed: anybody can post those."""
