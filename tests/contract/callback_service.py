"""A stand-in for the service's side of ReportCallback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from functools import partial

import grpc

from atelier.generation.v1 import callback_service_pb2 as pb
from atelier.generation.v1 import callback_service_pb2_grpc as pb_grpc
from tests.contract.stand_in import listening

Context = grpc.aio.ServicerContext[pb.ReportCallbackRequest, Awaitable[pb.ReportCallbackResponse]]


class RecordingCallbackService(pb_grpc.CallbackServiceServicer):
    """Keeps what it is told and fails as often as it was asked to."""

    def __init__(self) -> None:
        self.requests: list[pb.ReportCallbackRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.failures: list[grpc.StatusCode] = []
        self.is_hanging = False
        self.may_go_on = asyncio.Event()
        self.outcome: int = pb.CALLBACK_OUTCOME_APPLIED

    async def ReportCallback(
        self, request: pb.ReportCallbackRequest, context: Context
    ) -> pb.ReportCallbackResponse:
        if self.is_hanging:
            await self.may_go_on.wait()
        if self.failures:
            await context.abort(self.failures.pop(), "as asked")
        self.requests.append(request)
        pairs = context.invocation_metadata() or ()
        self.metadata.append({key: str(value) for key, value in pairs})
        return pb.ReportCallbackResponse(outcome=self.outcome)  # type: ignore[arg-type]


def serving_callbacks(
    service: RecordingCallbackService, *, port: int = 0
) -> AbstractAsyncContextManager[int]:
    return listening(partial(pb_grpc.add_CallbackServiceServicer_to_server, service), port=port)
