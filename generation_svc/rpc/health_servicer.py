"""`grpc.health.v1`: whether the service can do its work."""

from collections.abc import Mapping
from typing import Any

from grpc_health.v1 import health, health_pb2

from generation_svc.rpc.draining import Draining, ServerDraining
from generation_svc.rpc.method import ServiceNotFound


class HealthServicer(health.aio.HealthServicer):
    """Tells the health, and ends its watches with the server, which would wait for them."""

    def __init__(self, draining: Draining) -> None:
        super().__init__()
        self._draining = draining

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        """Tell the health of one service, or of all."""
        status = self._statuses.get(request.service)
        if status is None:
            raise ServiceNotFound(request.service)
        return health_pb2.HealthCheckResponse(status=status)

    async def List(self, request: Any, context: Any) -> Any:
        """Tell the health of every service; the library leaves this one undone."""
        messages: Any = health_pb2  # its types do not know this method yet
        answer = messages.HealthListResponse()
        for name, status in self._statuses.items():
            answer.statuses[name].status = status
        return answer

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        """Tell every change of the health."""
        try:
            await self._draining.unless(super().Watch(request, context))
        except ServerDraining:
            return

    @property
    def _statuses(self) -> Mapping[str, Any]:
        library: Any = self
        statuses: Mapping[str, Any] = library._server_status
        return statuses
