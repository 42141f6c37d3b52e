"""POST /api/v1/jobs/createTask: limits, faults, validation, credits, and then a task."""

import asyncio
import json
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from sandbox.kie import answer
from sandbox.kie.account import Account, account_in
from sandbox.kie.answer import CutResponse
from sandbox.kie.complaint import complaint
from sandbox.kie.entry import Entry
from sandbox.kie.fault import TASK_FAULTS, KieFault
from sandbox.kie.inputs import reference_complaint, seconds_given
from sandbox.kie.model import MODELS
from sandbox.kie.price import cost_of
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
        task = await _accept(request, order, account=account_in(request.scope))
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


async def _accept(request: Request, order: Order, *, account: Account) -> Task:
    """Return the task that the order became; raises RefusedError."""
    kie = kie_of(request)
    if not kie.admits_creation(account):
        raise RefusedError(answer.TOO_FREQUENT)
    refuse_by_fault(kie.faults, CREATE_REFUSALS, subject=order.subject)
    _check(kie, order, account=account)
    cost = await _cost(request, order)
    if cost > account.credits:
        raise RefusedError(answer.NO_CREDITS)
    account.credits -= cost
    account.creates += 1
    return _created(kie, order, account=account, cost=cost)


def _check(kie: Kie, order: Order, *, account: Account) -> None:
    """Check in KIE's order: the model, its fields, the earlier tasks; raises RefusedError."""
    entry = kie.catalog.find(order.model)
    if entry is None and order.model not in MODELS:
        raise RefusedError(answer.UNKNOWN_MODEL)
    if off := kie.catalog.change(order.model).off:
        raise RefusedError(answer.MODEL_OFF[off])
    if entry and entry.requires_callback and not order.callback_url:
        raise RefusedError(answer.NO_CALLBACK_URL)
    if text := _complaint(entry, order):
        raise RefusedError(answer.refusal(500, text))
    text = reference_complaint(entry, order.fields, kie=kie, account=account) if entry else None
    if text:
        raise RefusedError(answer.refusal(422, text))


def _complaint(entry: Entry | None, order: Order) -> str | None:
    """Return what is wrong with the fields; the free models are laxer than their documents."""
    if free := MODELS.get(order.model):
        return free.complaint(order.fields)
    return complaint(entry, order.fields) if entry else None


async def _cost(request: Request, order: Order) -> float:
    kie, free = kie_of(request), MODELS.get(order.model)
    entry = kie.catalog.find(order.model)
    if entry is None or (free and kie.catalog.change(order.model).price is None):
        return free.cost(order.fields) if free else 0
    task_runner: TaskRunner = request.state.task_runner
    seconds = await seconds_given(entry, order.fields, kie=kie, client=task_runner.client)
    return cost_of(kie.catalog.price(entry), entry.filled(order.fields), seconds=seconds)


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
        shape="" if order.model in MODELS else kie.catalog.shape(order.model),
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
