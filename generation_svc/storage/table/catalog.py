"""The layers of the catalog, the documents that jobs were made with, and how models fare.

Documents are `json` and not `jsonb`, which forgets the order of fields: a form asks in that order.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column
from sqlmodel import Field, SQLModel

from generation_svc.storage.table.column import TIME


class CatalogStateRow(SQLModel, table=True):
    """The latest change of the layers: one row, written by the first change."""

    __tablename__ = "catalog_state"
    __table_args__ = (CheckConstraint("name = 'catalog'", name="catalog_state_is_single"),)

    name: str = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)
    update_time: datetime = Field(sa_type=TIME)


class CatalogImportRow(SQLModel, table=True):
    """An imported entry, which stands in the place of the shipped one."""

    __tablename__ = "catalog_import"

    model_id: str = Field(primary_key=True)
    entry: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    source: str
    """Who imported it and from where."""
    import_time: datetime = Field(sa_type=TIME)


class CatalogOverrideRow(SQLModel, table=True):
    """What the operator wants otherwise of a model."""

    __tablename__ = "catalog_override"

    model_id: str = Field(primary_key=True)
    patch: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    is_off: bool
    reason: str
    update_time: datetime = Field(sa_type=TIME)


class CatalogDocumentRow(SQLModel, table=True):
    """The entry of a model as jobs were made with it, as long as one of them is unfinished."""

    __tablename__ = "catalog_document"

    digest: str = Field(primary_key=True)
    document: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    use_time: datetime = Field(sa_type=TIME)


class ModelHealthRow(SQLModel, table=True):
    """How a model fares at the provider, as it was read last."""

    __tablename__ = "model_health"

    model_id: str = Field(primary_key=True)
    read_time: datetime = Field(sa_type=TIME)
    normal_share: float | None = None
    """Of its last hour, the share that the provider calls normal; NULL without traffic."""
