"""Sessions and update leases of edges."""

from datetime import datetime

from sqlalchemy import (
    LargeBinary,
)
from sqlmodel import BigInteger, Field, SQLModel

from generation_svc.storage.table.column import TIME


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
