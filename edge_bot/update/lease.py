"""The right to poll Telegram for a bot, held by one replica at a time.

Telegram ends the *older* of two polls with a 409, so two pollers would keep cutting each other off.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from datetime import timedelta

import structlog
import uuid6

from atelier.generation.v1 import edge_service_pb2 as pb
from edge_bot.service_clock import ServiceClock
from generation_client import GenerationClient, GenerationError, translated
from runtime.clock import loop_time

LEASE_S = 15.0
"""How long the right lasts unless it is renewed, in seconds."""

GIVE_UP_S = 1.0
"""How long a process that stops tries to give the right up: the service may be stopping, too."""

_logger = structlog.get_logger(__name__)


class PollingLease:
    """The right to poll for one bot, as this process has it or not."""

    def __init__(
        self,
        client: GenerationClient,
        *,
        bot_id: int,
        clock: ServiceClock,
        lease_s: float = LEASE_S,
    ) -> None:
        self._client = client
        self._clock = clock
        self._bot_id = bot_id
        self._lease_s = lease_s
        # The UUID tells a restarted process from the one before it, whose last poll may still be
        # open.
        self._holder = f"{socket.gethostname()[:64]}-{os.getpid()}-{uuid6.uuid7().hex}"
        self._ends_at = 0.0
        self._failures = 0

    @property
    def retry_s(self) -> float:
        """How long one who was refused waits before asking again, in seconds."""
        return self._lease_s / 15

    @property
    def is_held(self) -> bool:
        """Whether the right is ours at the moment."""
        return loop_time() < self._ends_at

    async def take(self) -> bool:
        """Ask for the right or for more of it; False if another has it or the service is away."""
        # Counted from before the question, our end comes before that of the service.
        asked_at = loop_time()
        try:
            is_granted = await self._ask(self._lease_s, timeout_s=self._lease_s / 3)
        except GenerationError as error:
            self._note(error)
            return False
        self._failures = 0
        self._ends_at = asked_at + self._lease_s if is_granted else 0.0
        return is_granted

    async def keep(self) -> None:
        """Renew the right for as long as that works; return when it is lost."""
        while (left_s := self._ends_at - loop_time()) > 0:
            # At a third of the time, so that a renewal that fails at once is tried again before the
            # end.
            await asyncio.sleep(min(self._lease_s / 3, left_s))
            with suppress(TimeoutError):
                # An answer that comes after the end is worth nothing: another may poll by then.
                async with asyncio.timeout_at(self._ends_at):
                    await self.take()

    async def give_up(self) -> None:
        """Let another have the right at once."""
        self._ends_at = 0.0
        try:
            await self._ask(0, timeout_s=GIVE_UP_S)
        except GenerationError as error:
            _logger.info("cannot release the right to poll; it expires by itself", error=str(error))

    def _note(self, error: GenerationError) -> None:
        """Say once that the service is away; the first failure may only be its start."""
        self._failures += 1
        if self._failures == 2:
            _logger.warning("cannot renew or acquire the right to poll", error=str(error))

    async def _ask(self, lease_s: float, *, timeout_s: float) -> bool:
        request = pb.LeaseUpdatesRequest(bot_id=self._bot_id, holder=self._holder)
        request.lease_duration.FromTimedelta(timedelta(seconds=lease_s))
        with translated():
            answer = await self._client.edge.LeaseUpdates(request, timeout=timeout_s)
        if answer.is_granted:
            self._clock.learn(answer.expire_time, lease_s=lease_s)
        return answer.is_granted
