"""The bounds of request fields, and the violations of a request, all at once.

These are the bounds that the comments of `proto/` promise; a test reads the comments and tries each
of them, on it and one beyond it.
"""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.domain.limit import MAX_ID_LENGTH

MAX_LANGUAGE_LENGTH = 35
MAX_PROVIDER_LENGTH = 32
MAX_VERSION_LENGTH = 64
"""The length of a version: of the catalog, or of a wording."""
MAX_HOST_LENGTH = 253
"""The length of the name of a host (RFC 1035)."""
MAX_REASON_LENGTH = 200
MAX_TELEGRAM_ID = 2**52 - 1
"""Telegram's ids have at most 52 significant bits (Bot API, User and Chat)."""
MAX_PIECE_BYTES = 2**20
"""The size of the data in one message of an upload."""
MAX_SESSION_BYTES = 64 * 2**10
MAX_CALLBACK_BYTES = 2**20
MAX_CALLBACK_HEADERS = 16
MAX_DELIVERIES = 100
MAX_FILTER_LENGTH = 1024
MAX_FILTER_CONDITIONS = 16
LONGEST_WAIT = timedelta(seconds=60)
DEFAULT_WAIT = timedelta(seconds=30)
SHORTEST_LEASE = timedelta(seconds=1)
LONGEST_LEASE = timedelta(seconds=300)
DEFAULT_LEASE = timedelta(seconds=30)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
_QUEUE = re.compile(r"[a-z0-9._-]{1,64}")


class Bounds:
    """Collects the violations of one request."""

    def __init__(self) -> None:
        self._violations: list[FieldViolation] = []

    @property
    def are_kept(self) -> bool:
        """Whether no violation was noted so far."""
        return not self._violations

    def refuse(self, field: str, description: str) -> None:
        """Note a violation."""
        self._violations.append(FieldViolation(field, description))

    def text(
        self, field: str, value: str, *, most: int = MAX_ID_LENGTH, is_required: bool = False
    ) -> str:
        """Check the length of a text, and that it can be stored."""
        if is_required and not value:
            self.refuse(field, "Required.")
        if len(value) > most:
            self.refuse(field, f"Must be at most {most} characters, not {len(value)}.")
        if "\0" in value:
            self.refuse(field, "Must not contain the character U+0000.")
        return value

    def data(self, field: str, value: bytes, *, most: int) -> bytes:
        """Check the number of bytes."""
        if len(value) > most:
            self.refuse(field, f"Must be at most {most} bytes, not {len(value)}.")
        return value

    def number(self, field: str, value: int, *, least: int, most: int) -> int:
        """Check the range of a number."""
        if not least <= value <= most:
            self.refuse(field, f"Must be from {least} to {most}, not {value}.")
        return value

    def count(self, field: str, value: int) -> int:
        """Check that a counter is not negative."""
        if value < 0:
            self.refuse(field, f"Must be 0 or more, not {value}.")
        return value

    def bot(self, field: str, value: int) -> int:
        """Check the id of a bot."""
        return self.number(field, value, least=1, most=MAX_TELEGRAM_ID)

    def chat(self, field: str, value: int) -> int:
        """Check the id of a chat; groups have ids below zero."""
        if value == 0:
            self.refuse(field, "Required.")
        return self.number(field, value, least=-MAX_TELEGRAM_ID, most=MAX_TELEGRAM_ID)

    def message(self, field: str, value: int) -> int:
        """Check the id of a message; zero means none."""
        return self.number(field, value, least=0, most=MAX_TELEGRAM_ID)

    def page_size(self, value: int, *, default: int, most: int) -> int:
        """Return the size of a page: AIP-158 asks for the greatest where more is wanted."""
        self.count("page_size", value)
        return min(value or default, most)

    def queue(self, field: str, value: str) -> str:
        """Check the name of a feed."""
        if not _QUEUE.fullmatch(value):
            self.refuse(field, "Must be 1 to 64 characters of a-z, 0-9, '.', '_' and '-'.")
        return value

    def reason(self, value: str) -> str:
        """Check why an operator does something, which must be said."""
        return self.text("reason", value, most=MAX_REASON_LENGTH, is_required=True)

    def telegram_host(self, value: str, *, is_required: bool = True) -> str:
        """Check the host of the Telegram where somebody pays in Stars."""
        return self.text("telegram_host", value, most=MAX_HOST_LENGTH, is_required=is_required)

    def span(
        self, field: str, value: Duration, *, most: timedelta, least: timedelta = timedelta(0)
    ) -> timedelta:
        """Check a duration."""
        seconds = _seconds(value)
        if seconds is None or not least.total_seconds() <= seconds <= most.total_seconds():
            words = f"{least.total_seconds():g} to {most.total_seconds():g} s"
            self.refuse(field, f"Must be from {words}.")
            return least
        return timedelta(seconds=seconds)

    def lease(self, value: Duration) -> timedelta:
        """Check the time for which something is leased."""
        return self.span("lease_duration", value, least=SHORTEST_LEASE, most=LONGEST_LEASE)

    def moment(self, field: str, value: Timestamp) -> datetime:
        """Check that a time is one that can be stored."""
        if not 0 <= value.seconds < _LAST_SECOND or not 0 <= value.nanos < 10**9:
            self.refuse(field, "Must be a time in the years 1970 to 9998.")
            return _EPOCH
        return value.ToDatetime(tzinfo=UTC)

    def check(self) -> None:
        """Raise InvalidInputs if there was a violation."""
        if self._violations:
            raise InvalidInputs(tuple(self._violations))


def parse_id(field: str, text: str) -> UUID | None:
    """Parse an id; None for a text that is not a UUID, which is then not found.

    Raises InvalidInputs for an empty one, or one far too long: these are mistakes.
    """
    bounds = Bounds()
    bounds.text(field, text, is_required=True)
    bounds.check()
    try:
        return UUID(text)
    except ValueError:
        return None


def _seconds(value: Duration) -> float | None:
    """Return the seconds of a duration, which as a timedelta might overflow; None if it is none."""
    if abs(value.nanos) >= 10**9 or value.seconds * value.nanos < 0:
        return None
    return value.seconds + value.nanos / 1e9
