"""Sessions and update leases of edges."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """The state of a conversation; version 0 was never written."""

    bot_id: int
    key: str
    data: bytes
    version: int
    update_time: datetime | None


class EdgeStore(Protocol):
    """Stores sessions and update leases of edges."""

    async def get_session(self, bot_id: int, *, key: str, caller: str) -> SessionRecord:
        """Read a session."""

    async def put_session(self, session: SessionRecord, *, caller: str) -> SessionRecord:
        """Write a session read at `session.version`. Raises SessionConflict."""

    async def lease_updates(
        self, bot_id: int, *, holder: str, span: timedelta, caller: str
    ) -> tuple[bool, datetime | None]:
        """Take, keep or (with a span of zero) give up the right to poll for a bot."""
