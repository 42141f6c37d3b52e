"""The ledger: transfers, the wallets that they add up to, and what is held for jobs.

A hold does not refer to its job: it outlives the job, which is forgotten after some weeks.
"""

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
    Integer,
    Numeric,
    String,
    text,
)
from sqlmodel import BigInteger, Field, SQLModel, UniqueConstraint

from generation_svc.domain.ledger import OWNED, AccountKind, Currency, HoldState, TransferKind
from generation_svc.domain.money import MarginScope, MoneyMode
from generation_svc.storage.table.column import JSON, TIME, counted, one_of

_OWNED = sorted(OWNED)
# The name of an account that no transfer ever used stays: a schema only expands.
_ACCOUNTS = [str(kind) for kind in AccountKind]
_ACCOUNTS.insert(_ACCOUNTS.index(AccountKind.LATE_RESULTS), "refunds")


class TransferRow(SQLModel, table=True):
    """One movement; a trigger refuses to change or delete it."""

    __tablename__ = "transfer"
    __table_args__ = (
        CheckConstraint("amount > 0", name="transfer_moves_something"),
        CheckConstraint("source <> target", name="transfer_goes_elsewhere"),
        CheckConstraint(one_of("currency", Currency), name="transfer_currency_is_known"),
        CheckConstraint(one_of("source", _ACCOUNTS), name="transfer_source_is_known"),
        CheckConstraint(one_of("target", _ACCOUNTS), name="transfer_target_is_known"),
        CheckConstraint(one_of("kind", TransferKind), name="transfer_kind_is_known"),
        CheckConstraint(
            f"(owner IS NOT NULL) = ({one_of('source', _OWNED)} OR {one_of('target', _OWNED)})",
            name="transfer_owner_iff_owned",
        ),
        CheckConstraint(
            "(owner IS NULL) = (balance_after IS NULL)", name="transfer_balance_iff_owner"
        ),
        CheckConstraint(
            f"owner IS NULL OR currency = '{Currency.CREDIT}'", name="transfer_owner_has_credits"
        ),
        UniqueConstraint("cause", "kind", "source", "target", name="transfer_once"),
        Index("transfer_of_owner", "owner", "id", postgresql_where=text("owner IS NOT NULL")),
        Index("transfer_by_time", "time"),
    )

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    time: datetime = Field(sa_type=TIME)
    currency: str
    amount: int = Field(sa_type=BigInteger)
    source: str
    target: str
    owner: str | None = None
    """Whose accounts they are, where they are not the house's."""
    balance_after: int | None = Field(default=None, sa_type=BigInteger)
    """What the owner could spend after it."""
    kind: str
    cause: str
    actor: str
    reason: str
    detail: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False, server_default="{}"))


class WalletRow(SQLModel, table=True):
    """What an owner has: the sum of its transfers."""

    __tablename__ = "wallet"
    __table_args__ = (
        CheckConstraint(
            "granted >= 0 AND paid >= 0 AND held >= 0 AND debt >= 0", name="wallet_is_not_negative"
        ),
        CheckConstraint("lent >= 0", name="wallet_lends_nothing_negative"),
    )

    owner: str = Field(primary_key=True)
    granted: int = Field(sa_column=counted(BigInteger))
    paid: int = Field(sa_column=counted(BigInteger))
    held: int = Field(sa_column=counted(BigInteger))
    debt: int = Field(sa_column=counted(BigInteger))
    is_blocked: bool = Field(sa_column=Column(Boolean, nullable=False, server_default="false"))
    block_reason: str = Field(sa_column=counted(String))
    update_time: datetime = Field(sa_type=TIME)
    lent: int = Field(sa_column=counted(BigInteger))
    """What was lent within `lent_month` and is held or was captured."""
    lent_month: datetime | None = Field(default=None, sa_type=TIME)
    """When the month (UTC) began in which something was lent last."""
    written_off: int = Field(sa_column=counted(BigInteger))
    """What of the debt was paid by what a hold gave back last."""


class CreditGrantRow(SQLModel, table=True):
    """What an operator gave or wanted to take, also where nothing was there to be taken."""

    __tablename__ = "credit_grant"
    __table_args__ = (CheckConstraint("credits <> 0", name="credit_grant_is_something"),)

    id: UUID = Field(primary_key=True)
    owner: str
    credits: int = Field(sa_type=BigInteger)
    actor: str
    reason: str
    time: datetime = Field(sa_type=TIME)


