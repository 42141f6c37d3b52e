"""Interrupts a call from outside: its time is over, or its token no longer counts.

A call has one timer for all of these. With one for each, every call would be slower, and ten
thousand open streams would hold them all.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType

Reason = Callable[[], Exception]
"""Makes the error with which something is ended."""


class Interrupt:
    """Runs a block that can be ended from outside, with an error."""

    __slots__ = ("_reason", "_timeout")

    def __init__(self) -> None:
        self._timeout = asyncio.timeout(None)
        self._reason: Reason | None = None

    def now(self, reason: Reason) -> None:
        """End the block, unless it is being ended already."""
        self.within(0, reason)

    def within(self, seconds: float, reason: Reason) -> None:
        """End the block when so much time has passed, and not when was said before."""
        if not self._timeout.expired():
            self._reason = reason
            self._timeout.reschedule(asyncio.get_running_loop().time() + seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        # The timer alone raises it here. A timeout of the handler's own, such as one of the
        # database, passes by, and is not ours to translate.
        except TimeoutError as timeout:
            assert self._reason is not None  # else it had no time
            raise self._reason() from timeout
