"""What PostgreSQL does for the statements of the stores: each is recorded as it is executed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import psycopg
import pytest

Node = dict[str, Any]
_PRODUCT, _STORES = "generation_svc/", "generation_svc/storage/"
_EXPLAINED = (b"select", b"insert", b"update", b"delete", b"with", b"merge")
"""What statements begin with that have a plan."""
LARGE = 1000
"""From so many rows on a table is never read from its beginning to its end."""
MOST_SORTED = 500
"""So many rows may be sorted; that is no queue."""
READ_WHOLE = {
    "PostgresQueueStore.read": "the line is read for all who ask, and rests 50 times as long",
    "PostgresMoneyStore.open_cost": "the quotes of the queue are added for all, and rest as well",
    "PostgresStarStore.differences": "payments are compared with Telegram's list once an hour",
    "PostgresStarStore.balances": "and their sums",
    "PostgresLedgerStore.daily_lines": "every transfer of its days is added: a range of an index",
    "PostgresUsageStore.overall": "the sum of all bytes is read for all who ask, and rests as well",
}
"""The methods that may read and sort what they do, and why."""
MOST_VALUES = 5
"""With how many different values a statement is explained: a plan may depend on them."""


@dataclass
class Recorder:
    """Notes what is executed, and for which methods of stores."""

    own: psycopg.AsyncConnection[Any]
    """The connection of the test, whose statements are not the product's."""
    statements: dict[bytes, list[Any]] = field(default_factory=dict)
    """The values of each statement."""
    callers: set[str] = field(default_factory=set)
    """The methods in whose name something was executed."""

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Note every statement from now on: psycopg has one door for them all."""
        execute, recorder = psycopg.AsyncCursor.execute, self

        async def recorded(
            self: psycopg.AsyncCursor[Any], query: Any, params: Any = None, **more: Any
        ) -> psycopg.AsyncCursor[Any]:
            if self.connection is not recorder.own:
                recorder.note(_text(query, self.connection), params, frame=sys._getframe(1))
            return await execute(self, query, params, **more)

        patch.setattr(psycopg.AsyncCursor, "execute", recorded)

    def note(self, statement: bytes, values: Any, *, frame: FrameType | None) -> None:
        """Note a statement of the product, and for which methods of stores it is."""
        frames = list(_frames(frame))
        methods = {each.co_qualname for each in frames if _is_of_store(each)}
        self.callers.update(methods)
        is_ours = any(_PRODUCT in each.co_filename for each in frames)
        has_plan = statement.lstrip(b" \n(").lower().startswith(_EXPLAINED)
        if not is_ours or not has_plan or READ_WHOLE.keys() & methods:
            return
        known = self.statements.setdefault(statement, [])
        if len(known) < MOST_VALUES and values not in known:
            known.append(values)

    async def problems(self) -> list[str]:
        """Explain every statement, and return what reads or sorts too much."""
        large, found = await self._large(), set[str]()
        for statement, all_values in self.statements.items():
            for values in all_values:
                plan = await self._plan(statement, values)
                found.update(f"{why}: {_line(statement)}" for why in _problems(plan, large=large))
        return sorted(found)

    async def _plan(self, statement: bytes, values: Any) -> Node:
        """Execute it once more and undo that: what was there to sort, estimates do not tell."""
        try:
            async with self.own.transaction(force_rollback=True):
                return await self._explained(b"ANALYZE, ", statement, values)
        except psycopg.IntegrityError:  # what it inserts is there
            return await self._explained(b"", statement, values)

    async def _explained(self, option: bytes, statement: bytes, values: Any) -> Node:
        explain = b"EXPLAIN (" + option + b"FORMAT JSON) "
        row: Any = await (await self.own.execute(explain + statement, values)).fetchone()
        plan: Node = row["QUERY PLAN"][0]["Plan"]
        return plan

    async def _large(self) -> set[str]:
        cursor = await self.own.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= %s"
            " AND relnamespace = 'public'::regnamespace",
            (LARGE,),
        )
        return {row["relname"] for row in await cursor.fetchall()}


def _frames(frame: FrameType | None) -> Iterator[CodeType]:
    """Return who awaits this, the nearest first."""
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


def _is_of_store(code: CodeType) -> bool:
    return _STORES in code.co_filename and "Store." in code.co_qualname


def _text(query: Any, connection: psycopg.AsyncConnection[Any]) -> bytes:
    if isinstance(query, psycopg.sql.Composable):
        return query.as_bytes(connection)
    return query if isinstance(query, bytes) else str(query).encode()


def _problems(node: Node, *, large: set[str], is_limited: bool = False) -> Iterator[str]:
    kind, children = node["Node Type"], node.get("Plans", [])
    if kind == "Seq Scan" and node["Relation Name"] in large:
        yield f"reads all of {node['Relation Name']}"
    if "Index Name" in node and _is_whole(node, large=large) and not is_limited:
        yield f"reads all of {node['Index Name']}"
    if kind in ("Sort", "Incremental Sort") and _rows(children[0]) > MOST_SORTED:
        yield f"sorts {_rows(children[0])} rows"
    for child in children:
        yield from _problems(child, large=large, is_limited=is_limited or kind == "Limit")


def _is_whole(node: Node, *, large: set[str]) -> bool:
    """Return whether an index of a large table is read without a condition; a bitmap names none."""
    is_part = "Index Cond" in node or _rows(node) < LARGE
    return node.get("Relation Name", "") in large and not is_part


def _rows(node: Node) -> int:
    return max(int(node["Plan Rows"]), int(node.get("Actual Rows", 0)))


def _line(statement: bytes) -> str:
    return " ".join(statement.decode().split())
