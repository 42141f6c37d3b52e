"""Answering the press of a button."""

import time

from sandbox.telegram.call import Call, Method
from sandbox.telegram.error import bad_request, query_too_old
from sandbox.telegram.limit import ANSWER_LENGTH
from sandbox.telegram.model import Json


async def answer_callback_query(call: Call) -> bool:
    """Stop the button's spinner, and show a notice or an alert."""
    query = call.bot.callbacks.get(call.params.text("callback_query_id"))
    if query is None or time.time() - query.time > call.server.settings.answer_timeout_s:
        raise query_too_old()
    text = call.params.text("text")
    if len(text) > ANSWER_LENGTH:
        raise bad_request("MESSAGE_TOO_LONG")
    query.answer = {"text": text, "show_alert": call.params.flag("show_alert")}
    if url := call.params.text("url"):
        query.answer["url"] = url
    told: Json = {"callback_query_id": query.id, "message_id": query.message_id, **query.answer}
    place = (call.bot.id, query.user_id)
    call.server.events.publish(place, event="answer", data=told)
    call.server.changed()
    return True


METHODS: dict[str, Method] = {"answerCallbackQuery": answer_callback_query}
