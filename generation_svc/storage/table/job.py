"""Jobs, their request keys and their events."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    text,
)
from sqlmodel import BigInteger, Field, SQLModel

from generation_svc.domain.job import JobState
from generation_svc.storage.delay import FIRST, FURTHER
from generation_svc.storage.table.column import JSON, TIME, one_of


class JobRow(SQLModel, table=True):
    """A job at its latest revision."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(one_of("state", JobState), name="job_state_is_known"),
        CheckConstraint(
            f"delay_reason IS NULL OR {one_of('delay_reason', FIRST)}",
            name="job_delay_reason_is_known",
        ),
        CheckConstraint(
            f"further_delay_reason IS NULL OR {one_of('further_delay_reason', FURTHER)}",
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
        Index("job_start_due", "start_deadline_time", postgresql_where=text("state = 'queued'")),
        Index(
            "job_delayed",
            "id",
            postgresql_where=text(
                "state = 'queued' AND delay_reason IN"
                " ('provider_unreachable', 'provider_maintenance', 'provider_account')"
            ),
        ),
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
        Index("job_changed", "caller", "update_time"),
        Index(
            "job_ended",
            "update_time",
            postgresql_where=text("state IN ('succeeded', 'failed', 'cancelled')"),
        ),
    )

    id: UUID = Field(primary_key=True)
    caller: str
    owner: str
    model_id: str
    inputs: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    is_free: bool
    credits: Decimal = Field(sa_column=Column(Numeric(14, 4), nullable=False))
    is_ceiling: bool = Field(
        sa_column=Column(Boolean, nullable=False, server_default=text("false"))
    )
    """Whether the credits are the most that it can cost."""
    quoted_cost: Decimal | None = Field(default=None, sa_column=Column(Numeric(14, 4)))
    """What the provider was expected to charge, or to charge at most; NULL for no price."""
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
    account: str | None = None
    """The provider's account that alone can do it; NULL means any."""
    claim_account: str | None = None
    """The account that it is claimed for; NULL is the one of releases that know only one."""
    model_digest: str | None = None
    """The document of its model that it was made with; NULL of releases that keep none."""
    needs_catalog: bool = Field(sa_column=Column(Boolean, nullable=False, server_default="false"))
    """Whether its dispatcher must know the catalog in the database; a trigger refuses others."""
    catalog_claim: UUID | None = None
    """The claim that holds it, as one writes it who knows that catalog."""
    charged_credits: int | None = Field(default=None, sa_type=BigInteger)
    """What it was charged; NULL while that is not known, or where nobody wrote it."""


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
