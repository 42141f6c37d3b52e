"""Deliveries, and the addresses of webhooks."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    text,
)
from sqlmodel import BigInteger, Field, SQLModel, UniqueConstraint

from generation_svc.domain.delivery import DeliveryKind, DeliveryState
from generation_svc.storage.table.column import JSON, TIME, counted, one_of


class DeliveryRow(SQLModel, table=True):
    """Something to be sent for a job: one row per job and kind."""

    __tablename__ = "delivery"
    __table_args__ = (
        CheckConstraint(one_of("kind", DeliveryKind), name="delivery_kind_is_known"),
        CheckConstraint(one_of("state", DeliveryState), name="delivery_state_is_known"),
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
    disable_reason: str = Field(sa_column=counted(String))
    attempt_time: datetime | None = Field(default=None, sa_type=TIME)
    """When it was last posted to."""
    attempt_status: int = Field(sa_column=counted(Integer))
    attempt_problem: str = Field(sa_column=counted(String))
    taken_count: int = Field(sa_column=counted(BigInteger))
    failure_count: int = Field(sa_column=counted(BigInteger))
    failures_in_a_row: int = Field(sa_column=counted(Integer))
