"""What is outside of the service: the provider's tasks, the chat, and what may yet go wrong."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from generation_svc.domain.delivery import (
    Delivery,
    DeliveryKind,
    Impossible,
    SendingOutcome,
    Sent,
    TryAgain,
    Unknown,
)
from generation_svc.domain.error import (
    FetchFailed,
    ProviderBusy,
    ProviderRefused,
    ProviderSilent,
    ProviderUnreachable,
)
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.model import ResultForm
from generation_svc.domain.observation import Observation, ProviderState, ResultItem
from generation_svc.domain.port.media import Examined
from generation_svc.domain.port.provider import FreshLink, ProviderRequest, Submitted
from runtime.token import token_hash
from tests.model.clock import NOW

if TYPE_CHECKING:
    from tests.model.run import Run

JOB_ID = UUID(int=1)
TOP_UP_ID = UUID(int=2)
LATER_ID = UUID(int=3)
LINK = "https://tempfile.aiquickdraw.com/result.png"
CONTENT = Examined(
    path=Path("picture"),
    mime_type="image/png",
    size_bytes=7,
    width=64,
    height=32,
    sha256=hashlib.sha256(b"picture").hexdigest(),
)
ANSWERS: Mapping[str, BaseException] = {
    "silent": ProviderSilent("no answer"),
    "busy": ProviderBusy("not now"),
    "refused": ProviderRefused("no", code="422", reason=FailureReason.CONTENT_REFUSED),
    "unreadable": ProviderUnreachable("no read"),
    "not there": FetchFailed("not now"),
    "stopped": asyncio.CancelledError(),
}
"""One object for each: what an actor was told is compared by identity."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    "transaction": ("",),
    "create": (
        "task",
        "task, silent",
        "silent",
        "task, busy",
        "busy",
        "refused",
        "task, stopped",
        "stopped",
    ),
    "read": ("told", "missing", "unreadable", "stopped"),
    "fetch": ("there", "not there", "stopped"),
    "send": ("arrived", "arrived unseen", "lost", "blocked"),
}
"""How each step may end; the first is the good end, any other one is a fault."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task at the provider; its number is its attempt's."""

    attempt: int
    state: ProviderState
    posts: int
    """How many callbacks may still come, once it is final."""
    cost: int = 0
    """What it took, as reads of its record say; 0 if that matters to nobody."""
    is_told: bool = True
    """Whether its callbacks say so, too."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """The provider, the chat, and how much of each mischief is left."""

    faults: int
    posts: int
    forged: int
    cancels: int
    refunds: int = 0
    charge_backs: int = 0
    top_ups: int = 0
    tasks: tuple[Task, ...] = ()
    messages: int = 0
    """New messages in the chat beside the progress message."""
    is_shown: bool = False
    """Whether the progress message was edited into the outcome."""
    is_overwritten: bool = False
    """Whether a late edit of the progress hid the outcome again."""

    def task(self, attempt: int) -> Task:
        return next(task for task in self.tasks if task.attempt == attempt)

    def with_task(self, changed: Task) -> ModelState:
        others = (task for task in self.tasks if task.attempt != changed.attempt)
        tasks = sorted((*others, changed), key=lambda task: task.attempt)
        return replace(self, tasks=tuple(tasks))


def token(attempt: int) -> str:
    return f"token-{attempt}"


def statement(task: int, state: ProviderState, *, cost: int = 0) -> Observation:
    """Return what the provider says of a task, and what that took, if it says so."""
    urls = (LINK,) if state is ProviderState.SUCCEEDED else ()
    words = {ProviderState.SUCCEEDED: "success", ProviderState.FAILED: "fail"}
    code = "500" if state is ProviderState.FAILED else ""
    return Observation(
        state,
        task_id=f"task-{task}",
        word=words.get(state, "waiting"),
        results=tuple(map(ResultItem, urls)),
        fail_code=code,
        cost=Decimal(cost) if cost else None,
    )


class Outside:
    """The ports that lead outside, as one actor's step finds them."""

    name = "kie"
    accounts = ("default",)

    job_id = JOB_ID
    top_up_id = TOP_UP_ID
    is_proved = True

    def __init__(self, run: Run) -> None:
        self._run = run

    async def submit(
        self, attempt_id: UUID, request: ProviderRequest, *, callback_url: str | None, account: str
    ) -> Submitted:
        number = self._run.number(token_hash(str(callback_url).rpartition("/")[2]))
        self._run.enter("create")
        return Submitted(self._run.perform(lambda: self._create(number)))

    async def read(self, handle: str, *, account: str) -> Observation:
        self._run.enter("read")
        return self._run.perform(lambda: self._read(int(handle.removeprefix("task-"))))

    @asynccontextmanager
    async def fetch(
        self, url: str, *, is_proved: bool = False, form: ResultForm | None = None
    ) -> AsyncIterator[Examined]:
        self._run.enter("fetch")
        content: Examined = self._run.perform(lambda: self._answer("there", CONTENT))
        yield content

    def write(self, content: str, *, mime_type: str) -> NoReturn:
        """Write nothing: every result of the world is behind a link."""
        raise AssertionError(mime_type)

    async def fresh_link(self, url: str, *, account: str) -> FreshLink:
        """Refuse: a try that is not the first asks for one, and then has the trouble it had."""
        raise ProviderRefused("no", code="422", reason=FailureReason.CONTENT_REFUSED)

    def token(self, attempt: int) -> str:
        """Return the token with which the provider speaks of an attempt."""
        return token(attempt)

    async def put_file(self, key: str, path: Path) -> None:
        """Keep the bytes: it happens with the fetch."""

    async def send(self, delivery: Delivery, *, until: datetime) -> SendingOutcome:
        """Send as an edge does: what may have arrived is never a new message."""
        self._run.enter("send")
        return self._run.perform(lambda: self._send(delivery, until=until))

    def _answer(self, good: str, answer: Any) -> Any:
        if self._run.choice == good:
            return answer
        world = self._run.world
        self._run.world = replace(world, faults=world.faults - 1)
        raise ANSWERS[self._run.choice.removeprefix("task, ")]

    def _create(self, number: int) -> str:
        world = self._run.world
        if self._run.choice.startswith("task"):
            task = Task(number, ProviderState.PENDING, posts=world.posts)
            self._run.world = world.with_task(task)
        answer: str = self._answer("task", f"task-{number}")
        return answer

    def _read(self, number: int) -> Observation:
        task = self._run.world.task(number)
        if self._run.choice == "missing":
            self._run.world = replace(self._run.world, faults=self._run.world.faults - 1)
            return statement(number, ProviderState.MISSING)
        said = statement(number, task.state, cost=task.cost)
        told: Observation = self._answer("told", said)
        return told

    def _send(self, delivery: Delivery, *, until: datetime) -> SendingOutcome:
        is_edit = delivery.kind is DeliveryKind.PROGRESS or delivery.maybe_sent
        if until <= NOW:  # an edge stops before its lease ends
            return TryAgain(None) if is_edit else Unknown()
        if self._run.choice.startswith("arrived"):
            self._show(delivery)
        return self._outcome(is_edit=is_edit)

    def _show(self, delivery: Delivery) -> None:
        world = self._run.world
        if delivery.kind is DeliveryKind.PROGRESS:
            self._run.world = replace(world, is_overwritten=world.is_shown)
        elif delivery.maybe_sent:
            self._run.world = replace(world, is_shown=True, is_overwritten=False)
        else:
            self._run.world = replace(world, messages=min(world.messages + 1, 2))

    def _outcome(self, *, is_edit: bool) -> SendingOutcome:
        if self._run.choice == "arrived":
            return Sent(message_id=1, is_edit=is_edit)
        self._run.world = replace(self._run.world, faults=self._run.world.faults - 1)
        if self._run.choice == "blocked":
            return Impossible("blocked")
        return TryAgain(None) if is_edit else Unknown()
