"""Sends deliveries: lease, begin, send, report.

Whatever happens in between, a new message is sent at most once: before Begin nothing is sent, and
after it every doubt is reported as a doubt.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from structlog.contextvars import bound_contextvars
from telegram.error import InvalidToken, TelegramError

from atelier.generation.v1 import delivery_service_pb2 as pb
from atelier.generation.v1.delivery_pb2 import (
    DELIVERY_KIND_OUTCOME,
    DELIVERY_KIND_PROGRESS,
    Delivery,
)
from edge_bot.delivery.message import OutgoingMessage
from edge_bot.delivery.missed import is_missed
from edge_bot.delivery.render import Renderer, Undeliverable
from edge_bot.metric import Meter
from edge_bot.service_clock import ServiceClock
from edge_bot.service_error import retrying
from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.error import Report, impossible, report_of, try_again, unknown
from edge_bot.telegram.token_health import TokenHealth
from edge_bot.view.too_large import is_uploadable
from generation_client import GenerationClient, GenerationError, translated
from runtime.backoff import Backoff
from runtime.clock import loop_time
from runtime.wait import finished, interruptible, is_set_within

_IDLE_S = 0.1
"""The pause after an empty answer, should the service ever not wait."""

UPLOAD_BYTES_S = 500_000
"""The slowest upload, in bytes a second, that is not cut off and tried again."""

LONGEST_LEASE_S = 300.0
"""The longest lease of the contract (BeginDeliveryRequest.lease_duration)."""

SLOW_KEPT = 100
"""How many deliveries are kept in mind whose bytes took longer than their first lease."""

_KINDS = {DELIVERY_KIND_OUTCOME: "outcome", DELIVERY_KIND_PROGRESS: "progress"}
_LEASE_BACKOFF = Backoff(first_s=0.5, cap_s=10.0)
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryTiming:
    """How the worker works; times are seconds."""

    wait_s: float = 2.0
    """How long the service may hold a request for deliveries; stopping may take as long."""
    claim_s: float = 20.0
    """How long a delivery is leased until its sending begins."""
    lease_s: float = 60.0
    """How long a delivery is leased from then on."""
    report_s: float = 5.0
    """How much of the lease is reserved for the report, and once more for its transmission."""
    drain_s: float = 10.0
    """How long sendings may go on after the process was told to stop."""
    max_concurrent: int = 16
    """How many deliveries are under way at once."""

    def lease_for(self, size_bytes: int) -> float:
        """Return how long a delivery of this size is leased, allowing for a slow uplink."""
        return max(self.lease_s, min(self.lease_s + size_bytes / UPLOAD_BYTES_S, LONGEST_LEASE_S))

    def sending_for(self, size_bytes: int) -> float:
        """Return how long sending so many bytes may take."""
        return self.lease_for(size_bytes) - 2 * self.report_s


class DeliveryWorker:
    """Sends the deliveries of one bot."""

    def __init__(
        self,
        *,
        bot: EdgeBot,
        bot_id: int,
        client: GenerationClient,
        renderer: Renderer,
        note_missed: Callable[[Delivery], Awaitable[None]],
        clock: ServiceClock,
        token_health: TokenHealth,
        meter: Meter,
        timing: DeliveryTiming | None = None,
    ) -> None:
        self._bot, self._bot_id = bot, bot_id
        self._client, self._renderer, self._clock = client, renderer, clock
        self._note_missed = note_missed
        self._token_health, self._meter = token_health, meter
        self._timing = timing or DeliveryTiming()
        self._tasks: set[asyncio.Task[None]] = set()
        self._limits: dict[asyncio.Timeout, float] = {}
        self._slow = deque[str](maxlen=SLOW_KEPT)
        self._lease_failures = 0
        self._ends_at = math.inf

    async def run(self, stop: asyncio.Event) -> None:
        """Lease and send until `stop` is set, then end what is under way.

        A request for leases is waited for: its answer may hold leases, which nobody else gets
        until they expire.
        """
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                await interruptible(stop, self._may_lease())
                if stop.is_set():
                    break
                for delivery in await self._leased(stop):
                    task = group.create_task(self.deliver(delivery), name=f"send {delivery.id}")
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            await self._drain()

    async def deliver(self, delivery: Delivery) -> None:
        """Send one delivery under lease and report how that ended."""
        kind = _KINDS.get(delivery.kind, "unknown")
        with bound_contextvars(
            job_id=delivery.job.id, correlation_id=delivery.job.correlation_id, delivery=kind
        ):
            with self._meter.delivery_seconds.labels(kind).time():
                report = await self._send(delivery)
            outcome = report.WhichOneof("outcome") if report else "stale_lease"
            self._meter.deliveries.labels(kind, outcome).inc()
            _logger.info("delivery ended", outcome=outcome, try_number=delivery.try_number)
            if report:
                # Remembered first: once it is reported as impossible, the service never offers it
                # again.
                await self._keep_in_mind(delivery, report)
                await self._report(delivery, report)

    async def _may_lease(self) -> None:
        await self._token_health.wait_good()
        if len(self._tasks) >= self._timing.max_concurrent:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _leased(self, stop: asyncio.Event) -> Sequence[Delivery]:
        try:
            # Finished even when the edge is told to stop: the answer may hold leases.
            deliveries = await finished(stop, self._lease(), within_s=self._timing.wait_s + 1)
            self._lease_failures = 0
        except GenerationError as error:
            self._lease_failures += 1
            _logger.warning("cannot lease deliveries", error=str(error))
            deliveries = None
        if not deliveries:
            await is_set_within(stop, _IDLE_S + _LEASE_BACKOFF.delay_s(self._lease_failures))
        return deliveries or ()

    async def _lease(self) -> Sequence[Delivery]:
        request = pb.LeaseDeliveriesRequest(
            telegram_bot_id=self._bot_id,
            max_deliveries=self._timing.max_concurrent - len(self._tasks),
        )
        request.wait.FromTimedelta(timedelta(seconds=self._timing.wait_s))
        request.lease_duration.FromTimedelta(timedelta(seconds=self._timing.claim_s))
        # Longer than the wait: a deadline that struck first would lose deliveries that the service
        # has leased to this edge in the meantime.
        timeout = self._timing.wait_s + 10
        with translated():
            answer = await self._client.delivery.LeaseDeliveries(request, timeout=timeout)
        for delivery in answer.deliveries:
            self._clock.learn(delivery.lease_expire_time, lease_s=self._timing.claim_s)
        return answer.deliveries

    async def _send(self, delivery: Delivery) -> Report | None:
        """Send and return the report; None if the lease now belongs to someone else."""
        # Until Begin nothing can have been sent, so every failure up to there may be tried again.
        is_repeatable = True
        # A kind that is newer than this edge is for an edge that knows it.
        if not self._token_health.is_good or delivery.kind not in _KINDS:
            return try_again()
        try:
            async with AsyncExitStack() as stack:
                message = await self._begun(delivery, stack)
                is_repeatable = message.is_repeatable
                # Counted from Begin, which extended the lease for as long as this upload may take.
                sending_s = self._timing.sending_for(message.size_bytes)
                async with self._limited(loop_time() + sending_s):
                    return await message.send(self._bot)
        # OSError: a full disk, and a time that is over.
        except (GenerationError, TelegramError, OSError, Undeliverable) as error:
            return self._failed(error, is_repeatable=is_repeatable)
        # The fault may have come after the message went out: then only an edit can be repeated.
        except Exception:
            _logger.exception("sending failed because of an internal error")
            return try_again() if is_repeatable else unknown()

    async def _begun(self, delivery: Delivery, stack: AsyncExitStack) -> OutgoingMessage:
        """Return what is to be sent, with its bytes at hand and its sending begun.

        The first lease is short, so that what a killed edge was fetching is soon another's. What
        took longer than that begins before it is fetched the next time, or it would never come.
        """
        ends_at = loop_time() + self._timing.claim_s
        if delivery.id in self._slow:
            size = sum(each.size_bytes for each in delivery.job.result.media if is_uploadable(each))
            async with self._limited(ends_at):
                await retrying(lambda: self._begin(delivery, size_bytes=size))
            ends_at = loop_time() + self._timing.sending_for(size)
        try:
            async with self._limited(ends_at):
                message = await stack.enter_async_context(self._renderer.rendered(delivery))
        except TimeoutError:
            if delivery.kind == DELIVERY_KIND_OUTCOME:
                self._slow.append(delivery.id)
            raise
        # Begin is idempotent (its lease token names the try), so a lost answer is no doubt.
        async with self._limited(ends_at):
            await retrying(lambda: self._begin(delivery, size_bytes=message.size_bytes))
        return message

    def _failed(self, error: Exception, *, is_repeatable: bool) -> Report | None:
        _logger.warning("a delivery was not sent", error=str(error), kind=type(error).__name__)
        match error:
            case Undeliverable():
                return impossible(str(error))
            case GenerationError(reason="STALE_LEASE"):
                return None
            case GenerationError(reason="MEDIA_EXPIRED"):
                return impossible("the result has expired")
            # The service is called only before anything is sent.
            case GenerationError():
                return try_again()
            # One refused token stops all sendings: the others would fail alike.
            case InvalidToken():
                self._token_health.refuse()
        return report_of(error, is_repeatable=is_repeatable, now=self._clock.now())

    async def _begin(self, delivery: Delivery, *, size_bytes: int) -> None:
        request = pb.BeginDeliveryRequest(lease_token=delivery.lease_token)
        lease = timedelta(seconds=self._timing.lease_for(size_bytes))
        request.lease_duration.FromTimedelta(lease)
        with translated():
            await self._client.delivery.BeginDelivery(request)

    async def _keep_in_mind(self, delivery: Delivery, report: Report) -> None:
        """Remember results that cannot be sent, before the service forgets about sending them."""
        if not report.HasField("impossible") or not is_missed(delivery):
            return
        try:
            async with self._limited(
                loop_time() + self._timing.report_s, grace_s=self._timing.report_s
            ):
                await retrying(lambda: self._note_missed(delivery))
        except (GenerationError, TimeoutError) as error:
            _logger.warning("cannot remember a result that was not sent", error=str(error))

    async def _report(self, delivery: Delivery, report: Report) -> None:
        report.lease_token = delivery.lease_token

        async def say() -> None:
            with translated():
                await self._client.delivery.ReportDelivery(report)

        try:
            async with self._limited(
                loop_time() + self._timing.report_s, grace_s=self._timing.report_s
            ):
                await retrying(say)
        except (GenerationError, TimeoutError) as error:
            _logger.warning("the delivery could not be reported", error=str(error))

    @asynccontextmanager
    async def _limited(self, until: float, *, grace_s: float = 0.0) -> AsyncIterator[None]:
        async with asyncio.timeout_at(min(until, self._ends_at + grace_s)) as limit:
            self._limits[limit] = grace_s
            try:
                yield
            finally:
                del self._limits[limit]

    async def _drain(self) -> None:
        """Give sendings some time to end, then cancel them: they report what they know."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._timing.drain_s)
        self._ends_at = loop_time()
        for limit, grace_s in self._limits.items():
            # asyncio raises RuntimeError when an expired timeout is rescheduled.
            if not limit.expired():
                limit.reschedule(self._ends_at + grace_s)
