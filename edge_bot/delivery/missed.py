"""Results that could not be sent when they were ready: the user had blocked the bot."""

from __future__ import annotations

from atelier.generation.v1.delivery_pb2 import DELIVERY_KIND_OUTCOME, Delivery


def is_missed(delivery: Delivery) -> bool:
    """Tell whether a delivery that is impossible was to bring media to its owner."""
    is_owned = delivery.job.owner == f"telegram:{delivery.telegram.chat_id}"
    has_media = bool(delivery.job.result.media)
    return delivery.kind == DELIVERY_KIND_OUTCOME and is_owned and has_media
