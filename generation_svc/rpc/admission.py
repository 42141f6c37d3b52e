"""Bounds the number of open calls, overall and for each caller.

A call is open until its answer has left, however long ago its handler ended: until then gRPC holds
it in memory. Calls are of several kinds, each with a cap of its own, so that four thousand waiting
calls take nothing from the others. Callbacks and deliveries come first, since they complete jobs:
their cap only bounds memory and is reached long after the others.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial

from generation_svc.domain.error import Overloaded
from generation_svc.rpc.call import Call
from generation_svc.rpc.meter import RpcMeter


class Kind(StrEnum):
    """What a call does to the service while it is open."""

    CALL = "calls"
    """Works from its beginning to its end."""
    WAIT = "waits"
    """Waits for something to happen, nearly all the time."""
    FLOW = "flow"
    """Completes jobs: callbacks and deliveries."""
    BUILT_IN = "built_in"
    """Watches the health or reads the contract, without a token."""
    PROBE = "probes"
    """Asks once for the health, without a token, as load balancers do."""


KINDS: Mapping[str, Kind] = {
    "WaitJob": Kind.WAIT,
    "StreamJobUpdates": Kind.WAIT,
    "LeaseDeliveries": Kind.FLOW,
    "BeginDelivery": Kind.FLOW,
    "ReportDelivery": Kind.FLOW,
    "ReportCallback": Kind.FLOW,
    "Check": Kind.PROBE,
    "List": Kind.PROBE,
    "Watch": Kind.BUILT_IN,
    "ServerReflectionInfo": Kind.BUILT_IN,
}
"""The methods that are no plain calls."""
BY_CONNECTION = frozenset({Kind.BUILT_IN, Kind.PROBE})
"""The kinds that come without a token, and so are counted by connection."""


@dataclass(frozen=True, slots=True)
class Cap:
    """How many calls of a kind may be open at once, and when it is worth coming again."""

    overall: int
    per_caller: int
    retry_after: timedelta
    """The least time that a refused caller is told to wait; it may be up to twice as long."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The caps of the kinds. The defaults leave room for 4,000 of each by one caller."""

    calls: Cap = Cap(8_000, 5_000, timedelta(seconds=1))
    waits: Cap = Cap(20_000, 10_000, timedelta(seconds=5))
    flow: Cap = Cap(20_000, 20_000, timedelta(seconds=1))
    built_in: Cap = Cap(1_000, 50, timedelta(seconds=1))
    probes: Cap = Cap(10_000, 20, timedelta(seconds=1))

    def of(self, kind: Kind) -> Cap:
        """Return the cap of a kind."""
        cap: Cap = getattr(self, kind)
        return cap


@dataclass(frozen=True, slots=True)
class Admission:
    """Counts the open calls of a server."""

    caps: Caps = field(default_factory=Caps)
    meter: RpcMeter = field(default_factory=RpcMeter)
    _overall: Counter[Kind] = field(default_factory=Counter, init=False)
    _of_caller: Counter[tuple[Kind, str]] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        for kind in Kind:
            # Read when somebody asks: counting each call twice would cost more than all the rest.
            self.meter.open_calls.labels(kind).set_function(
                partial(self._overall.__getitem__, kind)
            )

    @property
    def open_calls(self) -> int:
        """How many calls are open."""
        return self._overall.total()

    def guard(self, call: Call) -> None:
        """Let a call in; it is open until its answer has left. Raises Overloaded."""
        kind = KINDS.get(call.method, Kind.CALL)
        name = call.context.peer() if kind in BY_CONNECTION else call.caller.name
        self._check(kind, name)
        self._count(kind, name, change=1)
        # Not when the handler returns: its answer has not left by then.
        call.when_over(lambda: self._count(kind, name, change=-1))

    def _check(self, kind: Kind, name: str) -> None:
        cap = self.caps.of(kind)
        if self._overall[kind] >= cap.overall:
            raise _refusal(kind, cap)
        if self._of_caller[kind, name] >= cap.per_caller:
            whose = "connection" if kind in BY_CONNECTION else "caller"
            raise _refusal(f"{kind} of the {whose}", cap)

    def _count(self, kind: Kind, name: str, *, change: int) -> None:
        self._overall[kind] += change
        self._of_caller[kind, name] += change
        # Names of connections are made by strangers, so none stays without a call.
        if not self._of_caller[kind, name]:
            del self._of_caller[kind, name]


def _refusal(what: str, cap: Cap) -> Overloaded:
    # Random, so that refused callers do not all retry at the same moment.
    return Overloaded(what, retry_after=cap.retry_after * random.uniform(1, 2))
