from datetime import UTC, datetime

import httpx
import pytest
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

import edge_bot.telegram.bot  # noqa: F401 - sets how python-telegram-bot gives times
from edge_bot.telegram.error import MAX_PAUSE_S, report_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def caused(error: TelegramError, cause: Exception) -> TelegramError:
    error.__cause__ = cause
    return error


NEW_MESSAGES: dict[str, tuple[Exception, str]] = {
    "429": (RetryAfter(3), "try_again"),
    "blocked": (Forbidden("Forbidden: bot was blocked by the user"), "impossible"),
    "deactivated": (Forbidden("Forbidden: user is deactivated"), "impossible"),
    "chat not found": (BadRequest("Bad Request: chat not found"), "impossible"),
    "other 400": (BadRequest("Bad Request: message text is empty"), "try_again"),
    "401": (InvalidToken("Unauthorized"), "try_again"),
    "409": (Conflict("Conflict"), "try_again"),
    "group moved": (ChatMigrated(-100), "try_again"),
    "502": (NetworkError("Bad Gateway"), "unknown"),
    "no JSON": (TelegramError("Invalid server response"), "unknown"),
    "connection refused": (caused(NetworkError(""), httpx.ConnectError("")), "try_again"),
    "no connection in time": (caused(TimedOut(), httpx.ConnectTimeout("")), "try_again"),
    "no free connection": (caused(TimedOut(), httpx.PoolTimeout("")), "try_again"),
    "no answer in time": (caused(TimedOut(), httpx.ReadTimeout("")), "unknown"),
    "request cut off": (caused(NetworkError(""), httpx.WriteError("")), "unknown"),
    "connection cut": (caused(NetworkError(""), httpx.RemoteProtocolError("")), "unknown"),
    "lease over": (TimeoutError(), "unknown"),
}


@pytest.mark.parametrize(("error", "outcome"), NEW_MESSAGES.values(), ids=NEW_MESSAGES)
def test_a_new_message_is_in_doubt_unless_it_certainly_did_not_arrive(
    error: Exception, outcome: str
) -> None:
    assert report_of(error, is_repeatable=False, now=NOON).WhichOneof("outcome") == outcome


@pytest.mark.parametrize(("asked_s", "pause_s"), [(30, 30), (7 * 24 * 3600, MAX_PAUSE_S)])
def test_a_pause_is_never_longer_than_the_service_takes(asked_s: int, pause_s: float) -> None:
    report = report_of(RetryAfter(asked_s), is_repeatable=False, now=NOON)
    not_before = report.try_again.not_before_time.ToDatetime(tzinfo=UTC)
    assert (not_before - NOON).total_seconds() == pause_s


EDITS = NEW_MESSAGES | {
    "message gone": (BadRequest("Bad Request: message to edit not found"), "impossible"),
    "message is a photo": (
        BadRequest("Bad Request: there is no text in the message to edit"),
        "impossible",
    ),
}


@pytest.mark.parametrize(("error", "outcome"), EDITS.values(), ids=EDITS)
def test_an_edit_is_never_in_doubt(error: Exception, outcome: str) -> None:
    expected = "try_again" if outcome == "unknown" else outcome
    assert report_of(error, is_repeatable=True, now=NOON).WhichOneof("outcome") == expected
