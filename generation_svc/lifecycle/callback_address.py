"""Callback addresses: how they are built, and how they are found in a text."""

import re

CALLBACK_TOKEN_BYTES = 24
"""The entropy of a callback's token: 32 characters in its address."""

ADDRESS = re.compile(r"callbacks/+[a-z0-9-]+/+([\w~.-]+)", re.IGNORECASE)
"""An address within a text, and the token in it."""


def callback_address(base_url: str, *, provider: str, token: str) -> str:
    """Return the address for the callback of one attempt."""
    return f"{base_url}/callbacks/{provider}/{token}"
