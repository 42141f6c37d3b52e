"""The consents of owners on PostgreSQL."""

from collections.abc import Sequence

from generation_svc.domain.consent import ConsentRecord
from generation_svc.domain.model import Consent
from generation_svc.storage.connection import Connection, Row


class PostgresConsentStore:
    """The `ConsentStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, owner: str, *, consent: Consent) -> ConsentRecord | None:
        cursor = await self._connection.execute(
            "SELECT * FROM consent WHERE owner = %s AND kind = %s", (owner, consent)
        )
        row = await cursor.fetchone()
        return _record_from_row(row) if row else None

    async def page(self, owner: str, *, after: str, limit: int) -> Sequence[ConsentRecord]:
        cursor = await self._connection.execute(
            "SELECT * FROM consent WHERE owner = %s AND kind > %s ORDER BY kind LIMIT %s",
            (owner, after, limit),
        )
        return [_record_from_row(row) for row in await cursor.fetchall()]

    async def withdraw(self, owner: str, *, consent: Consent) -> None:
        await self._connection.execute(
            "DELETE FROM consent WHERE owner = %s AND kind = %s", (owner, consent)
        )

    async def record(
        self, owner: str, *, consent: Consent, wording_version: str, caller: str
    ) -> ConsentRecord:
        cursor = await self._connection.execute(
            # The time is that of the first time with this wording: it is what was agreed to.
            "INSERT INTO consent (owner, kind, wording_version, caller, agree_time)"
            " VALUES (%(owner)s, %(kind)s, %(wording)s, %(caller)s, now())"
            " ON CONFLICT (owner, kind) DO UPDATE SET wording_version = excluded.wording_version,"
            " caller = excluded.caller, agree_time = excluded.agree_time"
            " WHERE consent.wording_version <> excluded.wording_version RETURNING *",
            {"owner": owner, "kind": consent, "wording": wording_version, "caller": caller},
        )
        row = await cursor.fetchone()
        if row:
            return _record_from_row(row)
        kept = await self.find(owner, consent=consent)
        assert kept is not None  # it was the conflict, whose row is locked: nobody withdraws it
        return kept


def _record_from_row(row: Row) -> ConsentRecord:
    return ConsentRecord(
        owner=row["owner"],
        consent=Consent(row["kind"]),
        wording_version=row["wording_version"],
        agree_time=row["agree_time"],
    )
