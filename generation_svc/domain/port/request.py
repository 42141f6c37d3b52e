"""Request keys: the job that a request_id was used for."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A request_id with the content that it was used for."""

    caller: str
    request_id: str
    content_hash: bytes


class RequestStore(Protocol):
    """What request ids stand for; a binding outlives its job."""

    async def remember(self, key: RequestKey, *, job_id: UUID) -> tuple[UUID, bytes] | None:
        """Bind a request key to a job; return the job id and hash of an earlier binding."""

    async def find(self, request_id: str, *, caller: str) -> tuple[UUID, bytes] | None:
        """Return the job id and hash of an earlier binding."""

    async def forget(self, *, older_than: timedelta, limit: int) -> int:
        """Remove bindings past their time; return how many."""
