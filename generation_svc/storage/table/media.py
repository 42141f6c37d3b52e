"""Media and uploads: everything but the bytes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Index,
)
from sqlmodel import BigInteger, Field, SmallInteger, SQLModel, UniqueConstraint

from generation_svc.storage.table.column import TIME


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
    duration_ms: int | None = Field(default=None, sa_type=BigInteger)
    """How long it plays."""
    title: str = Field(sa_column_kwargs={"server_default": ""})
    cover_id: UUID | None = None
    """The media that is shown for it: a row of the same attempt."""


class UploadRow(SQLModel, table=True):
    """Media to be used as an input."""

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
    duration_ms: int | None = Field(default=None, sa_type=BigInteger)
