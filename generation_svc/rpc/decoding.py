"""Requests that are no messages: refused as wrong input, where gRPC would call them our fault."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf.message import DecodeError

from generation_svc.domain.error import FieldViolation, InvalidInputs

_UNREADABLE: Any = object()
"""What stands in the place of a message that cannot be read."""

Deserialize = Callable[[bytes], Any]


def lenient(deserialize: Deserialize | None) -> Deserialize | None:
    """Return a deserializer that raises nothing; `checked` does it later."""
    if deserialize is None:
        return None

    def deserialized(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return _UNREADABLE

    return deserialized


def checked(request: Any) -> Any:
    """Return a request, a stream as one of messages. Raises InvalidInputs."""
    return _each_checked(request) if hasattr(request, "__aiter__") else _checked(request)


async def _each_checked(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for message in messages:
        yield _checked(message)


def _checked(message: Any) -> Any:
    if message is _UNREADABLE:
        raise InvalidInputs((FieldViolation("", "The request is no message of this contract."),))
    return message
