"""The id that one click or callback carries through every process and every log line."""

from __future__ import annotations

import uuid6

CORRELATION_KEY = "x-correlation-id"
"""The metadata of a call that carries it."""


def new_correlation_id() -> str:
    """Return an id for what began here."""
    return str(uuid6.uuid7())
