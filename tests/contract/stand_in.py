"""What the stand-ins for the service share: a server on a free port, refusals with details."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from generation_svc.rpc.error_table import DOMAIN


@asynccontextmanager
async def listening(
    *registrations: Callable[[grpc.aio.Server], None],
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    port: int = 0,
) -> AsyncIterator[int]:
    """Serve what is registered and yield the port."""
    server = grpc.aio.server(interceptors=interceptors, options=[("grpc.so_reuseport", 0)])
    for register in registrations:
        register(server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(grace=None)


async def refuse(
    context: Any,
    code: grpc.StatusCode,
    reason: str,
    *,
    metadata: dict[str, str] | None = None,
    wrong_fields: Iterable[str] = (),
    retry_after_s: int = 0,
) -> None:
    """End a call as the service does: with a reason, and a violation for each wrong field."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    wrong = error_details_pb2.BadRequest()
    for name in wrong_fields:
        wrong.field_violations.add(field=name, description="Must be otherwise.")
    status = Status(code=code.value[0], message=reason.lower())
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromSeconds(retry_after_s)
    for each in (info, wrong, *([retry] if retry_after_s else [])):
        detail = AnyMessage()
        detail.Pack(each)
        status.details.append(detail)
    await context.abort_with_status(rpc_status.to_status(status))


@dataclass(frozen=True)
class Refusal:
    """How the next CreateJob is refused."""

    code: grpc.StatusCode
    reason: str
    fields: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after_s: int = 0

    async def given(self, context: Any) -> None:
        """End a call with it."""
        wrong = [f"inputs.{name}" for name in self.fields]
        await refuse(
            context,
            self.code,
            self.reason,
            metadata=self.metadata,
            wrong_fields=wrong,
            retry_after_s=self.retry_after_s,
        )
