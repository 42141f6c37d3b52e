"""A call as those see it who stand around its handler."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

from generation_svc.domain.caller import Caller


@dataclass(frozen=True, slots=True)
class Call:
    """A call as its guards see it."""

    method: str
    """The name of the RPC, such as `CreateJob`."""
    caller: Caller
    context: Any
    """gRPC's own context: metadata, peer, the time that is left."""


Guard: TypeAlias = Callable[[Call], AbstractAsyncContextManager[None]]
"""What a call is answered inside of; entering it raises the error of a call that is refused."""
