"""A sliding window over the moments of past calls."""

import time
from collections import deque


class Window:
    """Counts calls within a span and refuses the excess; a refused call is not counted."""

    def __init__(self) -> None:
        self._moments: deque[float] = deque()

    def admit(self, *, limit: int, span_s: float) -> bool:
        """Count a call now and return True, or return False when the span is full."""
        now = time.monotonic()
        while self._moments and self._moments[0] <= now - span_s:
            self._moments.popleft()
        if len(self._moments) >= limit:
            return False
        self._moments.append(now)
        return True
