"""The limits of the contract that callers keep, so that nothing is sent only to be refused.

A test holds each to the comment of its field.
"""

from __future__ import annotations

MAX_UPLOAD_BYTES = 500 * 2**20
"""The size of an upload (UploadInput), where the operator and the models allow as much."""

MAX_PIECE_BYTES = 2**20
"""The size of the data in one message of an upload."""

MAX_SESSION_BYTES = 64 * 2**10
"""The size of a session (PutSession)."""

MAX_CALLBACK_BYTES = 2**20
"""The size of a callback's body (ReportCallback)."""

MAX_TOKEN_LENGTH = 128
"""The length of a callback's path token, in characters."""

LONGEST_WAIT_S = 60.0
"""How long one call of WaitJob or LeaseDeliveries may wait, in seconds."""

LONGEST_PAUSE_S = 24 * 3600.0
"""How far ahead the next try of a delivery may be put, in seconds."""
