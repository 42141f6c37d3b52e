"""The metrics of the gateway; each comes from something that was sent or received."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram


class Meter:
    """The counters of one gateway."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.callbacks = Counter(
            "atelier_gateway_callbacks",
            "Callbacks, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        self.responses = Counter(
            "atelier_gateway_responses",
            "Answers as they were sent.",
            ["route", "status"],
            registry=registry,
        )
        self.media = Counter(
            "atelier_gateway_media",
            "Requests for media, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        self.uploads = Counter(
            "atelier_gateway_uploads",
            "Requests for upload pages and their files, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        self.connections = Gauge(
            "atelier_gateway_connections", "Connections that are open.", registry=registry
        )
        self.slow_readers = Counter(
            "atelier_gateway_slow_readers",
            "Connections that were ended because their client did not read.",
            registry=registry,
        )
        self.handover = Histogram(
            "atelier_gateway_handover_seconds",
            "Time to hand a callback on, with all its tries.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )

    def count_response(self, *, route: str, status: int) -> None:
        """Count one answer."""
        self.responses.labels(route, str(status)).inc()
