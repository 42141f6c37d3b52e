"""How much goes into one answer: clients take 4 MiB of a message unless they are told otherwise.

A list is cut where it grows too long, and goes on in the next answer.
"""

from collections.abc import Sequence

from google.protobuf.message import Message

MAX_LIST_BYTES = 2 * 2**20
"""From which size on a list takes no further message; one alone has a text of 1 MiB at most."""


def fitting(messages: Sequence[Message]) -> int:
    """Return how many of these go into one answer; the first one always does."""
    size = 0
    for count, message in enumerate(messages):
        size += message.ByteSize()
        if count and size > MAX_LIST_BYTES:
            return count
    return len(messages)
