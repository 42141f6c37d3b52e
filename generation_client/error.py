"""Errors of calls, with the `google.rpc` details that the service sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self, TypeVar, cast

import grpc
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

_Detail = TypeVar(
    "_Detail",
    error_details_pb2.ErrorInfo,
    error_details_pb2.RetryInfo,
    error_details_pb2.BadRequest,
)


_PASSING = frozenset(
    {
        grpc.StatusCode.ABORTED,
        # grpc.aio answers CANCELLED when more calls arrive at once than it takes.
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNAVAILABLE,
    }
)


ERROR_DOMAINS = frozenset({"atelier.internal", "atelier"})
"""The domains whose reasons are those of the contract; release 0.1 says the second."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that the service refused, in words for a person."""

    field: str
    description: str


@dataclass(eq=False)
class GenerationError(Exception):
    """A call failed; `reason` is a name of `ErrorReason` without its prefix, or empty."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    violations: tuple[Violation, ...] = ()
    retry_after_s: float | None = None
    """How long the service asks to wait before a repetition; None where none can help."""
    metadata: dict[str, str] = field(default_factory=dict)
    """The data of the reason, such as the nearest model id."""

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.retry_after_s is not None or self.code in _PASSING

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {self.message}"

    @classmethod
    def from_rpc(cls, error: grpc.aio.AioRpcError) -> Self:
        """Read a failed call with the `google.rpc` details that came with it."""
        status = _status(error)
        info = _detail(status, error_details_pb2.ErrorInfo())
        is_ours = info is not None and info.domain in ERROR_DOMAINS
        retry = _detail(status, error_details_pb2.RetryInfo())
        wrong = _detail(status, error_details_pb2.BadRequest())
        violations = wrong.field_violations if wrong else ()
        return cls(
            code=error.code(),
            reason=info.reason if info and is_ours else "",
            message=error.details() or "",
            violations=tuple(Violation(each.field, each.description) for each in violations),
            retry_after_s=retry.retry_delay.ToTimedelta().total_seconds() if retry else None,
            metadata=dict(info.metadata) if info and is_ours else {},
        )


@contextmanager
def translated() -> Iterator[None]:
    """Turn the failure of a call inside the context into a `GenerationError`."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise GenerationError.from_rpc(error) from error


def _detail(status: Status | None, into: _Detail) -> _Detail | None:
    return next((into for each in (status.details if status else ()) if each.Unpack(into)), None)


def _status(error: grpc.aio.AioRpcError) -> Status | None:
    try:
        return rpc_status.from_call(cast(grpc.Call, error))
    except ValueError:
        # The details contradict the code: a proxy's answer, not the service's.
        return None
