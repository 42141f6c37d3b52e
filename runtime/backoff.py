"""Waiting before the next try: exponential, capped, with full jitter.

Full jitter draws each delay evenly between zero and the bound, so that many who failed together do
not come back together.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """A schedule of delays; iterating gives them without end, from the first."""

    first_s: float = 0.1
    """The bound of the first delay, in seconds."""

    cap_s: float = 30.0
    """The bound that no delay passes, in seconds."""

    factor: float = 2.0
    """How the bound grows from try to try."""

    def bound_s(self, failures: int) -> float:
        """Return the longest delay after so many failures, counted from 1."""
        # An exponent beyond 64 adds nothing below the cap and would overflow a float.
        return min(self.cap_s, self.first_s * self.factor ** min(failures - 1, 64))

    def delay_s(self, failures: int) -> float:
        """Return a delay after so many failures, counted from 1."""
        return random.uniform(0, self.bound_s(failures))

    def __iter__(self) -> Iterator[float]:
        return map(self.delay_s, itertools.count(1))
