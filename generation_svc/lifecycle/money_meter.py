"""The metrics of payments and of the ledger."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class StarMeter:
    """What a service counts of Telegram's own list of Stars."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
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


class ProviderCostMeter:
    """What a service counts of the provider's costs."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
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


class TopUpMeter:
    """What a service counts of payments and refunds."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
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


class MoneyMeter(StarMeter, ProviderCostMeter, TopUpMeter):
    """What a service counts of the credits that it sells."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        StarMeter.__init__(self, registry)
        ProviderCostMeter.__init__(self, registry)
        TopUpMeter.__init__(self, registry)
        self.ledger_differences = Gauge(
            "atelier_ledger_differences",
            "What the last check of the ledger found, which should be nothing.",
            registry=registry,
        )
