"""When calls left for KIE, as seen on the proxy to it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

_CREATE = b"POST /api/v1/jobs/createTask "
_READ = b"GET /api/v1/jobs/recordInfo?"
CREATE_WINDOW_S = 10.0
READ_WINDOW_S = 1.0


@dataclass
class Traffic:
    """The moments at which calls entered the proxy, before anything could delay them there."""

    creates: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)

    def tap(self, data: bytes, moment: float) -> None:
        """Look at what a service sends; a request begins a packet of its own."""
        self.creates.extend([moment] * data.count(_CREATE))
        self.reads.extend([moment] * data.count(_READ))


def densest(moments: list[float], *, window_s: float) -> int:
    """Return the greatest number of moments within a window, wherever it begins."""
    moments = sorted(moments)
    ends = (bisect_right(moments, start + window_s - 1e-6) for start in moments)
    return max((end - begin for begin, end in enumerate(ends)), default=0)
