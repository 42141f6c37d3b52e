"""A stand-in for the service's side of ReportCallback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import grpc

from atelier.generation.v1 import callback_service_pb2 as pb
from atelier.generation.v1 import callback_service_pb2_grpc as pb_grpc

Context = grpc.aio.ServicerContext[pb.ReportCallbackRequest, Awaitable[pb.ReportCallbackResponse]]


class RecordingCallbackService(pb_grpc.CallbackServiceServicer):
    """Keeps what it is told and fails as often as it was asked to."""

    def __init__(self) -> None:
        self.requests: list[pb.ReportCallbackRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.failures: list[grpc.StatusCode] = []
        self.is_hanging = False

    async def ReportCallback(
        self, request: pb.ReportCallbackRequest, context: Context
    ) -> pb.ReportCallbackResponse:
        if self.is_hanging:
            await asyncio.Event().wait()
        if self.failures:
            await context.abort(self.failures.pop(), "as asked")
        self.requests.append(request)
        pairs = context.invocation_metadata() or ()
        self.metadata.append({key: str(value) for key, value in pairs})
        return pb.ReportCallbackResponse(outcome=pb.CALLBACK_OUTCOME_APPLIED)


@asynccontextmanager
async def serving_callbacks(
    service: RecordingCallbackService, *, port: int = 0
) -> AsyncIterator[int]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    pb_grpc.add_CallbackServiceServicer_to_server(service, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(grace=None)
