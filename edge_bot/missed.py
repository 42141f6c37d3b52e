"""Pictures that could not be sent when they were ready: the user had blocked the bot.

A delivery that is impossible is never tried again. The session keeps in mind that there is a
picture, the user is told as soon as there is an ear for it, and gets it by pressing a button.
"""

from __future__ import annotations

from atelier.generation.v1.delivery_pb2 import DELIVERY_KIND_OUTCOME, Delivery
from edge_bot.session_store import SessionConflict, SessionPlace, load_session, save_session
from generation_svc.client import translated


def is_missed(delivery: Delivery) -> bool:
    """Tell whether a delivery that is impossible was to bring pictures to their owner."""
    is_owned = delivery.job.owner == f"telegram:{delivery.telegram.chat_id}"
    has_pictures = bool(delivery.job.result.media)
    return delivery.kind == DELIVERY_KIND_OUTCOME and is_owned and has_pictures


async def note_missed(place: SessionPlace, delivery: Delivery) -> None:
    """Keep in mind that the pictures of a delivery were not sent; raises GenerationError."""
    chat_id, message_id = delivery.telegram.chat_id, delivery.telegram.message_id
    with translated():
        while True:
            stored = await load_session(place, chat_id)
            session = stored.session.with_missed(delivery.job.id, message_id=message_id)
            if session == stored.session:
                return
            try:
                await save_session(place, chat_id, session=session, version=stored.version)
            except SessionConflict:
                continue
            return
