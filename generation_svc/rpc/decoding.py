"""Refuses malformed and oversized requests with a reason, where gRPC would give none.

gRPC's own limits are set to twice ours, so that what is a little too large is refused by us. What
is larger still never gets here: gRPC's core refuses it, in its own words and without details.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc.aio
from google.protobuf.message import DecodeError

from generation_svc.domain.error import AtelierError, FieldViolation, InvalidInputs
from generation_svc.rpc.call import ServicerContext

MAX_MESSAGE_BYTES = 4 << 20
"""The greatest size of one message of a request."""
MAX_METADATA_BYTES = 8 << 10
"""The greatest size of a call's metadata, counted as HTTP/2 does."""
ENTRY_BYTES = 32
"""What HTTP/2 counts for an entry of metadata beside its name and value (RFC 9113, 6.5.2)."""
SIZE_OPTIONS = (
    ("grpc.max_receive_message_length", 2 * MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 2 * MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
)
"""The options of a server that let us see what is too large by less than as much again."""
_UNREADABLE: Any = object()
"""The placeholder for a message that cannot be parsed."""
_TOO_LARGE: Any = object()
"""The placeholder for a message that is too large."""

Deserialize = Callable[[bytes], Any]


class MessageTooLarge(AtelierError):
    """A message of the request, or its metadata, is larger than the service takes."""

    def __init__(self, part: str, *, limit_bytes: int) -> None:
        self.part = part
        self.limit_bytes = limit_bytes
        super().__init__(f"The {part} is larger than {limit_bytes} bytes.")


def lenient(deserialize: Deserialize | None) -> Deserialize | None:
    """Return a deserializer that raises nothing; `checked` does it later."""
    if deserialize is None:
        return None

    def deserialized(data: bytes) -> Any:
        # gRPC turns whatever is raised here into UNKNOWN and a traceback, before any code of ours
        # runs. So a stand-in is returned, and refused where the handler reads it.
        if len(data) > MAX_MESSAGE_BYTES:
            return _TOO_LARGE
        try:
            return deserialize(data)
        except DecodeError:
            return _UNREADABLE

    return deserialized


async def only_message(context: ServicerContext) -> Any:
    """Read the message of a unary request. Raises InvalidInputs and MessageTooLarge."""
    message = await context.read()
    if message is grpc.aio.EOF:
        raise InvalidInputs((FieldViolation("", "The request has no message."),))
    return checked_message(message)


async def checked(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Give the messages of a stream. Raises InvalidInputs and MessageTooLarge."""
    async for message in messages:
        yield checked_message(message)


def check_metadata(metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
    """Raise MessageTooLarge if the metadata of a call is too large."""
    size = sum(len(key) + len(value) + ENTRY_BYTES for key, value in metadata or ())
    if size > MAX_METADATA_BYTES:
        raise MessageTooLarge("metadata", limit_bytes=MAX_METADATA_BYTES)


def checked_message(message: Any) -> Any:
    """Return a message that can be read. Raises InvalidInputs and MessageTooLarge."""
    if message is _UNREADABLE:
        raise InvalidInputs(
            (FieldViolation("", "The request is not a valid message of this contract."),)
        )
    if message is _TOO_LARGE:
        raise MessageTooLarge("message", limit_bytes=MAX_MESSAGE_BYTES)
    return message
