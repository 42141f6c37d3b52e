"""The budgets of calls, the breakers and balances of accounts, and models that are off."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Numeric,
)
from sqlmodel import Field, SQLModel

from generation_svc.storage.table.column import TIME


class BudgetSlotRow(SQLModel, table=True):
    """One call of a sliding window: taken again only when the window has passed."""

    __tablename__ = "budget_slot"

    budget: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    take_time: datetime = Field(sa_type=TIME)


class BreakerRow(SQLModel, table=True):
    """Whether the first account is used at all: one row, which every release knows."""

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


class AccountBreakerRow(SQLModel, table=True):
    """Whether an account is used at all; the first one has a table of its own."""

    __tablename__ = "account_breaker"
    __table_args__ = (
        CheckConstraint(
            "(reason IS NULL) = (probe_time IS NULL)", name="account_breaker_probes_iff_open"
        ),
    )

    name: str = Field(primary_key=True)
    """The provider and the account, with a slash in between."""
    failures: int = 0
    reason: str | None = None
    probe_time: datetime | None = Field(default=None, sa_type=TIME)
    update_time: datetime = Field(sa_type=TIME)


class AccountBalanceRow(SQLModel, table=True):
    """What an account had left when its provider was asked."""

    __tablename__ = "account_balance"

    provider: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    balance: Decimal | None = Field(default=None, sa_type=Numeric)
    """In the provider's unit; NULL until it was told."""
    read_time: datetime = Field(sa_type=TIME)
    """When it was asked for, whether or not that was answered."""
    balance_time: datetime | None = Field(default=None, sa_type=TIME)
    """When it was told; NULL of releases that do not note it."""


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
