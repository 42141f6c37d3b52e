"""`CallbackService`: what KIE posted, as the gateway hands it on."""

from typing import Any

from prometheus_client import Counter

from atelier.generation.v1 import callback_service_pb2 as pb
from atelier.generation.v1 import callback_service_pb2_grpc as pb_grpc
from generation_svc.lifecycle.context import Context
from generation_svc.lifecycle.receive import Callback, receive
from generation_svc.rpc.bound import Bounds

MAX_BODY_BYTES = 2**20
MAX_HEADERS = 16
_callbacks = Counter("atelier_callbacks_total", "Callbacks by what came of them.", ("outcome",))


class CallbackServicer(pb_grpc.CallbackServiceServicer):
    """Answers the calls of `CallbackService`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def ReportCallback(
        self, request: pb.ReportCallbackRequest, context: Any
    ) -> pb.ReportCallbackResponse:
        """Store a callback and apply it."""
        bounds = Bounds()
        bounds.number("body", len(request.body), least=0, most=MAX_BODY_BYTES)
        bounds.number("headers", len(request.headers), least=0, most=MAX_HEADERS)
        bounds.text("path_token", request.path_token, most=128)
        bounds.check()
        headers = {name[:64]: value[:1024] for name, value in request.headers.items()}
        outcome = await receive(
            self._context,
            Callback(body=request.body, headers=headers, token=request.path_token),
        )
        _callbacks.labels(outcome).inc()
        return pb.ReportCallbackResponse(
            outcome=pb.CallbackOutcome.Value(f"CALLBACK_OUTCOME_{outcome.name}")
        )
