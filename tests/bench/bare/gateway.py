"""The floor of the gateway: Starlette on uvicorn, and one gRPC call for each callback.

`python -m tests.bench.bare.gateway` with LISTEN and GENERATION_ADDRESS.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atelier.generation.v1.callback_service_pb2 import ReportCallbackRequest
from atelier.generation.v1.callback_service_pb2_grpc import CallbackServiceStub


@asynccontextmanager
async def _connected(app: Starlette) -> AsyncIterator[None]:
    async with grpc.aio.insecure_channel(os.environ["GENERATION_ADDRESS"]) as channel:
        app.state.stub = CallbackServiceStub(channel)
        yield


async def _callback(request: Request) -> Response:
    token, body = request.path_params["token"], await request.body()
    report = ReportCallbackRequest(body=body, path_token=token, provider="kie")
    await request.app.state.stub.ReportCallback(report)
    return Response(b'{"code":200,"msg":"success"}', media_type="application/json")


def main() -> None:
    """Serve until the process is asked to end."""
    host, _, port = os.environ["LISTEN"].rpartition(":")
    route = Route("/callbacks/kie/{token}", _callback, methods=["POST"])
    app = Starlette(routes=[route], lifespan=_connected)
    uvicorn.run(app, host=host, port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
