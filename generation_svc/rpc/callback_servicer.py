"""`CallbackService`: receives callbacks from the gateway."""

from collections.abc import Mapping

from atelier.generation.v1 import callback_service_pb2 as pb
from atelier.generation.v1 import callback_service_pb2_grpc as pb_grpc
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import (
    MAX_CALLBACK_BYTES,
    MAX_CALLBACK_HEADERS,
    MAX_PROVIDER_LENGTH,
    Bounds,
)
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.meter import RpcMeter
from generation_svc.usecase.report_callback import Callback, report_callback

MAX_NAME_LENGTH, MAX_VALUE_LENGTH = 64, 1024
"""How much is kept of a header: a callback is stored whatever is in it."""


class CallbackServicer(pb_grpc.CallbackServiceServicer):
    """Answers the calls of `CallbackService`."""

    def __init__(self, deps: Dependencies, *, meter: RpcMeter) -> None:
        self._deps = deps
        self._meter = meter

    async def ReportCallback(
        self, request: pb.ReportCallbackRequest, context: ServicerContext
    ) -> pb.ReportCallbackResponse:
        """Apply a callback and store it."""
        bounds = Bounds()
        bounds.data("body", request.body, most=MAX_CALLBACK_BYTES)
        if len(request.headers) > MAX_CALLBACK_HEADERS:
            bounds.refuse(
                "headers",
                f"Must be at most {MAX_CALLBACK_HEADERS} headers, not {len(request.headers)}.",
            )
        bounds.text("path_token", request.path_token)
        bounds.text("provider", request.provider, most=MAX_PROVIDER_LENGTH)
        bounds.check()
        headers = _kept(request.headers)
        outcome = await report_callback(
            self._deps,
            Callback(
                body=request.body,
                headers=headers,
                token=request.path_token,
                provider=request.provider,
            ),
        )
        self._meter.callbacks.labels(outcome).inc()
        return pb.ReportCallbackResponse(
            outcome=pb.CallbackOutcome.Value(f"CALLBACK_OUTCOME_{outcome.name}")
        )


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name[:MAX_NAME_LENGTH]: value[:MAX_VALUE_LENGTH] for name, value in headers.items()}
