"""The tables. SQLModel describes them, Alembic makes them, psycopg moves the data.

A row class is never a guard: each rule that must hold is a named constraint here. Times are
`timestamptz`; words with a fixed set of values are text with a CHECK, so that adding one is a
change that an older release survives.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import BigInteger, Field, SmallInteger, SQLModel, UniqueConstraint

from generation_svc.domain.attempt import LIVE_STATES, AttemptState
from generation_svc.domain.delivery import DeliveryKind, DeliveryState
from generation_svc.domain.job import JobState
from generation_svc.storage.delay import FIRST, FURTHER

TIME: Any = DateTime(timezone=True)
"""The type of every time."""
JSON: Any = JSONB(none_as_null=True)
"""The type of every document."""


def _one_of(column: str, words: Iterable[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


def _live(prefix: str = "state") -> str:
    return f"{prefix} IN ({', '.join(repr(str(state)) for state in sorted(LIVE_STATES))})"


def _counted(kind: Any) -> Column[Any]:
    """Return a column that begins with nothing."""
    return Column(kind, nullable=False, server_default="" if kind is String else "0")


class JobRow(SQLModel, table=True):
    """A job at its latest revision."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(_one_of("state", JobState), name="job_state_is_known"),
        CheckConstraint(
            f"delay_reason IS NULL OR {_one_of('delay_reason', FIRST)}",
            name="job_delay_reason_is_known",
        ),
        CheckConstraint(
            f"further_delay_reason IS NULL OR {_one_of('further_delay_reason', FURTHER)}",
            name="job_further_delay_reason_is_known",
        ),
        CheckConstraint(
            "(state = 'succeeded') = (result IS NOT NULL)", name="job_result_iff_succeeded"
        ),
        CheckConstraint(
            "(state = 'failed') = (failure IS NOT NULL)", name="job_failure_iff_failed"
        ),
        CheckConstraint("revision >= 1", name="job_revision_is_positive"),
        CheckConstraint("credits >= 0", name="job_credits_not_negative"),
        CheckConstraint("NOT is_free OR credits = 0", name="job_free_costs_nothing"),
        CheckConstraint(
            "(dispatch_time IS NOT NULL) = (state = 'queued')", name="job_due_iff_queued"
        ),
        Index("job_due", "dispatch_time", postgresql_where=text("state = 'queued'")),
        Index("job_turn", "turn", "id", postgresql_where=text("state = 'queued'")),
        Index("job_round", "turn", postgresql_where=text("finish_deadline_time IS NOT NULL")),
        Index(
            "job_active_owner",
            "caller",
            "owner",
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index("job_of_caller", "caller", "id"),
        Index("job_of_owner", "caller", "owner", "id"),
        Index("job_of_model", "model_id", "id"),
    )

    id: UUID = Field(primary_key=True)
    caller: str
    owner: str
    model_id: str
    inputs: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    is_free: bool
    credits: Decimal = Field(sa_column=Column(Numeric(14, 4), nullable=False))
    correlation_id: str
    destination: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    state: str
    revision: int = Field(sa_type=BigInteger)
    create_time: datetime = Field(sa_type=TIME)
    update_time: datetime = Field(sa_type=TIME)
    start_deadline_time: datetime = Field(sa_type=TIME)
    finish_deadline_time: datetime | None = Field(default=None, sa_type=TIME)
    delay_reason: str | None = None
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    failure: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    dispatch_time: datetime | None = Field(default=None, sa_type=TIME)
    """When a dispatcher may claim it; a claim pushes it behind its lease."""
    claim_token: UUID | None = None
    """The claim that holds it, while dispatch_time is ahead."""
    turn: int = Field(sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """The round in which it is served; no owner has two jobs in one."""
    further_delay_reason: str | None = None
    """A delay reason that the release 0.1.0 does not know."""
    delay_until_time: datetime | None = Field(default=None, sa_type=TIME)


class RequestKeyRow(SQLModel, table=True):
    """What a request_id stood for; it outlives its job."""

    __tablename__ = "request_key"

    caller: str = Field(primary_key=True)
    request_id: str = Field(primary_key=True)
    content_hash: bytes = Field(sa_type=LargeBinary)
    job_id: UUID
    create_time: datetime = Field(sa_type=TIME, index=True)


class JobEventRow(SQLModel, table=True):
    """Something that happened to a job; with a snapshot if it made a revision."""

    __tablename__ = "job_event"
    __table_args__ = (
        CheckConstraint(
            "(revision IS NULL) = (snapshot IS NULL)", name="job_event_snapshot_iff_revision"
        ),
        Index(
            "job_event_revision",
            "job_id",
            "revision",
            unique=True,
            postgresql_where=text("revision IS NOT NULL"),
        ),
        Index("job_event_of_job", "job_id", "id"),
    )

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    job_id: UUID = Field(foreign_key="job.id")
    time: datetime = Field(sa_type=TIME)
    kind: str
    state: str
    """The job's state after it."""
    revision: int | None = Field(default=None, sa_type=BigInteger)
    snapshot: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    detail: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class AttemptRow(SQLModel, table=True):
    """One call of createTask."""

    __tablename__ = "attempt"
    __table_args__ = (
        CheckConstraint(_one_of("state", AttemptState), name="attempt_state_is_known"),
        CheckConstraint(
            "state <> 'accepted' OR task_id IS NOT NULL", name="attempt_accepted_has_task"
        ),
        CheckConstraint(
            "read_time IS NULL OR state = 'accepted'", name="attempt_read_iff_accepted"
        ),
        CheckConstraint(
            "(fetch_time IS NOT NULL) = (state = 'succeeded')", name="attempt_fetch_iff_succeeded"
        ),
        UniqueConstraint("job_id", "number", name="attempt_number"),
        Index("attempt_of_task", "task_id"),
        Index("attempt_live", "job_id", postgresql_where=text(_live())),
        Index("attempt_read_due", "read_time", postgresql_where=text("state = 'accepted'")),
        Index("attempt_fetch_due", "fetch_time", postgresql_where=text("state = 'succeeded'")),
    )

    id: UUID = Field(primary_key=True)
    job_id: UUID = Field(foreign_key="job.id")
    number: int = Field(sa_type=SmallInteger)
    state: str
    token_hash: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    task_id: str | None = None
    submit_time: datetime = Field(sa_type=TIME)
    accept_time: datetime | None = Field(default=None, sa_type=TIME)
    end_time: datetime | None = Field(default=None, sa_type=TIME)
    observation: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    read_time: datetime | None = Field(default=None, sa_type=TIME)
    read_tries: int = 0
    hint_time: datetime | None = Field(default=None, sa_type=TIME)
    fetch_time: datetime | None = Field(default=None, sa_type=TIME)
    fetch_tries: int = 0
    error: str = ""
    ended_by: str | None = None
    """What brought its success: `callback` or `poll`."""
    empty_reads: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    """How many reads showed a success without a result."""
    trouble: str | None = None
    """What the last try to fetch had trouble with."""
    trouble_time: datetime | None = Field(default=None, sa_type=TIME)
    """Since when every try had that trouble."""


class CallbackReceiptRow(SQLModel, table=True):
    """A callback as it came, with its token redacted."""

    __tablename__ = "callback_receipt"
    __table_args__ = (
        Index("callback_pending", "receive_time", postgresql_where=text("apply_time IS NULL")),
        Index("callback_untrusted", "receive_time", postgresql_where=text("NOT is_trusted")),
        Index("callback_of_attempt", "attempt_id"),
    )

    id: UUID = Field(primary_key=True)
    attempt_id: UUID | None = Field(default=None, foreign_key="attempt.id")
    task_id: str | None = None
    body: bytes = Field(sa_type=LargeBinary)
    headers: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    is_trusted: bool
    receive_time: datetime = Field(sa_type=TIME)
    apply_time: datetime | None = Field(default=None, sa_type=TIME)
    outcome: str | None = None


class MediaRow(SQLModel, table=True):
    """One result whose bytes are in the store."""

    __tablename__ = "media"
    __table_args__ = (
        UniqueConstraint("attempt_id", "position", name="media_position"),
        Index("media_of_job", "job_id"),
    )

    id: UUID = Field(primary_key=True)
    job_id: UUID = Field(foreign_key="job.id")
    attempt_id: UUID = Field(foreign_key="attempt.id")
    position: int = Field(sa_type=SmallInteger)
    key: str
    mime_type: str
    size_bytes: int = Field(sa_type=BigInteger)
    width: int
    height: int
    sha256: str
    create_time: datetime = Field(sa_type=TIME)


class UploadRow(SQLModel, table=True):
    """A picture to be used as an input."""

    __tablename__ = "upload"

    id: UUID = Field(primary_key=True)
    caller: str
    owner: str
    key: str
    mime_type: str
    size_bytes: int = Field(sa_type=BigInteger)
    width: int
    height: int
    sha256: str
    create_time: datetime = Field(sa_type=TIME)
    expire_time: datetime = Field(sa_type=TIME, index=True)


class DeliveryRow(SQLModel, table=True):
    """Something to be sent for a job: one row per job and kind."""

    __tablename__ = "delivery"
    __table_args__ = (
        CheckConstraint(_one_of("kind", DeliveryKind), name="delivery_kind_is_known"),
        CheckConstraint(_one_of("state", DeliveryState), name="delivery_state_is_known"),
        CheckConstraint("num_nonnulls(bot_id, queue, url) = 1", name="delivery_goes_to_one_place"),
        CheckConstraint(
            "(lease_hash IS NOT NULL) = (state IN ('leased', 'begun'))",
            name="delivery_lease_iff_leased",
        ),
        UniqueConstraint("job_id", "kind", name="delivery_once_per_kind"),
        Index(
            "delivery_due_bot",
            "bot_id",
            "due_time",
            postgresql_where=text("state IN ('pending', 'leased', 'begun')"),
        ),
        Index(
            "delivery_due_queue",
            "caller",
            "queue",
            "due_time",
            postgresql_where=text("state IN ('pending', 'leased', 'begun')"),
        ),
        Index(
            "delivery_due_webhook",
            "due_time",
            postgresql_where=text("url IS NOT NULL AND state IN ('pending', 'leased', 'begun')"),
        ),
    )

    id: UUID = Field(primary_key=True)
    job_id: UUID = Field(foreign_key="job.id")
    kind: str
    state: str
    caller: str
    bot_id: int | None = Field(default=None, sa_type=BigInteger)
    queue: str | None = None
    url: str | None = None
    """The address of a webhook."""
    due_time: datetime = Field(sa_type=TIME)
    """When it may be leased; under a lease, when the lease ends."""
    lease_hash: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary, unique=True, nullable=True)
    )
    reported_hash: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary, unique=True, nullable=True)
    )
    """The lease that reported last: its report may be repeated."""
    try_number: int = 0
    maybe_sent: bool = False
    is_stale: bool = False
    """Whether the job changed since this lease was given (progress only)."""
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    report: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    create_time: datetime = Field(sa_type=TIME)
    update_time: datetime = Field(sa_type=TIME)


