"""A call as its guards see it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc.aio

from generation_svc.domain.caller import Caller
from generation_svc.rpc.interrupt import Interrupt

ServicerContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
"""gRPC's own context of a call; a generic only where types are checked."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as its guards see it."""

    method: str
    """The name of the RPC, such as `CreateJob`."""
    caller: Caller
    context: ServicerContext
    """gRPC's own context: metadata, peer, the time that is left."""
    interrupt: Interrupt = field(default_factory=Interrupt)
    """What ends it from outside."""

    def when_over(self, callback: Callable[[], None]) -> None:
        """Run a callback when the call has ended and its answer has left."""
        # The stubs ask for a class of their own, where gRPC calls whatever it is given.
        self.context.add_done_callback(lambda _: callback())  # type: ignore[arg-type]


Guard: TypeAlias = Callable[[Call], None]
"""What looks at a call before it is answered; it raises the error of a call that is refused."""
