"""All tables, as Alembic and the tests ask for them."""

from sqlmodel import SQLModel

from generation_svc.storage.table import (  # noqa: F401 - each of them adds its tables
    attempt,
    delivery,
    edge,
    job,
    media,
    provider,
)

metadata = SQLModel.metadata
"""Every table above."""
