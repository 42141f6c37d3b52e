"""The stand-in's own HTTP API under /sandbox, beside that of `sandbox.fault`."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    NonNegativeFloat,
    TypeAdapter,
    ValidationError,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.kie.account import Account
from sandbox.kie.answer import record
from sandbox.kie.settings import FIXED_SETTINGS, SECRET_SETTINGS, KieSettings
from sandbox.kie.state import Kie, kie_of
from sandbox.kie.task import Task
from sandbox.kie.task_runner import TaskRunner


def _changeable(name: str) -> str:
    if name not in CHANGEABLE:
        raise ValueError(f"{name!r} cannot be changed; these can: {', '.join(sorted(CHANGEABLE))}")
    return name


CHANGEABLE = frozenset(KieSettings.model_fields) - FIXED_SETTINGS


class AccountChange(BaseModel):
    """What of an account is to change."""

    model_config = ConfigDict(extra="forbid")

    credits: NonNegativeFloat | None = None
    is_revoked: bool | None = None


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
    """Show every task, oldest first: its record, its account and the faults that it carries."""
    tasks = kie_of(request).tasks.values()
    return JSONResponse([record(task) | _ours(task) for task in tasks])


def _ours(task: Task) -> dict[str, Any]:
    return {"faults": sorted(task.faults), "account": task.account}


async def show_settings(request: Request) -> Response:
    """Show the settings, without secrets."""
    shown = CHANGEABLE - SECRET_SETTINGS
    return JSONResponse(kie_of(request).settings.model_dump(include=set(shown)))


async def change_settings(request: Request) -> Response:
    """Set what the JSON object names; a new balance is every account's at once."""
    kie = kie_of(request)
    try:
        changes = _CHANGES.validate_json(await request.body())
        for name, value in changes.items():
            setattr(kie.settings, name, value)
    except ValidationError as error:
        return JSONResponse({"error": str(error)}, 422)
    for account in kie.accounts.values() if "credits" in changes else ():
        account.credits = kie.settings.credits
    return await show_settings(request)


async def show_accounts(request: Request) -> Response:
    """Show every account: what it has left, what it made, and whether its key opens it."""
    kie = kie_of(request)
    return JSONResponse([_account(kie, account) for account in kie.accounts.values()])


async def change_account(request: Request) -> Response:
    """Revoke the key of an account or give it back, or fill the account: `{"is_revoked": true}`."""
    kie = kie_of(request)
    try:
        change = AccountChange.model_validate_json(await request.body())
    except ValidationError as error:
        return JSONResponse({"error": str(error)}, 422)
    account = kie.accounts.get(request.path_params["name"])
    if account is None:
        return JSONResponse({"error": f"known accounts: {sorted(kie.accounts)}"}, 404)
    for name, value in change.model_dump(exclude_none=True).items():
        setattr(account, name, value)
    return JSONResponse(_account(kie, account))


def _account(kie: Kie, account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "credits": account.credits,
        "is_revoked": account.is_revoked,
        "creates": account.creates,
        "running": kie.running_count(account),
    }


async def plant(request: Request) -> Response:
    """Have every model give the body as its result for a prompt: `?prompt=a cat`."""
    kie_of(request).planted[request.query_params["prompt"]] = await request.body()
    return JSONResponse({})


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
    Route("/sandbox/accounts", show_accounts),
    Route("/sandbox/accounts/{name}", change_account, methods=["PATCH"]),
    Route("/sandbox/results", plant, methods=["PUT"]),
    Route("/sandbox/reset", reset, methods=["POST"]),
]
