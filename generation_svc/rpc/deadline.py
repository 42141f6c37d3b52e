"""Limits the duration of every call, whatever deadline its client set.

A client's shorter deadline needs nothing here: gRPC cancels the handler when it has passed, or when
the client has gone, and what the handler waits for is given up with it.
"""

import random
from collections.abc import Mapping
from datetime import timedelta

from generation_svc.domain.error import CallTooLong
from generation_svc.rpc.bound import LONGEST_WAIT
from generation_svc.rpc.call import Call, Guard
from generation_svc.rpc.draining import ServerDraining

ORDINARY = timedelta(seconds=30)
"""The limit of a method that is not named below."""
ANSWER_TIME = timedelta(seconds=15)
"""What a call that may wait has left for its answer."""
LIMITS: Mapping[str, timedelta | None] = {
    "WaitJob": LONGEST_WAIT + ANSWER_TIME,
    "LeaseDeliveries": LONGEST_WAIT + ANSWER_TIME,
    "UploadInput": timedelta(minutes=30),  # of a film from a telephone; each message has its own
    "DownloadMedia": None,  # as long as it gets on: each piece and each write has its own limit
    "StreamJobUpdates": timedelta(hours=1),
    "CheckLedger": timedelta(minutes=30),  # of all that there ever was, and slowly
}
BUILT_IN_LIMITS: Mapping[str, timedelta | None] = {
    "Check": timedelta(seconds=10),
    "List": timedelta(seconds=10),
    "Watch": timedelta(hours=1),
    "ServerReflectionInfo": timedelta(seconds=60),
}
"""The limits of health and reflection, which are asked without a token."""
STREAMS = frozenset({"StreamJobUpdates", "Watch"})
"""The methods that are simply called again when their time is over."""
JITTER = 0.1
"""By how much a stream may end early: those that began together do not resume together."""


class StreamRenewal(ServerDraining):
    """The stream has reached its time limit; reopen it after the last revision received."""


def limiting(
    limits: Mapping[str, timedelta | None] = LIMITS, *, ordinary: timedelta = ORDINARY
) -> Guard:
    """Return the guard that ends a call when its time is over."""
    every = {**BUILT_IN_LIMITS, **limits}

    def guard(call: Call) -> None:
        limit = every.get(call.method, ordinary)
        if limit is None:
            return
        if call.method in STREAMS:
            seconds = limit.total_seconds() * random.uniform(1 - JITTER, 1)
            call.interrupt.within(seconds, StreamRenewal)
        else:
            call.interrupt.within(limit.total_seconds(), CallTooLong)

    return guard
