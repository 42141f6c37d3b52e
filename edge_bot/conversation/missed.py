"""Remembers results that could not be sent when they were ready: the user had blocked the bot.

A delivery that is impossible is never tried again. So the session remembers that there is a
result; the user is told with the next message, and gets it by pressing a button.
"""

from __future__ import annotations

from atelier.generation.v1.delivery_pb2 import Delivery
from edge_bot.conversation.session_store import (
    SessionConflict,
    SessionPlace,
    load_session,
    save_session,
)
from generation_client import translated


async def note_missed(place: SessionPlace, delivery: Delivery) -> None:
    """Keep in mind that the result of a delivery was not sent; raises GenerationError."""
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
