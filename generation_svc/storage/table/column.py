"""What columns of several tables have in common."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    String,
)
from sqlalchemy.dialects.postgresql import JSONB

TIME: Any = DateTime(timezone=True)
"""The type of every time."""
JSON: Any = JSONB(none_as_null=True)
"""The type of every document."""


def one_of(column: str, words: Iterable[str]) -> str:
    """Return the rule that a column holds one of these words."""
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


def counted(kind: Any) -> Column[Any]:
    """Return a column that begins with nothing."""
    return Column(kind, nullable=False, server_default="" if kind is String else "0")
