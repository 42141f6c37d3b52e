"""Top-ups, packs and receipts on PostgreSQL."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from generation_svc.domain.money import ClosedSales
from generation_svc.domain.receipt import ReceiptKind
from generation_svc.domain.star import StarDirection
from generation_svc.domain.top_up import Pack, Standing, TopUp, TopUpState
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.money.star_query import UNLISTED

TURN_LOCK = 0x5355_5450
"""The advisory lock under which the credits of a day are counted ("SUTP")."""
RECEIPT_LOCK = 0x5443_5052
"""The advisory lock under which receipts are numbered ("RPCT")."""

PATIENCE = timedelta(minutes=1)
"""How long an update of what Telegram lists is waited for before its owner is told without it."""


class PostgresTopUpStore:
    """The `TopUpStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def offer(self, packs: Sequence[Pack]) -> None:
        ids, credits_, stars = ([getattr(each, k) for each in packs] for k in _PACK_COLUMNS)
        await self._connection.execute(_OFFER, {"ids": ids, "credits": credits_, "stars": stars})

    async def offered(self, pack_id: str) -> Sequence[Pack]:
        cursor = await self._connection.execute(
            "SELECT id, credits, stars FROM pack WHERE id = %s ORDER BY time DESC", (pack_id,)
        )
        return [Pack(**row) for row in await cursor.fetchall()]

    async def standing(self, owner: str, *, caller: str) -> Standing:
        row = await self._one(_STANDING, {"owner": owner, "caller": caller})
        assert row is not None  # there always is one
        reason = row["closed_reason"]
        closed = reason and ClosedSales(reason, row["is_restored"], row["close_time"])
        return Standing(row["is_blocked"], closed, row["unconfirmed"])

    async def take_turn(self, caller: str) -> int:
        await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (TURN_LOCK,))
        row = await self._one(f"SELECT ({_UNCONFIRMED}) AS unconfirmed", {"caller": caller})
        return int(row["unconfirmed"]) if row else 0

    async def add(self, top_up: TopUp, *, is_untold: bool = False) -> bool:
        values = {name: getattr(top_up, name) for name in _ADDED}
        values |= {"is_untold": is_untold, "patience": PATIENCE}
        return await self._one(_ADD, values) is not None

    async def find(self, provider: str, external_id: str) -> TopUp | None:
        where = "top_up.provider = %(provider)s AND top_up.external_id = %(external_id)s"
        values = {"provider": provider, "external_id": external_id}
        return _top_up(await self._one(_SELECT.format(where=where), values))

    async def get(self, top_up_id: UUID) -> TopUp | None:
        return _top_up(
            await self._one(_SELECT.format(where="top_up.id = %(id)s"), {"id": top_up_id})
        )

    async def lock(self, top_up_id: UUID) -> TopUp | None:
        await self._connection.execute("SELECT FROM top_up WHERE id = %s FOR UPDATE", (top_up_id,))
        return await self.get(top_up_id)

    async def page(self, owner: str, *, after: UUID | None, limit: int) -> Sequence[TopUp]:
        values = {"owner": owner, "after": after, "limit": limit}
        cursor = await self._connection.execute(_PAGE, values)
        return [_from_row(row) for row in await cursor.fetchall()]

    async def begin_refund(
        self,
        top_up: TopUp,
        *,
        state: TopUpState,
        actor: str,
        reason: str,
        is_forced: bool,
        is_untold: bool,
    ) -> TopUp:
        values = {
            "id": top_up.id,
            "state": state,
            "actor": actor,
            "reason": reason,
            "is_forced": is_forced,
            "is_untold": is_untold,
            "patience": PATIENCE,
        }
        await self._connection.execute(_BEGIN_REFUND, values)
        return await self._known(top_up.id)

    async def end_refund(self, top_up: TopUp, *, state: TopUpState, error: str = "") -> TopUp:
        values = {"id": top_up.id, "state": state, "error": error or None}
        await self._connection.execute(_END_REFUND, values)
        return await self._known(top_up.id)

    async def return_again(self, top_up: TopUp) -> bool:
        return await self._one(_RETURN_AGAIN, {"id": top_up.id}) is not None

    async def end_return(self, top_up: TopUp, *, error: str = "") -> TopUp:
        await self._connection.execute(
            "UPDATE top_up SET is_due_again = false, refund_error = %s WHERE id = %s",
            (error or None, top_up.id),
        )
        return await self._known(top_up.id)

    async def lease_refunds(self, bot_id: int, *, span: timedelta, limit: int) -> Sequence[TopUp]:
        values = {"bot_id": bot_id, "span": span, "limit": limit}
        cursor = await self._connection.execute(_LEASE, values)
        return [_from_row(row) for row in await cursor.fetchall()]

    async def lease_untold(self, bot_id: int, *, span: timedelta, limit: int) -> Sequence[TopUp]:
        values = {"bot_id": bot_id, "span": span, "limit": limit}
        cursor = await self._connection.execute(_LEASE_UNTOLD, values)
        return [_from_row(row) for row in await cursor.fetchall()]

    async def told(self, top_up_id: UUID, *, state: TopUpState) -> None:
        await self._connection.execute(
            "UPDATE top_up SET tell_time = NULL WHERE id = %s AND state = %s", (top_up_id, state)
        )

    async def number_receipts(self, *, limit: int) -> int | None:
        lock = await self._one(
            "SELECT pg_try_advisory_xact_lock(%(lock)s) AS is_mine", {"lock": RECEIPT_LOCK}
        )
        if not lock or not lock["is_mine"]:
            return None
        # A statement of its own: its snapshot sees what the one before in the lock committed.
        row = await self._one(_NUMBER, {"limit": limit})
        return int(row["given"]) if row else 0

    async def _known(self, top_up_id: UUID) -> TopUp:
        found = await self.get(top_up_id)
        assert found is not None  # it is locked
        return found

    async def _one(self, statement: str, values: dict[str, Any]) -> Row | None:
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchone()


_ENDED = f"('{TopUpState.REFUNDED}', '{TopUpState.CHARGED_BACK}')"
_PACK_COLUMNS = ("id", "credits", "stars")
_ADDED = (
    "id",
    "provider",
    "external_id",
    "owner",
    "pack_id",
    "credits",
    "amount",
    "currency",
    "state",
    "bot_id",
    "user_id",
    "caller",
)
# A pack that is sold again at an earlier rate is the latest again.
_OFFER = """
INSERT INTO pack (id, credits, stars, time)
SELECT id, credits, stars, clock_timestamp() FROM unnest(%(ids)s::text[], %(credits)s::bigint[],
    %(stars)s::bigint[]) AS given (id, credits, stars) ORDER BY id
ON CONFLICT (id, credits, stars) DO UPDATE SET time = EXCLUDED.time
"""
# What Telegram listed itself is confirmed; of other providers nothing is. Each is looked up by its
# key: joined, a day of many payments would have the whole list of Stars read at every checkout.
_UNCONFIRMED = f"""
SELECT coalesce(sum(credits), 0)::bigint FROM top_up
WHERE create_time >= date_trunc('day', now(), 'UTC') AND caller = %(caller)s
    AND (SELECT true FROM star_transaction WHERE star_transaction.bot_id = top_up.bot_id
        AND star_transaction.id = top_up.external_id
        AND star_transaction.direction = '{StarDirection.IN}' LIMIT 1) IS NULL
"""
_STANDING = f"""
SELECT coalesce((SELECT is_blocked FROM wallet WHERE owner = %(owner)s), false) AS is_blocked,
    sales_closed_reason AS closed_reason, restored IS NOT NULL AS is_restored,
    sales_close_time AS close_time, ({_UNCONFIRMED}) AS unconfirmed
FROM (VALUES (true)) AS always LEFT JOIN money_state ON name = 'money'
"""
# After a backup was restored, owners were told before of what Telegram's list brings back.
_TELL = """
CASE WHEN %(is_untold)s AND NOT EXISTS (SELECT FROM money_state WHERE restored IS NOT NULL)
    THEN clock_timestamp() + %(patience)s END"""
# The time of the moment and not of the transaction, which may have waited for the wallet: of one
# owner later top-ups are younger.
_ADD = f"""
INSERT INTO top_up ({", ".join(_ADDED)}, create_time, tell_time)
VALUES ({", ".join(f"%({name})s" for name in _ADDED)}, clock_timestamp(), {_TELL})
ON CONFLICT (provider, external_id) DO NOTHING RETURNING id
"""
# The oldest are spent first: one is untouched if the paid credits cover it and all younger ones.
_REFUNDABLE = f"""
(top_up.state = '{TopUpState.CREDITED}' AND coalesce((SELECT paid FROM wallet
    WHERE wallet.owner = top_up.owner), 0) >= (SELECT sum(younger.credits) FROM top_up AS younger
        WHERE younger.owner = top_up.owner AND younger.state = '{TopUpState.CREDITED}'
        AND (younger.create_time, younger.id) >= (top_up.create_time, top_up.id))) AS is_refundable
"""
_SELECT = f"SELECT top_up.*, {_REFUNDABLE} FROM top_up WHERE {{where}}"
# As above, but what is younger than the page is added once, and not for each of its rows.
_PAGE = f"""
WITH page AS MATERIALIZED (
    SELECT * FROM top_up WHERE owner = %(owner)s AND (%(after)s::uuid IS NULL
        OR (create_time, id) < (SELECT create_time, id FROM top_up AS last
            WHERE last.id = %(after)s))
    ORDER BY create_time DESC, id DESC LIMIT %(limit)s
), had AS (
    SELECT coalesce((SELECT paid FROM wallet WHERE wallet.owner = %(owner)s), 0)
        - coalesce((SELECT sum(credits) FROM top_up AS younger WHERE younger.owner = %(owner)s
            AND younger.state = '{TopUpState.CREDITED}' AND (younger.create_time, younger.id)
            > (SELECT create_time, id FROM page ORDER BY create_time DESC, id DESC LIMIT 1)), 0)
        AS paid
)
SELECT page.*, state = '{TopUpState.CREDITED}' AND had.paid
    >= sum(CASE WHEN state = '{TopUpState.CREDITED}' THEN credits ELSE 0 END)
        OVER (ORDER BY create_time DESC, id DESC ROWS UNBOUNDED PRECEDING) AS is_refundable
FROM page, had ORDER BY create_time DESC, id DESC
"""
_BEGIN_REFUND = f"""
UPDATE top_up SET state = %(state)s::text, refund_actor = %(actor)s, refund_reason = %(reason)s,
    is_forced = %(is_forced)s, refund_count = refund_count + 1, refund_error = NULL,
    lease_token = NULL, lease_time = NULL, tell_time = {_TELL},
    refund_time = CASE WHEN %(state)s::text <> '{TopUpState.REFUNDING}' THEN now() END
WHERE id = %(id)s
"""
_END_REFUND = f"""
UPDATE top_up SET state = %(state)s::text, refund_error = %(error)s,
    refund_time = CASE WHEN %(state)s::text IN {_ENDED} THEN coalesce(refund_time, now()) END
WHERE id = %(id)s
"""
# Whoever leased it before tried in vain or is over: its token is no longer the one.
_RETURN_AGAIN = f"""
UPDATE top_up SET is_due_again = true, lease_token = NULL, lease_time = NULL
WHERE id = %(id)s AND {UNLISTED} RETURNING id
"""
# Those of which a try was in vain come last: they keep no other from its first.
_LEASE = f"""
UPDATE top_up SET lease_token = gen_random_uuid(), lease_time = now() + %(span)s
WHERE id IN (SELECT id FROM top_up WHERE bot_id = %(bot_id)s
    AND (state = '{TopUpState.REFUNDING}' OR is_due_again)
    AND (lease_time IS NULL OR lease_time <= now())
    ORDER BY lease_time NULLS FIRST, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING *, false AS is_refundable
"""
_LEASE_UNTOLD = f"""
UPDATE top_up SET tell_time = now() + %(span)s
WHERE id IN (SELECT id FROM top_up WHERE bot_id = %(bot_id)s AND tell_time <= now()
    AND state IN ('{TopUpState.CREDITED}', '{TopUpState.CHARGED_BACK}')
    ORDER BY tell_time LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING *, false AS is_refundable
"""
# Only what the epoch covers gets a number: a backup that lacks it has an earlier epoch, so that the
# loss is noticed, and no number is given twice. Before the first epoch nothing needs one.
_IS_COVERED = """NOT EXISTS (SELECT FROM transfer
    WHERE transfer.id > (SELECT epoch_transfer FROM money_state WHERE name = 'money')
    AND transfer.cause IN (top_up.id::text, top_up.id || '/' || top_up.refund_count,
        top_up.provider || '/' || top_up.external_id))"""
# A database that was restored gave numbers that it does not know: it waits for a new series.
_NUMBER = f"""
WITH due AS (
    SELECT * FROM ((SELECT id, '{ReceiptKind.TOP_UP}' AS kind, create_time AS time FROM top_up
        WHERE receipt IS NULL AND {_IS_COVERED} ORDER BY create_time, id LIMIT %(limit)s)
    UNION ALL (SELECT id, '{ReceiptKind.REFUND}', refund_time FROM top_up
        WHERE refund_receipt IS NULL AND state IN {_ENDED} AND {_IS_COVERED}
        ORDER BY refund_time, id LIMIT %(limit)s)) AS both_kinds
    ORDER BY time, id, kind DESC LIMIT %(limit)s
), series AS (
    SELECT receipt_series AS series, coalesce((SELECT max(number) FROM receipt
        WHERE receipt.series = receipt_series), 0) AS last FROM money_state
    WHERE name = 'money' AND restored IS NULL
), given AS (
    INSERT INTO receipt (series, number, kind, cause, time)
    SELECT series, last + row_number() OVER (ORDER BY due.time, id, kind DESC), kind, id, now()
    FROM due, series RETURNING series || '-' || lpad(number::text, 6, '0') AS number, kind, cause
), named AS (
    UPDATE top_up SET receipt = coalesce(top_up.receipt, of_top_up),
        refund_receipt = coalesce(top_up.refund_receipt, of_refund)
    FROM (SELECT cause, max(number) FILTER (WHERE kind = '{ReceiptKind.TOP_UP}') AS of_top_up,
        max(number) FILTER (WHERE kind = '{ReceiptKind.REFUND}') AS of_refund
        FROM given GROUP BY cause) AS names
    WHERE top_up.id = names.cause
)
SELECT count(*) AS given FROM given
"""


def _top_up(row: Row | None) -> TopUp | None:
    return _from_row(row) if row else None


def _from_row(row: Row) -> TopUp:
    same = {name: row[name] for name in _ADDED if name != "state"}
    return TopUp(
        **same,
        state=TopUpState(row["state"]),
        create_time=row["create_time"],
        refund_time=row["refund_time"],
        refund_count=row["refund_count"],
        is_refundable=row["is_refundable"],
        lease_token=row["lease_token"],
        is_due_again=row["is_due_again"],
        receipt=row["receipt"] or "",
        refund_receipt=row["refund_receipt"] or "",
    )
