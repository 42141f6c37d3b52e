"""The unread answers of one connection, and when it counts as stalled."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class UnreadLimits:
    """How much may wait for its readers, and for how long."""

    overall_bytes: int = 256 << 20
    """What all callers may leave unread; strangers are not among them."""
    caller_bytes: int = 64 << 20
    stranger_bytes: int = 4 << 20
    """What may wait on one connection of calls without a known token."""
    strangers_bytes: int = 64 << 20
    """What may wait of such calls on all connections."""
    stall_timeout: timedelta = timedelta(seconds=30)
    """How long nothing may move on a connection whose answers wait."""
    slow_bytes: int = 1 << 20
    """What may wait for twice as long on a connection on which something moves."""
    interval: timedelta = timedelta(seconds=2)
    """How often connections are looked at."""


@dataclass(slots=True)
class Waiting:
    """The answers of one connection that have not left."""

    since: dict[int, float] = field(default_factory=dict)
    """When each was given, the oldest first."""
    moved_at: float = 0.0
    """When one last left."""
    held_bytes: int = 0
    stranger_bytes: int = 0
    """How many of these wait for a stranger."""

    def count(self, change: int, *, is_stranger: bool) -> None:
        """Count bytes that were given, or that have left."""
        self.held_bytes += change
        self.stranger_bytes += change if is_stranger else 0

    def is_stalled(self, now: float, limits: UnreadLimits) -> bool:
        """Return whether nothing has left for too long, or much waits for twice as long."""
        timeout = limits.stall_timeout.total_seconds()
        # A dict keeps the order in which its keys came, so the first one is the oldest.
        age = now - next(iter(self.since.values()), now)
        if age > 2 * timeout and self.held_bytes > limits.slow_bytes:
            return True
        return age > timeout and now - self.moved_at > timeout
