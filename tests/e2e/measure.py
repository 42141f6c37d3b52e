"""What one picture took, read from its event rows, and what the counters say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tests.e2e.program import until
from tests.e2e.stack import Stack

ACCEPTANCE_LIMIT_S = 3.0
TOTAL_LIMIT_S = 60.0
_REPORT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """One model, from the click to the picture."""

    model_id: str
    way: str
    """What ought to finish it: `callback` or `poll`."""
    acceptance_s: float = 0.0
    """From the job's acceptance by us to its acceptance by KIE."""
    total_s: float = 0.0
    """From the job's acceptance by us to the report that the picture is in the chat."""
    finished_by: str = "nothing"
    is_delivered: bool = False
    jobs_not_found: int = 0
    problem: str = ""

    @property
    def is_passed(self) -> bool:
        is_fast = self.acceptance_s < ACCEPTANCE_LIMIT_S and self.total_s < TOTAL_LIMIT_S
        is_found = not self.jobs_not_found and self.finished_by == self.way
        return self.is_delivered and is_fast and is_found and not self.problem

    def __str__(self) -> str:
        finished = {"poll": "storage-first poll"}.get(self.finished_by, self.finished_by)
        return (
            f"{'PASS' if self.is_passed else 'FAIL'}  {self.model_id:<22} {self.way:<9}"
            f" accepted by KIE {self.acceptance_s:5.2f} s"
            f"   job {'found' if not self.jobs_not_found else 'NOT FOUND'}"
            f"   finished by {finished:<18} total {self.total_s:6.2f} s"
            f"   {'delivered' if self.is_delivered else 'NOT DELIVERED'}"
            f"{f'   {self.problem}' if self.problem else ''}"
        )


@dataclass(frozen=True)
class Counters:
    """The counters of the gateway and the service at one moment."""

    callback_4xx: int
    jobs_not_found: int


async def measured(stack: Stack, prompt: str, *, run: Run) -> Run:
    """Read a run from the events of the job with this prompt."""
    job_id = await stack.history.job_of(prompt)

    async def report() -> dict[str, Any] | None:
        events = await stack.history.events(job_id)
        return next((each for each in events if _is_sent(each)), None)

    sent = await until(report, within_s=_REPORT_S, what=f"the report of {prompt!r}")
    events = await stack.history.events(job_id)
    start = _time(events, "accepted")
    return replace(
        run,
        acceptance_s=(_time(events, "taken") - start).total_seconds(),
        total_s=(sent["time"] - start).total_seconds(),
        finished_by=_finisher(events),
        is_delivered=True,
    )


async def counters(stack: Stack) -> Counters:
    """Read what the gateway answered and what the service did not find."""
    gateway = stack.gateway
    statuses = [
        await gateway.metric(
            "atelier_gateway_responses_total", route="callback", status=str(status)
        )
        for status in range(400, 500)
    ]
    lost = await stack.counted("atelier_callbacks_total", outcome="unknown_task")
    return Counters(int(sum(statuses)), int(lost))


def _is_sent(event: dict[str, Any]) -> bool:
    return bool(event["kind"] == "delivery_sent" and event["detail"]["kind"] == "outcome")


def _time(events: list[dict[str, Any]], kind: str) -> datetime:
    moment: datetime = next(each["time"] for each in events if each["kind"] == kind)
    return moment


def _finisher(events: list[dict[str, Any]]) -> str:
    told = (
        str(each["kind"])
        for each in events
        if each["kind"] in ("callback", "poll") and each["detail"].get("state") == "succeeded"
    )
    return next(told, "nothing")