class WebhookEndpointRow(SQLModel, table=True):
    """An address of a caller that was posted to, and whether anything still is."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        Index("webhook_idle", "attempt_time", postgresql_where=text("disable_time IS NULL")),
    )

    caller: str = Field(primary_key=True)
    url: str = Field(primary_key=True)
    create_time: datetime = Field(
        sa_column=Column(TIME, nullable=False, server_default=text("now()"))
    )
    disable_time: datetime | None = Field(default=None, sa_type=TIME)
    """Since when it is disabled; it answered 410 Gone."""
    disable_reason: str = Field(sa_column=_counted(String))
    attempt_time: datetime | None = Field(default=None, sa_type=TIME)
    """When it was last posted to."""
    attempt_status: int = Field(sa_column=_counted(Integer))
    attempt_problem: str = Field(sa_column=_counted(String))
    taken_count: int = Field(sa_column=_counted(BigInteger))
    failure_count: int = Field(sa_column=_counted(BigInteger))
    failures_in_a_row: int = Field(sa_column=_counted(Integer))


class SessionRow(SQLModel, table=True):
    """The state of a conversation."""

    __tablename__ = "session"

    caller: str = Field(primary_key=True)
    bot_id: int = Field(primary_key=True, sa_type=BigInteger)
    key: str = Field(primary_key=True)
    data: bytes = Field(sa_type=LargeBinary)
    version: int = Field(sa_type=BigInteger)
    update_time: datetime = Field(sa_type=TIME)


class UpdateLeaseRow(SQLModel, table=True):
    """Who polls Telegram for a bot."""

    __tablename__ = "update_lease"

    bot_id: int = Field(primary_key=True, sa_type=BigInteger)
    caller: str
    holder: str
    expire_time: datetime = Field(sa_type=TIME)


class BudgetSlotRow(SQLModel, table=True):
    """One call of a sliding window: taken again only when the window has passed."""

    __tablename__ = "budget_slot"

    budget: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    take_time: datetime = Field(sa_type=TIME)


class BreakerRow(SQLModel, table=True):
    """Whether the provider is called at all: one row."""

    __tablename__ = "breaker"
    __table_args__ = (
        CheckConstraint("name = 'provider'", name="breaker_is_single"),
        CheckConstraint("(reason IS NULL) = (probe_time IS NULL)", name="breaker_probes_iff_open"),
    )

    name: str = Field(primary_key=True)
    failures: int = 0
    reason: str | None = None
    probe_time: datetime | None = Field(default=None, sa_type=TIME)
    update_time: datetime = Field(sa_type=TIME)


class ModelOutageRow(SQLModel, table=True):
    """A model that the provider switched off."""

    __tablename__ = "model_outage"
    __table_args__ = (
        CheckConstraint(
            "(probe_job_id IS NULL) = (probe_until_time IS NULL)",
            name="model_outage_probe_has_an_end",
        ),
    )

    model_id: str = Field(primary_key=True)
    text: str
    """The provider's words."""
    begin_time: datetime = Field(sa_type=TIME)
    rest_until_time: datetime = Field(sa_type=TIME)
    """Until then nobody asks for it."""
    probe_job_id: UUID | None = None
    """The one job that may try it then."""
    probe_until_time: datetime | None = Field(default=None, sa_type=TIME)


metadata = SQLModel.metadata
"""Every table above."""
