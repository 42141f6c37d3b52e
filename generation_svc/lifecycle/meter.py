"""The metrics of use cases and engine."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ServiceMeter:
    """The metrics of one service; without a registry they are not exported."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
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
        self.ledger_differences = Gauge(
            "atelier_ledger_differences",
            "What the last check of the ledger found, which should be nothing.",
            registry=registry,
        )
        self.dear_tasks = Counter(
            "atelier_provider_dear_tasks_total",
            "Tasks for which the provider took more than was quoted.",
            ("model",),
            registry=registry,
        )
        self.daily_cost = Gauge(
            "atelier_provider_daily_cost",
            "What the jobs of today cost and will cost, in the provider's unit: free or all.",
            ("jobs",),
            registry=registry,
        )
        self.unaffordable_jobs = Counter(
            "atelier_provider_unaffordable_jobs_total",
            "Jobs refused for the operator's sake, by limit: free, all or balance.",
            ("limit",),
            registry=registry,
        )
        self.models_switched_off = Counter(
            "atelier_provider_models_switched_off_total",
            "Times that the provider refused a model.",
            ("model",),
            registry=registry,
        )
        self.top_ups = Counter(
            "atelier_money_top_ups_total",
            "Payments that were credited.",
            ("provider",),
            registry=registry,
        )
        self.top_up_credits = Counter(
            "atelier_money_top_up_credits_total",
            "Credits that were bought.",
            ("provider",),
            registry=registry,
        )
        self.refunds = Counter(
            "atelier_money_refunds_total",
            "Refunds by what became of them: asked, returned, refused, failed or charged_back.",
            ("outcome",),
            registry=registry,
        )
        self.suspended = Counter(
            "atelier_money_suspended_payments_total",
            "Payments that were taken and could not be credited: an operator has to look.",
            ("reason",),
            registry=registry,
        )
        self.debt_credits = Counter(
            "atelier_money_debt_credits_total",
            "Credits that became a debt or paid one.",
            ("direction",),
            registry=registry,
        )
        self.star_differences = Gauge(
            "atelier_star_differences",
            "Where Telegram's list of Stars and the ledger differ: an operator has to look.",
            registry=registry,
        )
        self.healed_stars = Counter(
            "atelier_star_healed_total",
            "Payments and refunds that only Telegram's list told.",
            ("direction",),
            registry=registry,
        )
