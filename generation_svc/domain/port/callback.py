"""Stored callbacks and their reader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from generation_svc.domain.failure import Failure
from generation_svc.domain.model import ResultForm
from generation_svc.domain.observation import Observation


class Evidence(StrEnum):
    """How much of a callback is proved by what came with it, beside the token of its path."""

    NONE = "none"
    """Nothing."""
    TASK = "task"
    """That the provider spoke of this task just now, not what it said."""


class CallbackReader(Protocol):
    """Reads what the provider posts, and puts its failures into words."""

    @property
    def wants_evidence(self) -> bool:
        """Whether a callback without evidence is a hint only; else the token alone is the proof."""

    def read(self, body: bytes) -> Observation:
        """Read what a callback says; any bytes at all give an observation."""

    def evidence(self, headers: Mapping[str, str], body: bytes) -> Evidence:
        """Return how much of a callback is proved; names of headers are in lower case."""

    def shape(self, observation: Observation, *, form: ResultForm) -> Observation:
        """Return what was observed as the model's document promises a result."""

    def explain(self, observation: Observation) -> Failure:
        """Say in words for people why a task failed."""


@dataclass(frozen=True, slots=True)
class StoredCallback:
    """A callback as it is stored."""

    id: UUID
    body: bytes
    attempt_id: UUID | None
    is_trusted: bool


class CallbackStore(Protocol):
    """Callbacks as they came."""

    async def insert(
        self,
        callback: StoredCallback,
        *,
        task_id: str | None,
        headers: Mapping[str, str],
        outcome: str | None = None,
    ) -> None:
        """Keep a callback, and what came of it; without an outcome it is applied later."""

    async def finish(self, callback_id: UUID, *, outcome: str) -> None:
        """Note what came of it."""

    async def pending(
        self, *, older_than: timedelta, after: UUID | None = None, limit: int
    ) -> Sequence[StoredCallback]:
        """Read callbacks that were stored and never applied."""

    async def trim(self, *, keep: int) -> None:
        """Forget the oldest untrusted callbacks: anybody can post those."""
