"""The rows of the in-memory database: immutable, so that a state of the model is a value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.delivery import DeliveryKind, DeliveryState, Destination, Telegram
from generation_svc.domain.job import FINAL_STATES, Job, JobState, Price
from generation_svc.domain.ledger import HoldState
from generation_svc.domain.media import Media
from generation_svc.domain.port.callback import StoredCallback
from generation_svc.domain.top_up import TopUp, TopUpState
from tests.ledger_rule import Hold
from tests.model.account import Accounts
from tests.model.clock import NOW, OLDEST, TICK, TIMING, age, due, late
from tests.model.world import JOB_ID, TOP_UP_ID

MODEL_ID = "z-image"
_OVER = (AttemptState.FAILED, AttemptState.SETTLED)
"""What nothing can change any more, not even a late success."""
NOBODY = -1
"""The holder of a token that no living actor knows."""


NOTHING = Accounts()


class _Inputs(dict[str, Any]):
    """Inputs that can be a part of a state; they are always the same."""

    def __hash__(self) -> int:  # type: ignore[override]
        return len(self)


@dataclass(frozen=True, slots=True)
class JobRow:
    job: Job
    destination: Destination | None
    dispatch_time: datetime | None
    claim: int = 0
    snapshots: int = 1
    """How many revisions were written."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    attempt: Attempt
    token_hash: bytes
    read_time: datetime | None = None
    fetch_time: datetime | None = None
    hint_time: datetime | None = None
    cost: Decimal | None = None
    """What it took, once somebody told that."""
    cost_time: datetime | None = None
    """When that is asked for, where nobody told it when it ended."""


@dataclass(frozen=True, slots=True)
class CallbackRow:
    callback: StoredCallback
    receive_time: datetime


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    kind: DeliveryKind
    due_time: datetime
    state: DeliveryState = DeliveryState.PENDING
    lease: int = 0
    reported: int = 0
    is_tried: bool = False
    maybe_sent: bool = False
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Tables:
    """One job and all that belongs to it."""

    row: JobRow
    attempts: tuple[AttemptRow, ...] = ()
    callbacks: tuple[CallbackRow, ...] = ()
    deliveries: tuple[DeliveryRow, ...] = ()
    media: tuple[tuple[int, Media], ...] = ()
    """Each with the number of its attempt."""
    hold: Hold | None = None
    """What is kept for the job, if it is paid for."""
    accounts: Accounts = NOTHING
    top_up: TopUp | None = None
    """What the owner bought, and pays the job with."""
    later: TopUp | None = None
    """What the owner bought afterwards."""

    def names(self) -> set[int]:
        """Return every token and number that rows hold."""
        leases = {name for row in self.deliveries for name in (row.lease, row.reported)}
        return {self.row.claim, *leases, *(row.callback.id.int for row in self.callbacks)}

    def aged(self) -> Tables:
        """Return the same rows a tick later."""
        return replace(
            self,
            row=_aged_job(self.row),
            attempts=tuple(map(_aged_attempt, self.attempts)),
            callbacks=tuple(replace(each, receive_time=NOW - TICK) for each in self.callbacks),
            deliveries=tuple(
                replace(each, due_time=max(each.due_time - TICK, NOW)) for each in self.deliveries
            ),
        )

    def plain(self, known: frozenset[int]) -> Tables:
        """Return the same rows without what no rule looks at any more.

        Such are the tokens that nobody knows, and the times of what is over.
        """
        return replace(
            self,
            row=_plain_job(self.row, known=known, is_live=self.is_live),
            attempts=tuple(_plain_attempt(each, self.row.job) for each in self.attempts),
            deliveries=tuple(_plain_delivery(each, known=known) for each in self.deliveries),
        )

    @property
    def makers(self) -> list[AttemptRow]:
        """The attempt that made what the job shows; for another job, any whose result is kept."""
        shown = self.row.job.result
        if shown:
            return [self.attempts[each.id.int - 1] for each in shown.media[:1]]
        return [row for row in self.attempts if row.attempt.state is AttemptState.SETTLED]

    @property
    def is_held(self) -> bool:
        """Whether credits are kept for the job."""
        return self.hold is not None and self.hold.state is HoldState.OPEN

    @property
    def is_live(self) -> bool:
        return any(row.attempt.is_live for row in self.attempts)


