"""The stand-in's own HTTP API under /sandbox, beside that of `sandbox.fault`."""

from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.kie.answer import record
from sandbox.kie.settings import FIXED_SETTINGS, SECRET_SETTINGS, KieSettings
from sandbox.kie.state import kie_of
from sandbox.kie.task_runner import TaskRunner


def _changeable(name: str) -> str:
    if name not in CHANGEABLE:
        raise ValueError(f"{name!r} cannot be changed; these can: {', '.join(sorted(CHANGEABLE))}")
    return name


CHANGEABLE = frozenset(KieSettings.model_fields) - FIXED_SETTINGS
_CHANGES = TypeAdapter(dict[Annotated[str, AfterValidator(_changeable)], Any])


async def show_requests(request: Request) -> Response:
    """Show every request that KIE received, oldest first."""
    return JSONResponse([each._asdict() for each in kie_of(request).journal.requests])


async def show_callbacks(request: Request) -> Response:
    """Show every callback that KIE sent, oldest first."""
    return JSONResponse([each._asdict() for each in kie_of(request).journal.callbacks])


async def show_counters(request: Request) -> Response:
    """Show what happened how often."""
    return JSONResponse(kie_of(request).journal.counted())


async def show_tasks(request: Request) -> Response:
    """Show every task, oldest first: its record, and the faults that it carries."""
    tasks = kie_of(request).tasks.values()
    return JSONResponse([record(task) | {"faults": sorted(task.faults)} for task in tasks])


async def show_settings(request: Request) -> Response:
    """Show the settings, without secrets."""
    shown = CHANGEABLE - SECRET_SETTINGS
    return JSONResponse(kie_of(request).settings.model_dump(include=set(shown)))


async def change_settings(request: Request) -> Response:
    """Set what the JSON object names; a new balance is the account's at once."""
    kie = kie_of(request)
    try:
        changes = _CHANGES.validate_json(await request.body())
        for name, value in changes.items():
            setattr(kie.settings, name, value)
    except ValidationError as error:
        return JSONResponse({"error": str(error)}, 422)
    kie.credits = kie.settings.credits if "credits" in changes else kie.credits
    return await show_settings(request)


async def reset(request: Request) -> Response:
    """Stop every task, forget everything, take the settings back to those at start."""
    task_runner: TaskRunner = request.state.task_runner
    await task_runner.stop()
    kie_of(request).restore()
    kie_of(request).clear()
    return JSONResponse({})


ROUTES = [
    Route("/sandbox/requests", show_requests),
    Route("/sandbox/callbacks", show_callbacks),
    Route("/sandbox/counters", show_counters),
    Route("/sandbox/tasks", show_tasks),
    Route("/sandbox/settings", show_settings, methods=["GET"]),
    Route("/sandbox/settings", change_settings, methods=["PATCH"]),
    Route("/sandbox/reset", reset, methods=["POST"]),
]
