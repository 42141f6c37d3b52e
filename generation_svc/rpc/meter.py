"""The metrics of the gRPC server."""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class RpcMeter:
    """The metrics of one server; without a registry they are not exported."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.calls = Counter(
            "atelier_rpc_calls_total", "Calls answered.", ("method", "code"), registry=registry
        )
        self.calls_of = Counter(
            "atelier_caller_calls_total",
            "Calls answered, by who called.",
            ("caller", "code"),
            registry=registry,
        )
        self.seconds = Histogram(
            "atelier_rpc_seconds", "Time to the answer.", ("method",), registry=registry
        )
        self.open_calls = Gauge(
            "atelier_rpc_open_calls", "Calls that are being answered.", ("kind",), registry=registry
        )
        self.unread_bytes = Gauge(
            "atelier_rpc_unread_bytes", "Bytes of answers that have not left.", registry=registry
        )
        self.stalled_connections = Counter(
            "atelier_rpc_stalled_connections",
            "Connections closed as their client did not read.",
            registry=registry,
        )
        self.callbacks = Counter(
            "atelier_callbacks_total",
            "Callbacks by what came of them.",
            ("outcome",),
            registry=registry,
        )
        # Finding the child of some labels takes longer than counting does, and there are few.
        self._calls, self._calls_of = cache(self.calls.labels), cache(self.calls_of.labels)
        self._seconds = cache(self.seconds.labels)

    def count_call(self, method: str, *, caller: str, code: str, seconds: float) -> None:
        """Count a call that was answered, and how long that took."""
        self._seconds(method).observe(seconds)
        self._calls(method, code).inc()
        self._calls_of(caller, code).inc()
