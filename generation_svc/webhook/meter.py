"""The metrics of webhooks."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class WebhookMeter:
    """The metrics of one sender; without a registry they are not exported."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.posts = Counter(
            "atelier_webhook_posts_total",
            "Webhooks posted, by the answer.",
            ("answer",),
            registry=registry,
        )
