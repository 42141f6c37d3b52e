"""Checks of request fields: every violation of a request at once, in words."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from generation_svc.domain.error import FieldViolation, InvalidInputs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
_QUEUE = re.compile(r"[a-z0-9._-]{1,64}")


class Bounds:
    """Collects the violations of one request."""

    def __init__(self) -> None:
        self._violations: list[FieldViolation] = []

    def refuse(self, field: str, description: str) -> None:
        """Note a violation."""
        self._violations.append(FieldViolation(field, description))

    def text(self, field: str, value: str, *, most: int, is_required: bool = False) -> str:
        """Check the length of a text, and that it can be stored."""
        if is_required and not value:
            self.refuse(field, "Required.")
        if len(value) > most:
            self.refuse(field, f"At most {most} characters; this has {len(value)}.")
        if "\0" in value:
            self.refuse(field, "Must not hold the character U+0000.")
        return value

    def number(self, field: str, value: int, *, least: int, most: int) -> int:
        """Check the range of a number."""
        if not least <= value <= most:
            self.refuse(field, f"Must be from {least} to {most}, not {value}.")
        return value

    def queue(self, field: str, value: str) -> str:
        """Check the name of a feed."""
        if not _QUEUE.fullmatch(value):
            self.refuse(field, "1 to 64 characters of a-z, 0-9, '.', '_' and '-'.")
        return value

    def span(self, field: str, value: Duration, *, most: timedelta) -> timedelta:
        """Check a span of time: zero to `most`."""
        seconds = value.seconds + value.nanos / 1e9  # as a timedelta it might overflow
        if not 0 <= seconds <= most.total_seconds():
            self.refuse(field, f"Must be from 0 to {most.total_seconds():g} s.")
            return timedelta(0)
        return timedelta(seconds=seconds)

    def moment(self, field: str, value: Timestamp) -> datetime:
        """Check that a time is one that can be stored."""
        if not 0 <= value.seconds < _LAST_SECOND or not 0 <= value.nanos < 10**9:
            self.refuse(field, "Must be a time from 1970 to 9998.")
            return _EPOCH
        return value.ToDatetime(tzinfo=UTC)

    def check(self) -> None:
        """Raise InvalidInputs if there was a violation."""
        if self._violations:
            raise InvalidInputs(tuple(self._violations))


def parse_id(field: str, text: str) -> UUID | None:
    """Read an id; None for a text that is none, which then is not found.

    Raises InvalidInputs for an empty one: that is a mistake and no id.
    """
    if not text:
        raise InvalidInputs((FieldViolation(field, "Required."),))
    try:
        return UUID(text)
    except ValueError:
        return None
