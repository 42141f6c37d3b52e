"""Sessions and update leases on PostgreSQL."""

from datetime import datetime, timedelta

from generation_svc.domain.error import SessionConflict
from generation_svc.domain.port.session import SessionRecord
from generation_svc.storage.connection import Connection, Row


class PostgresEdgeStore:
    """The `EdgeStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get_session(self, bot_id: int, *, key: str, caller: str) -> SessionRecord:
        cursor = await self._connection.execute(
            "SELECT * FROM session WHERE caller = %s AND bot_id = %s AND key = %s",
            (caller, bot_id, key),
        )
        row = await cursor.fetchone()
        if row is None:
            return SessionRecord(bot_id=bot_id, key=key, data=b"", version=0, update_time=None)
        return _session_from_row(row)

    async def put_session(self, session: SessionRecord, *, caller: str) -> SessionRecord:
        cursor = await self._connection.execute(
            # Two replicas may both have read that there is none: one inserts, the other finds a
            # conflict.
            "INSERT INTO session (caller, bot_id, key, data, version, update_time)"
            " SELECT %(caller)s, %(bot_id)s, %(key)s, %(data)s, 1, now() WHERE %(version)s = 0"
            " ON CONFLICT DO NOTHING RETURNING *"
            if session.version == 0
            else "UPDATE session SET data = %(data)s, version = version + 1, update_time = now()"
            " WHERE caller = %(caller)s AND bot_id = %(bot_id)s AND key = %(key)s"
            " AND version = %(version)s RETURNING *",
            {
                "caller": caller,
                "bot_id": session.bot_id,
                "key": session.key,
                "data": session.data,
                "version": session.version,
            },
        )
        row = await cursor.fetchone()
        # The version in the statement is the guard: of two writers one changes no row.
        if row is None:
            current = await self.get_session(session.bot_id, key=session.key, caller=caller)
            raise SessionConflict(version=current.version)
        return _session_from_row(row)

    async def lease_updates(
        self, bot_id: int, *, holder: str, span: timedelta, caller: str
    ) -> tuple[bool, datetime | None]:
        if not span:
            await self._connection.execute(
                # Only the holder's own: a process that has lost the right must not end another's.
                "DELETE FROM update_lease WHERE bot_id = %s AND holder = %s AND caller = %s",
                (bot_id, holder, caller),
            )
            return False, None
        await self._connection.execute(
            # By the time of the database, which all replicas share, whatever their own clocks say.
            "INSERT INTO update_lease (bot_id, caller, holder, expire_time)"
            " VALUES (%(bot_id)s, %(caller)s, %(holder)s, now() + %(span)s)"
            " ON CONFLICT (bot_id) DO UPDATE SET holder = excluded.holder,"
            " caller = excluded.caller, expire_time = excluded.expire_time"
            " WHERE update_lease.expire_time <= now()"
            " OR (update_lease.holder, update_lease.caller) = (excluded.holder, excluded.caller)",
            {"bot_id": bot_id, "caller": caller, "holder": holder, "span": span},
        )
        cursor = await self._connection.execute(
            # Asked anew, since an upsert whose WHERE refuses the row returns nothing, not even
            # whose it is.
            "SELECT holder = %s AND caller = %s AS is_ours, expire_time FROM update_lease"
            " WHERE bot_id = %s",
            (holder, caller, bot_id),
        )
        row = await cursor.fetchone()
        return (row["is_ours"], row["expire_time"]) if row else (False, None)


def _session_from_row(row: Row) -> SessionRecord:
    return SessionRecord(
        bot_id=row["bot_id"],
        key=row["key"],
        data=row["data"],
        version=row["version"],
        update_time=row["update_time"],
    )
