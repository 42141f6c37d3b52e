"""The metrics of media."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class MediaMeter:
    """The metrics of uploads, results and decoders; without a registry they are not exported."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.upload_bytes = Gauge(
            "atelier_media_upload_bytes", "Bytes of uploads under way.", registry=registry
        )
        self.result_bytes = Gauge(
            "atelier_media_result_bytes", "Bytes of results under way.", registry=registry
        )
        self.disk_used_ratio = Gauge(
            "atelier_media_disk_used_ratio",
            "Used share of the disk under a folder of ours.",
            ("folder",),
            registry=registry,
        )
        self.decoder_ends = Counter(
            "atelier_media_decoder_ends_total",
            "Processes that ended over a file.",
            ("reason",),
            registry=registry,
        )
