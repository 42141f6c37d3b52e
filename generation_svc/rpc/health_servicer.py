"""`grpc.health.v1`: the health of the service.

The library's own servicer writes to a watcher while it holds the lock under which it changes the
health, so that one watcher that does not read would keep all others from learning of a change.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.draining import Draining, ServerDraining
from generation_svc.rpc.method import ServiceNotFound
from generation_svc.rpc.stream import write

_STATUS = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Reports the health, and ends its watches at shutdown, which would wait for them."""

    def __init__(self, draining: Draining, *, write_timeout: timedelta) -> None:
        self._draining = draining
        self._write_timeout = write_timeout
        self._statuses: dict[str, Any] = {}
        self._changed = asyncio.Event()
        self._is_final = False

    def set_all(self, statuses: Mapping[str, Any]) -> None:
        """Change the health of some services, which those who watch are told."""
        if not self._is_final:
            self._statuses.update(statuses)
            self._changed.set()
            # Who waits holds the old event, which stays set; who comes now waits for the next
            # change.
            self._changed = asyncio.Event()

    def end(self) -> None:
        """Be unhealthy for good."""
        self.set_all(dict.fromkeys(self._statuses, _STATUS.NOT_SERVING))
        # A look at the database that is still under way must not make it healthy again.
        self._is_final = True

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        """Tell the health of one service, or of all."""
        status = self._statuses.get(request.service)
        if status is None:
            raise ServiceNotFound(request.service)
        return _STATUS(status=status)

    async def List(self, request: Any, context: ServicerContext) -> Any:
        """Tell the health of every service."""
        messages: Any = health_pb2  # its types do not know this method yet
        answer = messages.HealthListResponse()
        for name, status in self._statuses.items():
            answer.statuses[name].status = status
        return answer

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: ServicerContext) -> None:
        """Tell every change of the health."""
        try:
            await self._draining.unless(self._watch(request.service, context))
        except ServerDraining:
            return

    async def _watch(self, service: str, context: ServicerContext) -> None:
        last = None
        while True:
            changed = self._changed
            status = self._statuses.get(service, _STATUS.SERVICE_UNKNOWN)
            if status != last:
                message = _STATUS(status=status)
                if not await write(context, message, timeout=self._write_timeout):
                    return
            last = status
            await changed.wait()
