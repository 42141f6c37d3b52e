"""Star transactions, and how far they were read, on PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from generation_svc.domain.star import (
    NANO,
    UNCOMPARED,
    StarDifference,
    StarPartner,
    StarTransaction,
)
from generation_svc.domain.top_up import (
    TELEGRAM_STARS,
    StarDirection,
    StarState,
    TopUpState,
)
from generation_svc.storage.connection import Connection, Row

READINGS = 2
"""How often a list is read to its end until an order is carried out.

What an edge reported first it may have read before the order.
"""
GRACE = timedelta(hours=1)
"""How late Telegram may list what the ledger has."""


class PostgresStarStore:
    """The `StarStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def take_turn(self, bot_id: int) -> int:
        # An update that changes nothing locks the row, also one that was made just now.
        (row,) = await self._all(_TAKE_TURN, name=_name(bot_id))
        return int(row["position"])

    async def cursor(self, bot_id: int) -> int:
        rows = await self._all(
            "SELECT position FROM money_cursor WHERE name = %(name)s", name=_name(bot_id)
        )
        return int(rows[0]["position"]) if rows else 0

    async def set_cursor(self, bot_id: int, offset: int) -> None:
        await self._run(_SET_CURSOR, name=_name(bot_id), offset=offset)

    async def note_end(self, bot_id: int, *, time: datetime, is_ordered: bool) -> None:
        await self._run(_NOTE_END, name=_end(bot_id), time=time)
        if is_ordered:
            await self._run(_COUNT_DOWN, name=_order(bot_id))

    async def read_again(self, bots: Sequence[int] = ()) -> Sequence[int]:
        rows = await self._all(_BOTS, bots=list(bots))
        known = [int(row["bot_id"]) for row in rows]
        for bot_id in known:
            await self.set_cursor(bot_id, 0)
        return known

    async def order(self, bots: Sequence[int] = ()) -> Sequence[int]:
        known = await self.read_again(bots)
        for bot_id in known:
            await self._run(_SET_CURSOR, name=_order(bot_id), offset=READINGS)
        return known

    async def is_ordered(self, bot_id: int) -> bool:
        return bool(await self._all(_IS_ORDERED, name=_order(bot_id)))

    async def ordered(self) -> Sequence[int]:
        return [int(row["bot_id"]) for row in await self._all(_ORDERED)]

    async def unread(self, bots: Sequence[int], *, since: datetime) -> Sequence[int]:
        names = {_end(bot_id): bot_id for bot_id in bots}
        rows = await self._all(
            "SELECT name FROM money_cursor WHERE name = ANY (%(names)s) AND time > %(since)s",
            names=list(names),
            since=since,
        )
        read = {row["name"] for row in rows}
        return [bot_id for name, bot_id in names.items() if name not in read]

    async def find(
        self, bot_id: int, star_id: str, *, direction: StarDirection
    ) -> StarTransaction | None:
        rows = await self._all(_FIND, bot_id=bot_id, id=star_id, direction=direction)
        return _transaction(rows[0]) if rows else None

    async def lock(
        self, bot_id: int, star_id: str, *, direction: StarDirection
    ) -> StarTransaction | None:
        rows = await self._all(_FIND + "FOR UPDATE", bot_id=bot_id, id=star_id, direction=direction)
        return _transaction(rows[0]) if rows else None

    async def settle(
        self, transaction: StarTransaction, *, state: StarState, actor: str, reason: str
    ) -> None:
        await self._run(
            _SETTLE,
            **_key(transaction),
            settled_as=transaction.settled_as,
            state=state,
            actor=actor,
            reason=reason,
        )

    async def position(self, transaction: StarTransaction) -> int | None:
        rows = await self._all(
            "SELECT position FROM star_transaction WHERE (bot_id, id, direction)"
            " = (%(bot_id)s, %(id)s, %(direction)s)",
            **_key(transaction),
        )
        return rows[0]["position"] if rows else None

    async def keep(
        self, transactions: Sequence[StarTransaction], *, offset: int
    ) -> Sequence[StarTransaction]:
        rows = [_columns(each, offset + n) for n, each in enumerate(transactions)]
        kept = await self._all(_KEEP, rows=Jsonb(rows))
        return [_transaction(row) for row in sorted(kept, key=lambda row: int(row["position"]))]

    async def open(self, bot_id: int, *, limit: int) -> Sequence[StarTransaction]:
        rows = await self._all(_OPEN, bot_id=bot_id, limit=limit)
        return [_transaction(row) for row in rows]

    async def judge(
        self, transaction: StarTransaction, *, state: StarState, problem: str = ""
    ) -> None:
        await self._run(_JUDGE, **_key(transaction), state=state, problem=problem)

    async def has_come_back(self, failed: StarTransaction) -> bool:
        (row,) = await self._all(
            _CAME_BACK, bot_id=failed.bot_id, amount=failed.amount, nano=failed.nano
        )
        return bool(row["has_come_back"])

    async def attribute(
        self, stranger: StarTransaction, *, top_up_id: UUID | None = None
    ) -> UUID | None:
        rows = await self._all(
            _ATTRIBUTE, **_key(stranger), amount=stranger.amount, top_up_id=top_up_id
        )
        return rows[0]["top_up_id"] if rows else None

    async def differences(self, *, limit: int) -> Sequence[StarDifference]:
        rows = await self._all(_DIFFERENCES, limit=limit, grace=GRACE)
        return [StarDifference(_transaction(row), row["problem"]) for row in rows]

    async def balances(self) -> tuple[int, int]:
        (row,) = await self._all(_BALANCE)
        return int(row["booked"]), int(row["listed"])

    async def _all(self, statement: str, **values: Any) -> list[Row]:
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchall()

    async def _run(self, statement: str, **values: Any) -> None:
        await self._connection.execute(statement.encode(), values)


def _name(bot_id: int) -> str:
    return f"stars/{bot_id}"


def _order(bot_id: int) -> str:
    return f"stars_order/{bot_id}"


def _end(bot_id: int) -> str:
    return f"stars_end/{bot_id}"


_ENDED = f"('{TopUpState.REFUNDED}', '{TopUpState.CHARGED_BACK}')"
_TAKE_TURN = """
INSERT INTO money_cursor AS c (name, position, time) VALUES (%(name)s, 0, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET position = c.position RETURNING position
"""
_SET_CURSOR = """
INSERT INTO money_cursor AS c (name, position, time)
VALUES (%(name)s, %(offset)s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET position = excluded.position, time = excluded.time
"""
_NOTE_END = """
INSERT INTO money_cursor AS c (name, position, time) VALUES (%(name)s, 0, %(time)s)
ON CONFLICT (name) DO UPDATE SET time = greatest(c.time, excluded.time)
"""
_COUNT_DOWN = """
UPDATE money_cursor SET position = position - 1, time = clock_timestamp()
WHERE name = %(name)s AND position > 0
"""
_IS_ORDERED = "SELECT position FROM money_cursor WHERE name = %(name)s AND position > 0"
_ORDERED = """
SELECT split_part(name, '/', 2)::bigint AS bot_id FROM money_cursor
WHERE name LIKE 'stars_order/%%' AND position > 0 ORDER BY 1
"""
# From one bot to the next in the index: a DISTINCT would read all top-ups for some bots.
_NEXT_BOT = f"SELECT min(bot_id) FROM top_up WHERE provider = '{TELEGRAM_STARS}'"
_BOTS = f"""
WITH RECURSIVE seller (bot_id) AS (({_NEXT_BOT}) UNION ALL
    SELECT ({_NEXT_BOT} AND top_up.bot_id > seller.bot_id) FROM seller WHERE bot_id IS NOT NULL)
SELECT bot_id FROM unnest(%(bots)s::bigint[]) AS given (bot_id)
UNION SELECT bot_id FROM seller WHERE bot_id IS NOT NULL
UNION SELECT split_part(name, '/', 2)::bigint FROM money_cursor WHERE name LIKE 'stars/%%'
ORDER BY bot_id
"""
_KEPT = """bot_id bigint, id text, direction text, amount bigint, nano bigint, partner text,
    time timestamptz, user_id bigint, transaction_type text, payload text, document jsonb,
    position bigint"""
_KEEP = f"""
INSERT INTO star_transaction (bot_id, id, direction, amount, nano, partner, time, user_id,
    transaction_type, payload, document, position, state, problem)
SELECT bot_id, id, direction, amount, nano, partner, time, user_id, transaction_type, payload,
    document, position, '{StarState.MISSING}', '{UNCOMPARED}'
FROM jsonb_to_recordset(%(rows)s) AS listed ({_KEPT}) ORDER BY bot_id, id, direction
ON CONFLICT (bot_id, id, direction) DO UPDATE SET amount = excluded.amount, nano = excluded.nano,
    document = excluded.document, position = excluded.position
RETURNING *
"""
_FIND = """
SELECT * FROM star_transaction WHERE (bot_id, id, direction) = (%(bot_id)s, %(id)s, %(direction)s)
"""
# What a process kept and did not live to compare comes first: nothing else looks at it.
_OPEN = f"""
SELECT * FROM star_transaction WHERE bot_id = %(bot_id)s AND settled_as IS NULL AND problem <> ''
ORDER BY problem <> '{UNCOMPARED}', time, position LIMIT %(limit)s
"""
_JUDGE = """
UPDATE star_transaction SET state = %(state)s, problem = %(problem)s
WHERE (bot_id, id, direction) = (%(bot_id)s, %(id)s, %(direction)s) AND settled_as IS NULL
"""
_SETTLE = """
UPDATE star_transaction SET state = %(state)s, problem = '', settled_as = %(settled_as)s,
    settle_actor = %(actor)s, settle_reason = %(reason)s, settle_time = now()
WHERE (bot_id, id, direction) = (%(bot_id)s, %(id)s, %(direction)s)
"""
_FAILED = "document#>>'{receiver,withdrawal_state,type}' = 'failed'"
# One that comes back has an id of its own: as many came back as failed, or some did not.
_CAME_BACK = f"""
SELECT count(*) FILTER (WHERE direction = '{StarDirection.IN}')
    >= count(*) FILTER (WHERE {_FAILED}) AS has_come_back
FROM star_transaction WHERE bot_id = %(bot_id)s AND partner = '{StarPartner.FRAGMENT}'
    AND amount = %(amount)s AND nano = %(nano)s
"""
_UNLISTED = f"""
NOT EXISTS (SELECT FROM star_transaction AS listed WHERE listed.bot_id = top_up.bot_id
    AND listed.id = top_up.external_id AND listed.direction = '{StarDirection.OUT}')
AND NOT EXISTS (SELECT FROM star_transaction AS listed WHERE listed.bot_id = top_up.bot_id
    AND listed.direction = '{StarDirection.OUT}' AND listed.payload = top_up.id::text)
"""
_ATTRIBUTE = f"""
UPDATE star_transaction SET payload = found.id::text, state = '{StarState.BOOKED}', problem = ''
FROM (SELECT id FROM top_up WHERE bot_id = %(bot_id)s AND provider = '{TELEGRAM_STARS}'
    AND state = '{TopUpState.CHARGED_BACK}' AND {_UNLISTED}
    AND CASE WHEN %(top_up_id)s::uuid IS NULL THEN amount = %(amount)s
        ELSE top_up.id = %(top_up_id)s END
    ORDER BY refund_time LIMIT 1) AS found
WHERE (bot_id, star_transaction.id, direction) = (%(bot_id)s, %(id)s, %(direction)s)
    AND settled_as IS NULL
RETURNING found.id AS top_up_id
"""
_STARS = f"top_up.provider = '{TELEGRAM_STARS}' AND top_up.bot_id IS NOT NULL"
_UNSEEN = f"""
NOT EXISTS (SELECT FROM star_transaction AS listed WHERE listed.bot_id = top_up.bot_id
    AND listed.id = top_up.external_id AND listed.direction = '{StarDirection.IN}')
"""
# Nobody paid it, and it was taken back: Telegram rightly lists neither.
_CAME_TO_NOTHING = f"top_up.state IN {_ENDED} AND {_UNLISTED}"
_OF_TOP_UP = f"""
SELECT top_up.bot_id, external_id AS id, '{{direction}}' AS direction, amount, 0::bigint AS nano,
    'user' AS partner, {{time}} AS time, user_id, '' AS transaction_type, '' AS payload,
    '{StarState.MISSING}' AS state, '{{{{}}}}'::jsonb AS document, '{{problem}}' AS problem
FROM top_up JOIN money_cursor ON money_cursor.name = 'stars_end/' || top_up.bot_id
WHERE {{where}} AND {{time}} < money_cursor.time - %(grace)s
"""
_DIFFERENCES = " UNION ALL ".join(
    (
        "(SELECT bot_id, id, direction, amount, nano, partner, time, user_id, transaction_type,"
        " payload, state, document, problem FROM star_transaction WHERE problem <> ''"
        " ORDER BY bot_id, time LIMIT %(limit)s)",
        _OF_TOP_UP.format(
            direction=StarDirection.IN,
            time="create_time",
            problem="it was credited, and Telegram does not list it",
            where=f"{_STARS} AND {_UNSEEN} AND NOT ({_CAME_TO_NOTHING})",
        ),
        _OF_TOP_UP.format(
            direction=StarDirection.OUT,
            time="refund_time",
            problem="its credits were taken back, and Telegram does not list a refund",
            where=f"{_STARS} AND top_up.state IN {_ENDED} AND {_UNLISTED} AND NOT ({_UNSEEN})",
        ),
    )
)
_DIFFERENCES = f"SELECT * FROM ({_DIFFERENCES}) AS every ORDER BY bot_id, time LIMIT %(limit)s"
_NANOSTARS = f"amount::numeric * CASE currency WHEN 'xtr' THEN {NANO} ELSE 1 END"
# What was booked an hour ago at most and is not listed yet counts as listed.
_BALANCE = f"""
SELECT (SELECT coalesce(sum({_NANOSTARS} * CASE source WHEN 'telegram' THEN 1 ELSE -1
        END), 0) FROM transfer WHERE currency IN ('xtr', 'xtr_nano')
        AND 'telegram' IN (source, target)) AS booked,
    (SELECT coalesce(sum((amount::numeric * {NANO} + nano) * CASE direction WHEN 'in' THEN 1 ELSE -1
        END), 0) FROM star_transaction WHERE state <> '{StarState.MISSING}')
    + {NANO} * (SELECT coalesce(sum(amount), 0) FROM top_up
        WHERE currency = 'XTR' AND (bot_id IS NULL OR {_UNSEEN}))
    - {NANO} * (SELECT coalesce(sum(amount), 0) FROM top_up
        WHERE currency = 'XTR' AND state IN {_ENDED} AND (bot_id IS NULL OR {_UNLISTED}))
    + {NANO} * (SELECT coalesce(sum(amount), 0) FROM transfer WHERE kind = 'stars_in'
        AND target = 'suspense' AND currency = 'xtr' AND cause LIKE '{TELEGRAM_STARS}/%%'
        AND NOT EXISTS (SELECT FROM top_up WHERE '{TELEGRAM_STARS}/' || external_id = cause)
        AND NOT EXISTS (SELECT FROM star_transaction
            WHERE '{TELEGRAM_STARS}/' || star_transaction.id = cause)) AS listed
"""


def _key(transaction: StarTransaction) -> dict[str, Any]:
    return {name: getattr(transaction, name) for name in ("bot_id", "id", "direction")}


def _columns(each: StarTransaction, position: int) -> dict[str, Any]:
    return _key(each) | {
        "amount": each.amount,
        "nano": each.nano,
        "partner": each.partner,
        "time": each.time.isoformat(),
        "user_id": each.user_id,
        "transaction_type": each.transaction_type,
        "payload": each.payload or None,
        "document": dict(each.document),
        "position": position,
    }


def _transaction(row: Row) -> StarTransaction:
    return StarTransaction(
        bot_id=row["bot_id"],
        id=row["id"],
        direction=StarDirection(row["direction"]),
        amount=row["amount"],
        nano=row["nano"],
        time=row["time"],
        partner=StarPartner(row["partner"]),
        user_id=row["user_id"],
        transaction_type=row["transaction_type"],
        payload=row["payload"] or "",
        document=row["document"],
        state=StarState(row["state"]),
        problem=row["problem"],
        settled_as=row.get("settled_as") or "",
    )
