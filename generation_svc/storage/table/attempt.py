"""Attempts and stored callbacks."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    String,
    text,
)
from sqlmodel import Field, SmallInteger, SQLModel, UniqueConstraint

from generation_svc.domain.account import DEFAULT_ACCOUNT
from generation_svc.domain.attempt import AttemptState
from generation_svc.storage.attempt_state import is_live
from generation_svc.storage.table.column import JSON, TIME, one_of


class AttemptRow(SQLModel, table=True):
    """One call of createTask."""

    __tablename__ = "attempt"
    __table_args__ = (
        CheckConstraint(one_of("state", AttemptState), name="attempt_state_is_known"),
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
        Index("attempt_live", "job_id", postgresql_where=text(is_live())),
        Index("attempt_under_way", "state", "submit_time", postgresql_where=text(is_live())),
        Index("attempt_read_due", "read_time", postgresql_where=text("state = 'accepted'")),
        Index("attempt_fetch_due", "fetch_time", postgresql_where=text("state = 'succeeded'")),
        Index("attempt_cost_due", "cost_time", postgresql_where=text("cost_time IS NOT NULL")),
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
    result_items: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(JSON))
    """What the provider said of the files of its success beyond their links."""
    trouble: str | None = None
    """What the last try to fetch had trouble with."""
    trouble_time: datetime | None = Field(default=None, sa_type=TIME)
    """Since when every try had that trouble."""
    provider: str = Field(sa_column=Column(String, nullable=False, server_default="kie"))
    """Who was asked; what a release writes that knows only one is its."""
    account: str = Field(sa_column=Column(String, nullable=False, server_default=DEFAULT_ACCOUNT))
    """On which account; what a release writes that knows only one is its."""
    cost: Decimal | None = Field(default=None, sa_type=Numeric)
    """What it took from the account, in the provider's unit, where the provider told it."""
    item_ids: list[str] | None = Field(default=None, sa_column=Column(JSON))
    """The provider's ids of what it made, where it has any."""
    cost_time: datetime | None = Field(default=None, sa_type=TIME)
    """When it is read next after its end, for its cost and, if it was given up, for a success.

    Empty while it is live, once that is known, and when nobody asks any more.
    """
    cost_reads: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    """How often it was read after its end."""


class CallbackRow(SQLModel, table=True):
    """A callback as it came, with its token redacted; no receipt of a payment, as `receipt` has.

    The table has the name that releases before payments gave it.
    """

    __tablename__ = "callback_receipt"
    __table_args__ = (
        Index("callback_pending", "receive_time", postgresql_where=text("apply_time IS NULL")),
        Index("callback_untrusted", "receive_time", postgresql_where=text("NOT is_trusted")),
        Index("callback_of_attempt", "attempt_id"),
        Index("callback_by_time", "receive_time"),
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
