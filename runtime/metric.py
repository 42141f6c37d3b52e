"""Metrics for Prometheus, on an address of their own so that they are never public by accident."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import REGISTRY, CollectorRegistry

from runtime.address import Address
from runtime.readiness import Readiness


@asynccontextmanager
async def serve_metrics(
    address: Address | None,
    *,
    registry: CollectorRegistry = REGISTRY,
    readiness: Readiness | None = None,
) -> AsyncIterator[Address | None]:
    """Serve /metrics while the context is open and yield its address; None serves nothing."""
    if address is None:
        yield None
        return
    # Here, since a service that nobody reads the metrics of needs no HTTP server.
    from runtime.http import serving
    from runtime.metric_page import metrics_app

    async with serving(metrics_app(registry, readiness=readiness), address) as bound:
        yield bound
