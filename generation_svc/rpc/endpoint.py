"""The gRPC server of the service: its address, its health and its shutdown."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc.aio
import structlog

from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.admission import Admission, Caps
from generation_svc.rpc.call import Guard
from generation_svc.rpc.connection import ConnectionLife, ConnectionLimits, server_options
from generation_svc.rpc.core_log import quieten
from generation_svc.rpc.deadline import limiting
from generation_svc.rpc.draining import Draining
from generation_svc.rpc.interceptor import CallInterceptor
from generation_svc.rpc.meter import RpcMeter
from generation_svc.rpc.register import register, set_health
from generation_svc.rpc.stream import StreamTiming
from generation_svc.rpc.tls import server_credentials
from runtime.certificate import CertificateReader
from runtime.readiness import READINESS_SECONDS, Readiness

_logger = structlog.get_logger(__name__)


def guards(caps: Caps | None = None, *, meter: RpcMeter | None = None) -> tuple[Guard, ...]:
    """Return what looks at every call before its handler runs, in this order."""
    return (Admission(caps or Caps(), meter or RpcMeter()).guard, limiting())


class Endpoint:
    """Serves the use cases; it is bound, started, kept ready, and stopped, in this order."""

    def __init__(
        self,
        deps: Dependencies,
        *,
        stream_timing: StreamTiming | None = None,
        interceptor: CallInterceptor | None = None,
        connection_life: ConnectionLife | None = None,
        connection_limits: ConnectionLimits | None = None,
        has_reflection: bool = True,
    ) -> None:
        quieten()
        self._draining = Draining()
        interceptor = interceptor or CallInterceptor(guards=guards())
        self._unread, self._ports = interceptor.unread, set[int]()
        self._closing: asyncio.Task[None] | None = None
        self._server = grpc.aio.server(
            interceptors=(interceptor,), options=server_options(connection_limits, connection_life)
        )
        self._health = register(
            self._server,
            deps,
            draining=self._draining,
            meter=interceptor.meter,
            stream_timing=stream_timing or StreamTiming(),
            has_reflection=has_reflection,
        )

    def bind(self, address: str, *, certificates: CertificateReader | None = None) -> int:
        """Take an address and return its port. Raises RuntimeError if it cannot be had."""
        if certificates is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, server_credentials(certificates))
        self._ports.add(port)
        return port

    async def start(self) -> None:
        """Answer calls, unready until it is known that the service is ready."""
        # Before anybody can ask: the database has not been looked at yet.
        set_health(self._health, is_serving=False)
        await self._server.start()
        self._closing = asyncio.create_task(
            self._unread.close_stalled(ports=self._ports), name="stalled connections"
        )
        # A task that nobody waits for would end in silence, and stalled connections stay.
        self._closing.add_done_callback(_tell_end)

    async def follow_readiness(
        self,
        is_ready: Callable[[], Awaitable[bool]],
        *,
        stop: asyncio.Event,
        readiness: Readiness | None = None,
        interval_seconds: float = READINESS_SECONDS,
    ) -> None:
        """Be healthy while ready; return, unhealthy for good, when asked to stop."""

        async def look() -> bool:
            is_serving = await is_ready()
            set_health(self._health, is_serving=is_serving)
            return is_serving

        readiness = readiness or Readiness()
        await readiness.follow(look, stop=stop, interval_seconds=interval_seconds)
        self._health.end()

    async def stop(self, *, grace_seconds: float) -> None:
        """End the streams, then give calls that are open some time to finish."""
        # stop() tells open streams nothing and waits for them until the grace is over.
        self._draining.start()
        await self._server.stop(grace=grace_seconds)
        if self._closing is not None:
            self._closing.cancel()
            await asyncio.wait((self._closing,))


def _tell_end(closing: asyncio.Task[None]) -> None:
    if not closing.cancelled():
        _logger.error("stalled connections are no longer closed", exc_info=closing.exception())
