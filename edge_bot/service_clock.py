"""The service's clock, as its leases tell it: this machine's clock may be wrong."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from runtime.clock import utc_now


class ServiceClock:
    """The service's present: what it was when a lease was granted, and the time since then."""

    def __init__(self) -> None:
        self._told: datetime | None = None
        self._told_at = 0.0

    def learn(self, expire_time: Timestamp, *, lease_s: float) -> None:
        """Take the present from a lease of this length that was granted just now."""
        if expire_time.seconds:  # a service that does not say
            self._told = expire_time.ToDatetime(tzinfo=UTC) - timedelta(seconds=lease_s)
            # Monotonic, for a step of this machine's clock must not move the service's present.
            self._told_at = time.monotonic()

    def now(self) -> datetime:
        """Return the service's present; this machine's as long as no lease has told it."""
        if self._told is None:
            return utc_now()
        return self._told + timedelta(seconds=time.monotonic() - self._told_at)
