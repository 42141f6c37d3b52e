"""Interprets errors of Bot API calls, in one table.

python-telegram-bot wraps the errors of its HTTP client and keeps them as `__cause__`; only they
tell whether a request can have reached Telegram. A call falls into one of three kinds:

    refused      Telegram answered no (400, 401, 403, 404, 409, 429): nothing happened
    never sent   the connection could not be made, or none was free: nothing happened
    in doubt     everything else (timeouts, cut connections, 5xx): it may have happened

What is in doubt may be repeated if the call is an edit; a new message may not (Telegram has no
idempotency key).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
)

from atelier.generation.v1 import delivery_service_pb2 as pb
from generation_client.limit import LONGEST_PAUSE_S

Report = pb.ReportDeliveryRequest
"""How a sending ended, the lease still to be named."""

NO_MESSAGE_TO_EDIT = "unknown outcome and no message to edit"
"""The reason of a delivery that must not be sent again and has nothing to be put into."""

MAX_PAUSE_S = LONGEST_PAUSE_S - 3600.0
"""How long a delivery is put off: less than the service takes, for our clock may be ahead."""

_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
# Conflict and InvalidToken are among them: Telegram looked at the call and did nothing.
_REFUSED = (BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, RetryAfter)
# python-telegram-bot changes the case of what Telegram says, hence all in lower case.
_CHAT_GONE = ("chat not found", "user not found", "peer_id_invalid", "chat_id_invalid")
_MESSAGE_GONE = (
    "message to edit not found",
    "message can't be edited",
    "message_id_invalid",
    "message identifier is not specified",
    "there is no text in the message to edit",
)


def sent(message_id: int, *, is_edit: bool = False) -> Report:
    """Report that Telegram's own answer proves the arrival."""
    return Report(sent=Report.Sent(message_id=message_id, is_edit=is_edit))


def try_again(not_before: datetime | None = None) -> Report:
    """Report that nothing arrived and that it should be tried again, not before a time."""
    report = Report(try_again=Report.TryAgain())
    if not_before is not None:
        report.try_again.not_before_time.FromDatetime(not_before)
    return report


def impossible(reason: str) -> Report:
    """Report that it can never arrive."""
    return Report(impossible=Report.Impossible(reason=reason[:200]))


def unknown() -> Report:
    """Report that it may have arrived."""
    return Report(unknown=Report.Unknown())


def report_of(error: Exception, *, is_repeatable: bool, now: datetime) -> Report:
    """Turn the error of a sending into its report; a repeatable one is never left in doubt.

    `now` is the service's time: it is the one that waits.
    """
    match error:
        case RetryAfter():
            pause_s = min(retry_delay_s(error), MAX_PAUSE_S)
            return try_again(now + timedelta(seconds=pause_s))
        # The user has blocked the bot, or it was removed from the chat: waiting does not help.
        case Forbidden():
            return impossible(str(error))
        case BadRequest() if is_chat_gone(error) or is_message_gone(error):
            return impossible(str(error))
        case _ if is_repeatable or is_without_effect(error):
            return try_again()
        case _:
            return unknown()


def is_without_effect(error: BaseException) -> bool:
    """Tell whether the call certainly changed nothing."""
    return isinstance(error, _REFUSED) or isinstance(error.__cause__, _NEVER_SENT)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same call may succeed later."""
    # In python-telegram-bot BadRequest is a NetworkError, so it is sorted out first.
    if isinstance(error, BadRequest):
        return False
    return isinstance(error, NetworkError | RetryAfter | InvalidToken | Conflict | TimeoutError)


def is_not_modified(error: BadRequest) -> bool:
    """Tell whether an edit was refused since the message already says so."""
    return "message is not modified" in str(error).lower()


def is_message_gone(error: BadRequest) -> bool:
    """Tell whether there is no message that this edit could change."""
    return _says(error, _MESSAGE_GONE)


def is_chat_gone(error: BadRequest) -> bool:
    """Tell whether there is no chat to send to."""
    return _says(error, _CHAT_GONE)


def is_markup_refused(error: BadRequest) -> bool:
    """Tell whether the formatting of a text was refused."""
    return _says(error, ("can't parse entities", "can't parse caption entities"))


def is_content_refused(error: BadRequest) -> bool:
    """Tell whether what was sent was refused, not the place it was sent to."""
    return not (is_chat_gone(error) or is_message_gone(error) or is_not_modified(error))


def is_already_refunded(error: BaseException) -> bool:
    """Tell whether the Stars went back before."""
    return isinstance(error, BadRequest) and _says(error, ("charge_already_refunded",))


def retry_delay_s(error: RetryAfter) -> float:
    """Return the seconds that Telegram asks to wait."""
    # A timedelta with PTB_TIMEDELTA, a number without it.
    delay = error.retry_after
    return delay.total_seconds() if isinstance(delay, timedelta) else float(delay)


def _says(error: BadRequest, phrases: tuple[str, ...]) -> bool:
    words = str(error).lower()
    return any(phrase in words for phrase in phrases)
