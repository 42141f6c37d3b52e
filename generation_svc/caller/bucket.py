"""Token buckets for rate limits."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    time: float


class Buckets:
    """One bucket per key; of too many, the one that was asked least recently is forgotten.

    A bucket that was forgotten is a full one, which is what a rest would have made of it.
    """

    def __init__(self, *, most: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, *, per_second: float, burst: float) -> float:
        """Take one of the key's tokens and return 0, or return the seconds until there is one."""
        bucket = self._filled(key, per_second=per_second, burst=burst)
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / per_second
        bucket.tokens -= 1
        return 0

    def give_back(self, key: Hashable) -> None:
        """Return a token that was taken for nothing; a full bucket stays as it is."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.tokens += 1  # more than fit are dropped when the next one is taken

    def _filled(self, key: Hashable, *, per_second: float, burst: float) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(burst, now))
        self._buckets.move_to_end(key)
        # Owners are named by callers, so without a bound they could fill the memory.
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.time) * per_second)
        bucket.time = now
        return bucket
