"""The metrics of use cases and engine."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from generation_svc.lifecycle.money_meter import MoneyMeter


class ServiceMeter(MoneyMeter):
    """The metrics of one service; without a registry they are not exported."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.faults = Counter(
            "atelier_engine_faults_total", "Steps that failed.", ("worker",), registry=registry
        )
        self.orphaned_bytes = Counter(
            "atelier_media_orphaned_bytes_total",
            "Files without a row that were removed.",
            registry=registry,
        )
        self.account_balance = Gauge(
            "atelier_provider_account_balance",
            "What an account has left, in the provider's unit.",
            ("provider", "account"),
            registry=registry,
        )
        self.expired = Counter(
            "atelier_retention_expired_total",
            "Expired items that were removed.",
            ("kind",),
            registry=registry,
        )
        self.stored_bytes = Gauge(
            "atelier_storage_stored_bytes",
            "Bytes of results and uploads that are kept.",
            registry=registry,
        )
        self.unknown_costs = Counter(
            "atelier_provider_unknown_costs_total",
            "Tasks of which the provider does not tell what they cost.",
            ("provider", "account"),
            registry=registry,
        )
        self.models_switched_off = Counter(
            "atelier_provider_models_switched_off_total",
            "Times that the provider refused a model.",
            ("model",),
            registry=registry,
        )
