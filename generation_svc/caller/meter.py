"""The metrics of the callers' file."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class CallerMeter:
    """The metrics of one directory; without a registry they are not exported."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.reads = Counter(
            "atelier_caller_reads_total",
            "Renewals of the callers.",
            ("outcome",),
            registry=registry,
        )
