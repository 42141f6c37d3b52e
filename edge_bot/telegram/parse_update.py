"""Parses what Telegram sends: malformed updates are skipped and hold up no others.

python-telegram-bot reads a whole answer of getUpdates or nothing of it, so that one update that it
cannot read would come again and again and hold back all others.
"""

from __future__ import annotations

from typing import Any

import structlog
from telegram import Bot, Update
from telegram.request import HTTPXRequest

_ODD = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)
"""What reading a field of the wrong kind raises, such as a date beyond the calendar."""

_logger = structlog.get_logger(__name__)


def parse_update(data: Any, bot: Bot | None) -> Update | None:
    """Return an update; None if it has no number or does not say who did what."""
    try:
        update = Update.de_json(data, bot)
        is_read = isinstance(update.update_id, int) and isinstance(user_id_of(update), int)
    except _ODD as error:
        _logger.warning("a malformed update is skipped", error=type(error).__name__)
        return None
    return update if is_read and _speaks(update) and _is_order_read(update) else None


def _speaks(update: Update) -> bool:
    """Return whether the language of who did it can be read, if it is told."""
    user = update.effective_user
    return user is None or isinstance(user.language_code or "", str)


def _is_order_read(update: Update) -> bool:
    """Return whether what an update says of a payment can be read, if it is about one."""
    paid = update.message.successful_payment if update.message else None
    order = update.pre_checkout_query or paid
    if order is None:
        return True
    texts = (order.currency, order.invoice_payload)
    return isinstance(order.total_amount, int) and all(isinstance(each, str) for each in texts)


def user_id_of(update: Update) -> int:
    """Return the id of the update's user, else of its chat; 0 if it has neither."""
    place = update.effective_user or update.effective_chat
    return place.id if place else 0


def is_payment(update: Update) -> bool:
    """Tell whether an update says that somebody paid."""
    return update.message is not None and update.message.successful_payment is not None


class PollRequest(HTTPXRequest):
    """The HTTP client of getUpdates, which leaves nothing but the number of an odd update."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Return the answer, each of its updates such that it can be read."""
        answer = HTTPXRequest.parse_json_payload(payload)
        if isinstance(answer.get("result"), list):
            answer["result"] = [_readable(each) for each in answer["result"]]
        return answer


def _readable(data: Any) -> Any:
    # Its number is kept, since the offset can pass only an update whose number is known.
    return {"update_id": data["update_id"]} if parse_update(data, None) is None else data
