"""`grpc.health.v1`: whether the service can do its work."""

from typing import Any

from grpc_health.v1 import health, health_pb2

from generation_svc.rpc.draining import Draining, ServerDraining


class HealthServicer(health.aio.HealthServicer):
    """Tells the health, and ends its watches with the server, which would wait for them."""

    def __init__(self, draining: Draining) -> None:
        super().__init__()
        self._draining = draining

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        """Tell every change of the health."""
        try:
            await self._draining.unless(super().Watch(request, context))
        except ServerDraining:
            return
