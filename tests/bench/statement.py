"""What a program asks of PostgreSQL, read from the log of the server itself.

The wheel's PostgreSQL has no pg_stat_statements, and the log has more: the order, by session.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

APPLICATION = "atelier"
"""What the connections of the service call themselves, so that no others are counted."""
_RELOAD_S = 0.3
_LINE = re.compile(r"(\w*)\|(\d+)\|LOG:  (?:statement|execute [^:]+): ?(.*)", re.DOTALL)
_BEGIN, _END = ("begin", "start transaction"), ("commit", "rollback", "end")


@dataclass
class Counts:
    """The statements and transactions of a while; BEGIN, COMMIT and ROLLBACK are no statements."""

    statements: int = 0
    transactions: int = 0
    """Blocks from BEGIN on, and statements outside of one, each of which is one by itself."""
    empty: int = 0
    """Statements without a word: checks of connections. They are among the statements."""
    groups: Counter[str] = field(default_factory=Counter)
    """How often each statement came, by its beginning."""
    _open: set[str] = field(default_factory=set)

    def read(self, log: str) -> None:
        """Count what a part of the log tells of the service."""
        for session, statement in _statements(log.split("\n")):
            self.add(session, statement)

    def add(self, session: str, statement: str) -> None:
        """Count one line of the log."""
        word = statement.lower().strip("; ")
        self.groups[re.sub(r"\s+", " ", statement)[:90]] += 1
        if word.startswith(_BEGIN):
            self.transactions += 1
            self._open.add(session)
        elif word.startswith(_END) and not word.startswith("rollback to"):
            self._open.discard(session)
        else:
            self.statements += 1
            self.empty += not word
            self.transactions += bool(word) and session not in self._open

    def top(self, *, per: float, limit: int = 50) -> list[tuple[float, str]]:
        """Return the most frequent statements, and how often each came for one of `per`."""
        return [(count / per, text) for text, count in self.groups.most_common(limit)]


@asynccontextmanager
async def counted(database_url: str, log: Path) -> AsyncIterator[Counts]:
    """Count what the service asks while the block runs; the counts are there at its end."""
    counts = Counts()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
        await _log(admin, "all")
        begin = await asyncio.to_thread(_size, log)
        try:
            yield counts
        finally:
            text = await asyncio.to_thread(_text_from, log, begin=begin)
            await _log(admin, "none")
    counts.read(text)


def _size(log: Path) -> int:
    return log.stat().st_size


def _text_from(log: Path, *, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace")


async def _log(admin: psycopg.AsyncConnection[Any], kind: str) -> None:
    for setting in (
        f"log_statement = '{kind}'",
        "log_line_prefix = '%a|%p|'",
        "log_parameter_max_length = 0",
    ):
        await admin.execute(f"ALTER SYSTEM SET {setting}".encode())
    await admin.execute("SELECT pg_reload_conf()")
    await asyncio.sleep(_RELOAD_S)  # PostgreSQL does not tell when every session has read it


def _statements(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return the session and text of each statement of the service."""
    for entry in _entries(lines):
        found = _LINE.match(entry)
        if found and found[1] == APPLICATION:
            yield found[2], found[3]


def _entries(lines: Iterable[str]) -> Iterator[str]:
    """Join the lines of each entry: those that go on begin with a tab."""
    entry: list[str] = []
    for line in lines:
        if not line.startswith("\t") and entry:
            yield "\n".join(entry)
            entry = []
        entry.append(line.lstrip("\t"))
    if entry:
        yield "\n".join(entry)
