"""Generates ids; those of listed resources sort by creation time."""

import secrets
from datetime import datetime, timedelta
from uuid import UUID, uuid4

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MILLISECOND = timedelta(milliseconds=1)
_RANDOM_BITS = 62


def new_id(time: datetime) -> UUID:
    """Return a UUIDv7 of this time (RFC 9562 §5.7, with the fraction of §6.2 method 3).

    The time is the database's, for a list of jobs is paged by their ids: those that a replica with
    a wrong clock accepts must not stand behind a page that was already read.
    """
    milliseconds, rest = divmod(time - _EPOCH, _MILLISECOND)
    fraction = rest * 4096 // _MILLISECOND
    high = milliseconds << 16 | 0x7000 | fraction
    return UUID(int=high << 64 | 0b10 << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS))


def first_id(time: datetime) -> UUID:
    """Return the least id that `new_id` may give at a time, or later."""
    return UUID(int=((time - _EPOCH) // _MILLISECOND << 16 | 0x7000) << 64)


def random_id() -> UUID:
    """Return a UUIDv4, for what is never listed."""
    return uuid4()