PRICE = 8
"""What the job costs that is paid for."""
_FREE = Price(is_free=True, credits="0")
_PAID = Price(is_free=False, credits=str(PRICE))
_CEILING = replace(_PAID, is_ceiling=True)


def accepted(
    destination: Destination, *, is_paid: bool = False, is_ceiling: bool = False
) -> Tables:
    """Return the rows of a job that was just accepted."""
    job = Job(
        id=JOB_ID,
        caller="edge",
        owner="user:1",
        model_id=MODEL_ID,
        inputs=_Inputs(prompt="a cat"),
        price=(_CEILING if is_ceiling else _PAID) if is_paid else _FREE,
        correlation_id="",
        create_time=NOW,
        start_deadline_time=NOW + TIMING.start_deadline,
        state=JobState.QUEUED,
        revision=1,
        update_time=NOW,
    )
    progress = DeliveryRow(DeliveryKind.PROGRESS, due_time=NOW + TICK)
    is_shown = isinstance(destination, Telegram)
    row = JobRow(job, destination, dispatch_time=NOW)
    tables = Tables(row, deliveries=(progress,) if is_shown else ())
    return replace(tables, hold=_HOLD, accounts=_SPENT, top_up=_TOP_UP) if is_paid else tables


GIVEN = 3
"""What the owner was given; the rest it bought."""
_HOLD = Hold(JOB_ID, "user:1", MODEL_ID, granted=GIVEN, paid=PRICE - GIVEN, margin=Decimal(1))
_SPENT = Accounts(held=PRICE, grants=-GIVEN, exchange=GIVEN - PRICE)
_TOP_UP = TopUp(
    id=TOP_UP_ID,
    provider="card",
    external_id="payment",
    owner="user:1",
    pack_id="",
    credits=PRICE - GIVEN,
    amount=100,
    currency="EUR",
    state=TopUpState.CREDITED,
    caller="edge",
)


def _aged_job(row: JobRow) -> JobRow:
    job = replace(
        row.job,
        start_deadline_time=max(row.job.start_deadline_time - TICK, NOW),
        finish_deadline_time=due(row.job.finish_deadline_time),
    )
    return replace(row, job=job, dispatch_time=due(row.dispatch_time))


def _plain_job(row: JobRow, *, known: frozenset[int], is_live: bool) -> JobRow:
    job, claim = replace(row.job, delay_until_time=None), row.claim  # it is for people
    may_come = is_live and job.state is JobState.CANCELLED and job.finish_deadline_time is None
    if job.state is not JobState.QUEUED and not may_come:
        job = replace(job, start_deadline_time=NOW)
    if job.state in FINAL_STATES and not is_live:
        job = replace(job, finish_deadline_time=None)
    return replace(row, job=job, claim=claim if claim in known or not claim else NOBODY)


def _aged_attempt(row: AttemptRow) -> AttemptRow:
    attempt = replace(
        row.attempt,
        submit_time=max(row.attempt.submit_time - TICK, OLDEST),
        accept_time=age(row.attempt.accept_time),
    )
    if row.attempt.end_time:
        attempt = late(attempt, time=max(row.attempt.end_time - TICK, OLDEST))
    return replace(
        row,
        attempt=attempt,
        read_time=due(row.read_time),
        fetch_time=due(row.fetch_time),
        cost_time=due(row.cost_time),
        hint_time=row.hint_time and NOW - TICK,
    )


def _plain_attempt(row: AttemptRow, job: Job) -> AttemptRow:
    attempt = row.attempt
    if attempt.state is not AttemptState.SUCCEEDED:
        attempt = replace(attempt, observation=None, end_time=None)
    may_be_kept = job.state is not JobState.SUCCEEDED and attempt.is_written_off
    is_over = job.state in FINAL_STATES and not attempt.is_live and not may_be_kept
    if attempt.state in _OVER or is_over:
        attempt = replace(attempt, submit_time=OLDEST, accept_time=None)
    elif attempt.accept_time and job.state is not JobState.QUEUED:
        attempt = replace(attempt, submit_time=OLDEST)
    is_read = attempt.state is AttemptState.ACCEPTED
    return replace(row, attempt=attempt, hint_time=row.hint_time if is_read else None)


def _plain_delivery(row: DeliveryRow, *, known: frozenset[int]) -> DeliveryRow:
    lease = row.lease if row.lease in known or not row.lease else NOBODY
    return replace(row, lease=lease, reported=row.reported if row.reported in known else 0)
