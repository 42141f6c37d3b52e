"""Adds a deadline, the caller's token and the correlation id to every call."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import MappingProxyType
from typing import TypeVar

import grpc
import structlog

from generation_client.limit import LONGEST_WAIT_S
from runtime.correlation import CORRELATION_KEY, new_correlation_id

DEADLINE_S = 10.0
"""The deadline of a call for which the caller gave none and no longer one is named below."""

_ANSWER_S = 15.0
"""What a call that may wait has left for its answer, in seconds."""

LONG_DEADLINE_S = MappingProxyType(
    {
        "WaitJob": LONGEST_WAIT_S + _ANSWER_S,
        "LeaseDeliveries": LONGEST_WAIT_S + _ANSWER_S,
        "TestWebhook": 30.0,
        "UploadInput": 1800.0,
        "DownloadMedia": 120.0,
        # A watcher resumes by revision, so ending its stream now and then costs nothing.
        "StreamJobUpdates": 3600.0,
    }
)
"""The deadlines of the methods that take long by nature, in seconds."""

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def call_interceptors(token: str) -> list[grpc.aio.ClientInterceptor]:
    """Return the interceptors of a channel, one for each kind of call in the contract."""
    # One class for all kinds would be registered for the first of them only.
    return [_UnaryUnary(token), _UnaryStream(token), _StreamUnary(token)]


class _Caller:
    """Completes the details of a call: who calls, for what, and until when."""

    def __init__(self, token: str) -> None:
        self._token = token

    def complete(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        """Return the details with deadline, correlation id and token where they were missing."""
        method = _text(details.method).rpartition("/")[2]
        timeout = details.timeout or LONG_DEADLINE_S.get(method, DEADLINE_S)
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        if metadata.get(CORRELATION_KEY) is None:
            metadata.add(CORRELATION_KEY, _correlation_id())
        if self._token:
            # In place of one that is there: the service accepts no call with two tokens.
            metadata.set_all("authorization", [f"Bearer {self._token}"])
        return grpc.aio.ClientCallDetails(
            details.method, timeout, metadata, details.credentials, details.wait_for_ready
        )


class _UnaryUnary(_Caller, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, _Request],
            Awaitable[grpc.aio.UnaryUnaryCall[_Request, _Response]],
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request: _Request,
    ) -> grpc.aio.UnaryUnaryCall[_Request, _Response]:
        return await continuation(self.complete(client_call_details), request)


class _UnaryStream(_Caller, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, _Request],
            Awaitable[grpc.aio.UnaryStreamCall[_Request, _Response]],
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request: _Request,
    ) -> grpc.aio.UnaryStreamCall[_Request, _Response]:
        return await continuation(self.complete(client_call_details), request)


class _StreamUnary(_Caller, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, AsyncIterable[_Request] | Iterable[_Request]],
            Awaitable[grpc.aio.StreamUnaryCall[_Request, _Response]],
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: AsyncIterable[_Request] | Iterable[_Request],
    ) -> grpc.aio.StreamUnaryCall[_Request, _Response]:
        return await continuation(self.complete(client_call_details), request_iterator)


def _text(method: str | bytes) -> str:
    return method.decode() if isinstance(method, bytes) else method


def _correlation_id() -> str:
    bound = structlog.contextvars.get_contextvars().get("correlation_id")
    return str(bound or new_correlation_id())
