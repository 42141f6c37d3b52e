"""What came in and went out for credits: top-ups, receipts, Stars, and balances of other bots."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Column, Index, String, text
from sqlmodel import BigInteger, Field, Integer, SQLModel, UniqueConstraint

from generation_svc.domain.imported_balance import ImportState
from generation_svc.domain.receipt import ReceiptKind
from generation_svc.domain.star import StarDirection, StarState
from generation_svc.domain.top_up import TopUpState
from generation_svc.storage.table.column import JSON, TIME, counted, one_of


class TopUpRow(SQLModel, table=True):
    """A payment that was turned into credits."""

    __tablename__ = "top_up"
    __table_args__ = (
        CheckConstraint(one_of("state", TopUpState), name="top_up_state_is_known"),
        CheckConstraint("credits > 0 AND amount >= 0", name="top_up_is_positive"),
        UniqueConstraint("provider", "external_id", name="top_up_once"),
        Index("top_up_of_owner", "owner", "create_time", "id"),
        Index("top_up_by_time", "create_time"),
        Index(
            "top_up_of_bot",
            "bot_id",
            "state",
            "amount",
            "refund_time",
            postgresql_where=text("provider = 'telegram_stars'"),
        ),
        Index("top_up_refund_due", "bot_id", "id", postgresql_where=text("state = 'refunding'")),
        Index("top_up_due_again", "bot_id", postgresql_where=text("is_due_again")),
        Index(
            "top_up_untold", "bot_id", "tell_time", postgresql_where=text("tell_time IS NOT NULL")
        ),
        Index(
            "top_up_without_receipt",
            "create_time",
            "id",
            postgresql_where=text("receipt IS NULL"),
        ),
        Index(
            "top_up_without_refund_receipt",
            "refund_time",
            "id",
            postgresql_where=text(
                "refund_receipt IS NULL AND state IN ('refunded', 'charged_back')"
            ),
        ),
    )

    id: UUID = Field(primary_key=True)
    provider: str
    external_id: str
    """The provider's id of the payment."""
    owner: str
    pack_id: str
    credits: int = Field(sa_type=BigInteger)
    amount: int = Field(sa_type=BigInteger)
    currency: str
    state: str
    bot_id: int | None = Field(default=None, sa_type=BigInteger)
    caller: str
    create_time: datetime = Field(sa_type=TIME)
    refund_time: datetime | None = Field(default=None, sa_type=TIME)
    refund_actor: str | None = None
    refund_reason: str | None = None
    is_forced: bool = Field(sa_column=Column(Boolean, nullable=False, server_default="false"))
    """Whether it was taken back although some of it was spent."""
    user_id: int | None = Field(default=None, sa_type=BigInteger)
    """Who paid, as the provider numbers its users."""
    lease_token: UUID | None = None
    """Who is returning the payment, until the lease is over."""
    lease_time: datetime | None = Field(default=None, sa_type=TIME)
    tell_time: datetime | None = Field(default=None, sa_type=TIME)
    """From when on an edge may tell its owner of it; NULL if nobody has to."""
    refund_error: str | None = None
    """What the provider refused to return it with."""
    refund_count: int = Field(sa_column=counted(Integer))
    """How often its credits were taken back."""
    is_due_again: bool = Field(sa_column=Column(Boolean, nullable=False, server_default="false"))
    """Whether the payment is to be returned once more."""
    receipt: str | None = None
    """The number of its receipt, as people read it."""
    refund_receipt: str | None = None


class PackRow(SQLModel, table=True):
    """A rate at which a pack was ever sold."""

    __tablename__ = "pack"
    __table_args__ = (CheckConstraint("credits > 0 AND stars > 0", name="pack_is_positive"),)

    id: str = Field(primary_key=True)
    credits: int = Field(sa_type=BigInteger, primary_key=True)
    stars: int = Field(sa_type=BigInteger, primary_key=True)
    time: datetime = Field(sa_type=TIME)
    """When it was last put on sale."""


class ReceiptRow(SQLModel, table=True):
    """The number of a receipt; a series has no gaps."""

    __tablename__ = "receipt"
    __table_args__ = (
        CheckConstraint(one_of("kind", ReceiptKind), name="receipt_kind_is_known"),
        CheckConstraint("number >= 1", name="receipt_number_is_positive"),
        UniqueConstraint("kind", "cause", name="receipt_once"),
    )

    series: int = Field(sa_type=Integer, primary_key=True)
    number: int = Field(sa_type=BigInteger, primary_key=True)
    kind: str
    cause: UUID
    """The top-up."""
    time: datetime = Field(sa_type=TIME)


class StarTransactionRow(SQLModel, table=True):
    """A transaction of Stars, as Telegram lists it."""

    __tablename__ = "star_transaction"
    __table_args__ = (
        CheckConstraint(one_of("direction", StarDirection), name="star_direction_is_known"),
        CheckConstraint(one_of("state", StarState), name="star_state_is_known"),
        Index("star_open", "bot_id", "time", postgresql_where=text("state <> 'matched'")),
        Index("star_by_time", "bot_id", "time"),
        Index("star_out_for", "bot_id", "payload", postgresql_where=text("direction = 'out'")),
        Index(
            "star_withdrawn",
            "bot_id",
            "amount",
            "nano",
            postgresql_where=text("partner = 'fragment'"),
        ),
        Index("star_with_problem", "bot_id", "time", postgresql_where=text("problem <> ''")),
    )

    bot_id: int = Field(sa_type=BigInteger, primary_key=True)
    id: str = Field(primary_key=True)
    direction: str = Field(primary_key=True)
    amount: int = Field(sa_type=BigInteger)
    nano: int = Field(sa_column=counted(BigInteger))
    partner: str
    time: datetime = Field(sa_type=TIME)
    user_id: int | None = Field(default=None, sa_type=BigInteger)
    transaction_type: str = Field(sa_column=counted(String))
    payload: str | None = None
    state: str
    document: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    problem: str = Field(sa_column=counted(String))
    """What differs from the ledger; empty if they agree."""
    position: int | None = Field(default=None, sa_type=BigInteger)
    """Where Telegram listed it last."""
    settled_as: str | None = None
    """What an operator decided that it is."""
    settle_actor: str | None = None
    settle_reason: str | None = None
    settle_time: datetime | None = Field(default=None, sa_type=TIME)


class WalletImportRow(SQLModel, table=True):
    """The balance that somebody had with an earlier bot."""

    __tablename__ = "wallet_import"
    __table_args__ = (
        CheckConstraint(one_of("state", ImportState), name="wallet_import_state_is_known"),
        CheckConstraint("credits > 0", name="wallet_import_is_positive"),
        Index("wallet_import_of_batch", "batch"),
        Index("wallet_import_of_owner", "owner"),
    )

    source: str = Field(primary_key=True)
    user_id: str = Field(primary_key=True)
    batch: UUID
    owner: str
    credits: int = Field(sa_type=BigInteger)
    state: str
    actor: str
    create_time: datetime = Field(sa_type=TIME)
    undo_time: datetime | None = Field(default=None, sa_type=TIME)
