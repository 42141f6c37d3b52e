"""What a refused call says, read as any client would read it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class Refusal:
    code: grpc.StatusCode
    message: str = ""
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: dict[str, str] = field(default_factory=dict)
    retry_seconds: float | None = None


CODES = {code.value[0]: code for code in grpc.StatusCode}


def refusal_of(status: status_pb2.Status) -> Refusal:
    info, wrong = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    found = [any(part.Unpack(into) for part in status.details) for into in (info, wrong, retry)]
    return Refusal(
        code=CODES[status.code],
        message=status.message,
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        violations={each.field: each.description for each in wrong.field_violations},
        retry_seconds=retry.retry_delay.ToTimedelta().total_seconds() if found[2] else None,
    )


async def refused(call: Awaitable[Any]) -> Refusal:
    """Await a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refusal_of_error(caught.value)


def refusal_of_error(error: grpc.aio.AioRpcError) -> Refusal:
    status = rpc_status.from_call(cast(grpc.Call, error))
    if status is None:
        return Refusal(error.code(), error.details() or "")
    return refusal_of(status)
