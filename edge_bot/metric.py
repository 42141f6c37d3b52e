"""The metrics of the edge."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram


class Meter:
    """The metrics of one edge."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.updates = Counter(
            "atelier_edge_updates",
            "Updates from Telegram, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        self.deliveries = Counter(
            "atelier_edge_deliveries",
            "Deliveries, by kind and by what was reported.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.delivery_seconds = Histogram(
            "atelier_edge_delivery_seconds",
            "Time from a delivery's lease to the end of its sending.",
            ["kind"],
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60),
            registry=registry,
        )
