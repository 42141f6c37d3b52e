"""The consents of owners."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from generation_svc.domain.model import Consent
from generation_svc.storage.table.column import TIME, one_of


class ConsentRow(SQLModel, table=True):
    """What an owner agreed to have copied."""

    __tablename__ = "consent"
    __table_args__ = (CheckConstraint(one_of("kind", Consent), name="consent_kind_is_known"),)

    owner: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    wording_version: str
    caller: str
    """Who asked."""
    agree_time: datetime = Field(sa_type=TIME)
