"""The KIE stand-in: api.kie.ai, the upload host and the result host on one address.

KIE's own surface, as kie-api.md describes it:

    POST /api/v1/jobs/createTask           GET  /api/v1/jobs/recordInfo?taskId=…
    POST /api/v1/common/download-url       GET  /api/v1/chat/credit
    POST /api/file-stream-upload           POST /api/file-base64-upload, /api/file-url-upload
    GET  /api/v1/models                    GET  /api/v1/models/{id}/schema, /price, /success-rate
    GET  /{path}                           uploaded files and results

The stand-in's own surface, which needs no key and is not in the journal:

    /sandbox/faults                        what is to go wrong (`sandbox.fault`, `KieFault`)
    GET   /sandbox/requests                every request received: method, path, headers, body
    GET   /sandbox/callbacks               every callback sent, with the status it was answered
    GET   /sandbox/counters                creations, reads, uploads, downloads, callbacks
    GET   /sandbox/tasks                   every task with its input, state and faults
    GET   /sandbox/settings                the settings that can change while it runs
    PATCH /sandbox/settings                changes them: `{"callbacks": false}`
    GET   /sandbox/accounts                every account: credits, tasks, whether it is revoked
    PATCH /sandbox/accounts/{name}         revokes its key, or fills it: `{"is_revoked": true}`
    GET   /sandbox/models                  every model and what is changed of it
    POST  /sandbox/models                  adds a model that nobody has heard of (an `Entry`)
    PATCH /sandbox/models/{id}             `{"off": "disabled"}`, `price`, `success_rates`, …
    DELETE /sandbox/models/{id}            takes the model, or what was changed of it, back
    POST  /sandbox/reset                   back to the beginning
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.fault import FaultApi
from sandbox.kie import control, model_control, self_description, upload
from sandbox.kie.callback import callback_client
from sandbox.kie.create import create_task
from sandbox.kie.download import download_url, serve_file
from sandbox.kie.gate import GateMiddleware
from sandbox.kie.journal import JournalMiddleware
from sandbox.kie.read import credit, record_info
from sandbox.kie.refusal import RefusedError
from sandbox.kie.settings import KieSettings
from sandbox.kie.state import Kie
from sandbox.kie.task_runner import TaskRunner

ROUTES = [
    Route("/api/v1/jobs/createTask", create_task, methods=["POST"]),
    Route("/api/v1/jobs/recordInfo", record_info),
    Route("/api/v1/chat/credit", credit),
    Route("/api/v1/common/download-url", download_url, methods=["POST"]),
    Route("/api/file-stream-upload", upload.stream_upload, methods=["POST"]),
    Route("/api/file-base64-upload", upload.base64_upload, methods=["POST"]),
    Route("/api/file-url-upload", upload.url_upload, methods=["POST"]),
    *self_description.ROUTES,
    Route("/{path:path}", serve_file),
]


class LifespanState(TypedDict):
    """What every request finds in `request.state`."""

    task_runner: TaskRunner


def create_app(settings: KieSettings) -> Starlette:
    """Return the stand-in; its lifespan owns the tasks that run and the callbacks on their way."""
    kie = Kie(settings)
    app = Starlette(
        routes=[*FaultApi(kie.faults).routes(), *control.ROUTES, *model_control.ROUTES, *ROUTES],
        middleware=[
            Middleware(JournalMiddleware, journal=kie.journal),
            Middleware(GateMiddleware, kie=kie),
        ],
        exception_handlers={RefusedError: _refuse, upload.UploadError: _refuse},
        lifespan=_lifespan,
    )
    app.state.kie = kie
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[LifespanState]:
    async with callback_client() as client:
        task_runner = TaskRunner(app.state.kie, client=client)
        try:
            yield {"task_runner": task_runner}
        finally:
            await task_runner.stop()


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, RefusedError | upload.UploadError):
        return error.response()
    raise error
