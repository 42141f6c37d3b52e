"""The clock of the service."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the database's time, which all replicas agree on; a machine's own may be wrong."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