class HoldRow(SQLModel, table=True):
    """What is kept of an owner for one job; it is ended once."""

    __tablename__ = "hold"
    __table_args__ = (
        CheckConstraint(one_of("state", HoldState), name="hold_state_is_known"),
        CheckConstraint("granted >= 0 AND paid >= 0", name="hold_is_not_negative"),
        CheckConstraint("captured BETWEEN 0 AND granted + paid", name="hold_captures_at_most_all"),
        CheckConstraint("captured = 0 OR state = 'captured'", name="hold_captured_iff_captured"),
        CheckConstraint("(end_time IS NULL) = (state = 'open')", name="hold_ended_iff_not_open"),
        CheckConstraint("promised >= 1", name="hold_promises_something"),
        CheckConstraint("lent BETWEEN 0 AND paid", name="hold_lends_at_most_paid"),
        Index("hold_open", "create_time", postgresql_where=text("state = 'open'")),
        Index("hold_open_of_owner", "owner", postgresql_where=text("state = 'open'")),
        Index("hold_ended", "end_time", postgresql_where=text("state <> 'open'")),
    )

    job_id: UUID = Field(primary_key=True)
    owner: str
    model_id: str
    granted: int = Field(sa_type=BigInteger)
    paid: int = Field(sa_type=BigInteger)
    margin: Decimal = Field(sa_column=Column(Numeric(8, 4), nullable=False))
    promised: int = Field(sa_column=Column(Integer, nullable=False, server_default="1"))
    state: str = Field(sa_column=Column(String, nullable=False, server_default="open"))
    captured: int = Field(sa_column=counted(BigInteger))
    create_time: datetime = Field(sa_type=TIME)
    end_time: datetime | None = Field(default=None, sa_type=TIME)
    lent: int = Field(sa_column=counted(BigInteger))
    """What of the paid credits its payer did not have, and owes."""


class CostExcessRow(SQLModel, table=True):
    """A task that cost too much, for which its model is not off sale yet."""

    __tablename__ = "cost_excess"

    attempt_id: UUID = Field(primary_key=True)
    model_id: str = Field(index=True)
    quoted: Decimal = Field(sa_type=Numeric)
    taken: Decimal = Field(sa_type=Numeric)
    time: datetime = Field(sa_type=TIME)


class MarginRuleRow(SQLModel, table=True):
    """What the costs of some models are multiplied with; the latest of a scope counts."""

    __tablename__ = "margin_rule"
    __table_args__ = (
        CheckConstraint(one_of("scope", MarginScope), name="margin_rule_scope_is_known"),
        CheckConstraint(
            "(scope = 'default') = (scope_id = '')", name="margin_rule_names_its_scope"
        ),
        CheckConstraint("margin > 0", name="margin_rule_is_positive"),
        Index("margin_rule_latest", "scope", "scope_id", "id"),
    )

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    scope: str
    scope_id: str
    margin: Decimal | None = Field(default=None, sa_column=Column(Numeric(8, 4)))
    """NULL takes the margin of the scope away."""
    time: datetime = Field(sa_type=TIME)
    actor: str
    reason: str


class MoneyStateRow(SQLModel, table=True):
    """Which money this database holds: one row, written at the first start with money."""

    __tablename__ = "money_state"
    __table_args__ = (
        CheckConstraint("name = 'money'", name="money_state_is_single"),
        CheckConstraint(one_of("mode", MoneyMode), name="money_state_mode_is_known"),
    )

    name: str = Field(primary_key=True)
    mode: str
    epoch: UUID
    """Changes when a backup is restored."""
    sales_closed_reason: str | None = None
    """Why nothing is sold; NULL while sales are open."""
    receipt_series: int = Field(sa_column=Column(Integer, nullable=False, server_default="1"))
    create_time: datetime = Field(sa_type=TIME)
    update_time: datetime = Field(sa_type=TIME)
    next_epoch: UUID | None = None
    """The epoch that is being written to the media store."""
    epoch_transfer: int | None = Field(default=None, sa_type=BigInteger)
    """The last transfer when the epoch began; NULL if the media store never had one."""
    restored: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    """What was known when the database was found to be older than the media store."""
    sales_close_time: datetime | None = Field(default=None, sa_type=TIME)
    """Since when nothing is sold; NULL also where an earlier release closed sales."""


class MoneyCursorRow(SQLModel, table=True):
    """How far something that reads page by page has come."""

    __tablename__ = "money_cursor"

    name: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
    time: datetime = Field(sa_type=TIME)
