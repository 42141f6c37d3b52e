"""Metrics for Prometheus, on an address of their own so that they are never public by accident."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Gauge,
    generate_latest,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runtime.address import Address
from runtime.http import serving


@asynccontextmanager
async def serve_metrics(
    address: Address | None, *, registry: CollectorRegistry = REGISTRY
) -> AsyncIterator[Address | None]:
    """Serve /metrics while the context is open and yield its address; None serves nothing."""
    if address is None:
        yield None
        return
    async with serving(metrics_app(registry), address) as bound:
        yield bound


def metrics_app(registry: CollectorRegistry) -> Starlette:
    """Build the application that answers /metrics with what the registry and the loop hold."""
    loop = CollectorRegistry()
    tasks = Gauge("asyncio_tasks", "Tasks of the event loop that have not ended.", registry=loop)

    async def metrics(_: Request) -> Response:
        tasks.set(len(asyncio.all_tasks()))
        text = generate_latest(registry) + generate_latest(loop)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[Route("/metrics", metrics)])
