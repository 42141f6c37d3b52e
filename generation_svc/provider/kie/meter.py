"""The metrics of the KIE adapter."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class KieMeter:
    """The metrics of KIE's callbacks and failures; without a registry they are not exported."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.unknown_texts = Counter(
            "atelier_kie_unknown_texts_total",
            "Failures whose text is in no table.",
            registry=registry,
        )
        self.signatures = Counter(
            "atelier_callback_signatures",
            "Signatures of callbacks by their worth.",
            ("verdict",),
            registry=registry,
        )
