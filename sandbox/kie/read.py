"""GET /api/v1/jobs/recordInfo and /api/v1/chat/credit."""

from starlette.requests import Request
from starlette.responses import Response

from sandbox.kie import answer
from sandbox.kie.account import Account, account_in
from sandbox.kie.answer import KieResponse
from sandbox.kie.fault import KieFault
from sandbox.kie.refusal import READ_REFUSALS, RefusedError, refuse_by_fault, unanswered
from sandbox.kie.state import Kie, kie_of
from sandbox.kie.task import Task


async def record_info(request: Request) -> Response:
    """Answer how a task stands; a new one is unknown for a moment, another account's always."""
    kie, task_id = kie_of(request), request.query_params.get("taskId")
    account = account_in(request.scope)
    if not task_id:
        raise RefusedError(answer.NO_TASK_ID)
    _count(kie, task_id, account=account)
    task = kie.tasks.get(task_id)
    if task is not None and task.account != account.name:
        task = None
    subject = task.subject if task else ""
    if fault := kie.faults.take(KieFault.READ_HANG, subject):
        return await unanswered(request, fault)
    if kie.faults.take(KieFault.READ_PACKED, subject):
        return answer.packed()
    refuse_by_fault(kie.faults, READ_REFUSALS, subject=subject)
    return _shown(kie, task)


async def credit(request: Request) -> Response:
    """Answer the balance of the account."""
    return answer.granted(round(account_in(request.scope).credits, 2))


def _count(kie: Kie, task_id: str, *, account: Account) -> None:
    kie.journal.counters.reads += 1
    kie.journal.counters.reads_by_task[task_id] += 1
    if not kie.admits_read(account):
        raise RefusedError(answer.TOO_FREQUENT)


def _shown(kie: Kie, task: Task | None) -> Response:
    if task is None or task.age_s < kie.settings.visible_after_s:
        raise RefusedError(answer.TASK_NULL)
    if task.fault(KieFault.TASK_LOST):
        raise RefusedError(answer.TASK_NULL)
    if dead := answer.dead_record(task):
        return KieResponse(dead)
    return answer.granted(answer.record(task))
