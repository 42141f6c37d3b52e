"""The gRPC server of the service: its address, its health and its end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import grpc.aio

from generation_svc.lifecycle.context import Context
from generation_svc.rpc.admission import Admission, Caps
from generation_svc.rpc.deadline import limiting
from generation_svc.rpc.draining import Draining
from generation_svc.rpc.interceptor import CallInterceptor, Guard
from generation_svc.rpc.register import register, set_health
from generation_svc.rpc.stream import StreamPace
from generation_svc.rpc.tls import server_credentials
from runtime.certificate import CertificateReader

MILLISECOND = timedelta(milliseconds=1)
OPTIONS = (
    ("grpc.so_reuseport", 0),  # two servers would share a port silently
    ("grpc.server.max_pending_requests", 10_000),  # more calls at once are CANCELLED otherwise
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
    ("grpc.server_max_unrequested_time_in_server", 120),  # and those that wait longer to be taken
    ("grpc.http2.bdp_probe", 0),  # a stream that nobody reads would buffer megabytes otherwise
    ("grpc.keepalive_time_ms", 60_000),  # finds the readers whose network is gone
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
)


@dataclass(frozen=True, slots=True)
class ConnectionLife:
    """How long a connection may last.

    Its end frees what a reader that does not read holds, and lets a client find new replicas. gRPC
    core varies the age of each by up to a tenth either way (its max_age filter; its own test calls
    that MAX_CONNECTION_AGE_JITTER_MULTIPLIER 1.1), so clients do not all come again at once.
    """

    age: timedelta = timedelta(minutes=30)
    grace: timedelta = timedelta(seconds=75)
    """What calls that are open then get to finish: as much as the longest of them may take."""

    @property
    def options(self) -> tuple[tuple[str, int], ...]:
        """The options of the server."""
        return (
            ("grpc.max_connection_age_ms", self.age // MILLISECOND),
            ("grpc.max_connection_age_grace_ms", self.grace // MILLISECOND),
        )


READINESS_SECONDS = 2.0
"""How often readiness follows the database."""


def guards(caps: Caps | None = None) -> tuple[Guard, ...]:
    """Return what stands around every handler, the outermost first."""
    return (Admission(caps or Caps()).guard, limiting())


class Endpoint:
    """Serves a context; it is bound, started, kept ready, and stopped, in this order."""

    def __init__(
        self,
        context: Context,
        *,
        stream_pace: StreamPace | None = None,
        interceptor: CallInterceptor | None = None,
        connection_life: ConnectionLife | None = None,
    ) -> None:
        self._draining = Draining()
        self._server = grpc.aio.server(
            interceptors=(interceptor or CallInterceptor(guards=guards()),),
            options=(*OPTIONS, *(connection_life or ConnectionLife()).options),
        )
        self._health = register(
            self._server, context, draining=self._draining, stream_pace=stream_pace or StreamPace()
        )

    def bind(self, address: str, *, certificates: CertificateReader | None = None) -> int:
        """Take an address and return its port. Raises RuntimeError if it cannot be had."""
        if certificates is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, server_credentials(certificates))

    async def start(self) -> None:
        """Answer calls, unready until it is known that the service is ready."""
        await set_health(self._health, is_serving=False)
        await self._server.start()

    async def follow_readiness(
        self,
        is_ready: Callable[[], Awaitable[bool]],
        *,
        stop: asyncio.Event,
        interval_seconds: float = READINESS_SECONDS,
    ) -> None:
        """Be healthy while ready; return, unhealthy for good, when asked to stop."""
        while not stop.is_set():
            await set_health(self._health, is_serving=await is_ready())
            try:
                async with asyncio.timeout(interval_seconds):
                    await stop.wait()
            except TimeoutError:
                continue
        await self._health.enter_graceful_shutdown()

    async def stop(self, *, grace_seconds: float) -> None:
        """End the streams, then give calls that are open some time to finish."""
        self._draining.start()
        await self._server.stop(grace=grace_seconds)
