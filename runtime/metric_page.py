"""The application that answers Prometheus, and says whether the process lives and is ready."""

from __future__ import annotations

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from runtime.readiness import Readiness


def metrics_app(registry: CollectorRegistry, *, readiness: Readiness | None = None) -> Starlette:
    """Build the application that answers /metrics with what the registry and the loop hold.

    With a readiness it also answers /healthz, while the process lives, and /readyz.
    """
    loop = CollectorRegistry()
    tasks = Gauge("asyncio_tasks", "Tasks of the event loop that have not ended.", registry=loop)

    async def metrics(_: Request) -> Response:
        tasks.set(len(asyncio.all_tasks()))
        text = generate_latest(registry) + generate_latest(loop)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    health = _health_routes(readiness) if readiness else []
    return Starlette(routes=[Route("/metrics", metrics), *health])


def _health_routes(readiness: Readiness) -> list[Route]:
    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        if readiness.is_ready:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", status_code=503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
