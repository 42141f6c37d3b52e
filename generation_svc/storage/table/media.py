"""Media and uploads: everything but the bytes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Column, Index, text
from sqlmodel import BigInteger, Field, SmallInteger, SQLModel, UniqueConstraint

from generation_svc.storage.media_kind import IS_VIDEO
from generation_svc.storage.table.column import TIME


class MediaRow(SQLModel, table=True):
    """One result whose bytes are in the store."""

    __tablename__ = "media"
    __table_args__ = (
        UniqueConstraint("attempt_id", "position", name="media_position"),
        Index("media_of_job", "job_id"),
        Index(
            "media_kept_video",
            "create_time",
            postgresql_where=text(f"remove_time IS NULL AND {IS_VIDEO}"),
        ),
        Index(
            "media_kept",
            "create_time",
            postgresql_where=text(f"remove_time IS NULL AND NOT {IS_VIDEO}"),
        ),
        Index(
            "media_uncounted",
            "id",
            postgresql_where=text("NOT is_counted AND remove_time IS NULL"),
        ),
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
    remove_time: datetime | None = Field(default=None, sa_type=TIME)
    """When its bytes were removed, since its time was over; the row stays with its job."""
    is_counted: bool = Field(sa_column=Column(Boolean, nullable=False, server_default="false"))
    """Whether it is in the count of its owner's bytes."""


class UploadRow(SQLModel, table=True):
    """Media to be used as an input."""

    __tablename__ = "upload"
    __table_args__ = (
        Index("upload_kept", "expire_time", postgresql_where=text("remove_time IS NULL")),
        Index(
            "upload_of_owner",
            "caller",
            "owner",
            postgresql_include=["size_bytes"],
            postgresql_where=text("remove_time IS NULL"),
        ),
    )

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
    remove_time: datetime | None = Field(default=None, sa_type=TIME)
    """When its bytes were removed; the row stays for a while, to say that it was there."""


class StorageUsageRow(SQLModel, table=True):
    """How many bytes of results are kept for an owner."""

    __tablename__ = "storage_usage"

    caller: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    size_bytes: int = Field(sa_type=BigInteger)
