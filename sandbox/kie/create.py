"""POST /api/v1/jobs/createTask: limits, faults, validation, credits, and then a task."""

import asyncio
import json
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from sandbox.kie import answer
from sandbox.kie.account import Account, account_in
from sandbox.kie.answer import CutResponse
from sandbox.kie.fault import TASK_FAULTS, KieFault
from sandbox.kie.model import MODELS
from sandbox.kie.refusal import CREATE_REFUSALS, RefusedError, refuse_by_fault, unanswered
from sandbox.kie.state import Kie, kie_of
from sandbox.kie.task import Task, subject_of
from sandbox.kie.task_runner import TaskRunner


class Order(NamedTuple):
    """What a createTask asks for."""

    model: str
    fields: dict[str, Any]
    callback_url: str | None

    @property
    def subject(self) -> str:
        """The text that faults are matched against."""
        return subject_of(self.model, self.fields)


async def create_task(request: Request) -> Response:
    """Answer a createTask, counting it whatever comes of it."""
    kie = kie_of(request)
    kie.journal.counters.create_requests += 1
    try:
        order = _read_order(await request.body())
        if fault := kie.faults.take(KieFault.HANG, order.subject):
            return await unanswered(request, fault)
        task = _accept(kie, order, account=account_in(request.scope))
    except RefusedError as refused:
        body = refused.body or {"code": f"http {refused.status}"}
        kie.journal.counters.create_refusals[str(body["code"])] += 1
        raise
    return await _answer(request, task)


def _read_order(body: bytes) -> Order:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise RefusedError(answer.SERVER_ERROR) from error
    if not isinstance(content, dict):
        raise RefusedError(answer.SERVER_ERROR)
    fields, callback_url = content.get("input"), content.get("callBackUrl")
    return Order(
        model=str(content.get("model", "")),
        fields=fields if isinstance(fields, dict) else {},
        callback_url=str(callback_url) if callback_url else None,
    )


def _accept(kie: Kie, order: Order, *, account: Account) -> Task:
    """Return the task that the order became; raises RefusedError."""
    if not kie.admits_creation(account):
        raise RefusedError(answer.TOO_FREQUENT)
    refuse_by_fault(kie.faults, CREATE_REFUSALS, subject=order.subject)
    cost = _checked_cost(order)
    if cost > account.credits:
        raise RefusedError(answer.NO_CREDITS)
    account.credits -= cost
    account.creates += 1
    return _created(kie, order, account=account, cost=cost)


def _checked_cost(order: Order) -> float:
    model = MODELS.get(order.model)
    if model is None:
        raise RefusedError(answer.UNKNOWN_MODEL)
    if complaint := model.complaint(order.fields):
        raise RefusedError(answer.refusal(500, complaint))
    return model.cost(order.fields)


def _created(kie: Kie, order: Order, *, account: Account, cost: float) -> Task:
    faults = kie.faults.take_all(TASK_FAULTS, order.subject)
    is_early = KieFault.CALLBACK_BEFORE_ANSWER in faults
    task = Task(
        model=order.model,
        fields=order.fields,
        callback_url=order.callback_url,
        account=account.name,
        credits=cost,
        duration_s=0 if is_early else kie.duration_of(order.model),
        faults=faults,
    )
    kie.tasks[task.id] = task
    kie.journal.counters.creates += 1
    return task


async def _answer(request: Request, task: Task) -> Response:
    task_runner: TaskRunner = request.state.task_runner
    job = task_runner.start(task)
    if task.fault(KieFault.CALLBACK_BEFORE_ANSWER):
        await asyncio.wait([job])
    if silent := task.fault(KieFault.CREATE_NO_ANSWER):
        return await unanswered(request, silent)
    return CutResponse() if task.fault(KieFault.CREATE_CUT) else answer.created(task)
