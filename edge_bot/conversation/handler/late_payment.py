"""Has a payment recorded, and tells its user at once if that has to wait."""

from __future__ import annotations

import structlog
from telegram.constants import ParseMode
from telegram.error import TelegramError

from edge_bot.conversation.context import EdgeContext
from edge_bot.conversation.event import Credited, Event, Paid
from edge_bot.conversation.payment import record_payment
from edge_bot.telegram.limiter import NO_MAX_WAIT_S
from edge_bot.view.top_up import late_screen
from generation_client import GenerationError

MAX_REMEMBERED = 1_000
"""How many late payments are remembered as told; a user who is told once more is not harmed."""

_logger = structlog.get_logger(__name__)


async def recorded(context: EdgeContext, paid: Paid) -> Event:
    """Have a payment credited, and return what came of it; raises GenerationError.

    The user hears at the first failure that it is late: whoever has paid must not wait in silence.
    """
    try:
        event = await record_payment(context, paid)
    except GenerationError:
        if paid.is_private and not _is_told(context, paid):
            await _tell(context, paid)
        raise
    context.late_payments.discard(paid.charge_id)
    return event


def _is_told(context: EdgeContext, paid: Paid) -> bool:
    """Tell whether the user knows that a payment is late, or already what became of it."""
    answers = (paid.origin, Credited.name(paid.charge_id))
    return paid.charge_id in context.late_payments or any(
        each in context.sent_replies for each in answers
    )


async def _tell(context: EdgeContext, paid: Paid) -> None:
    """Say that a payment is late; the service that would remember it is away, so this process does.

    A message that fails is not tried again by itself: the payment is, and says so, too.
    """
    screen = late_screen(paid.language)
    try:
        await context.bot.send_message(
            paid.chat_id, screen.text, parse_mode=ParseMode.HTML, rate_limit_args=NO_MAX_WAIT_S
        )
    except TelegramError as error:
        _logger.info("a late payment was not told", error=str(error))
        return
    if len(context.late_payments) >= MAX_REMEMBERED:
        context.late_payments.clear()
    context.late_payments.add(paid.charge_id)
