"""Webhooks on PostgreSQL: whose turn it is to be posted to, and who is gone."""

from datetime import timedelta

from generation_svc.domain.delivery import Delivery
from generation_svc.storage.connection import Connection
from generation_svc.storage.delivery_store import PostgresDeliveryStore
from generation_svc.storage.job_store import PostgresJobStore

TURN_LOCK = 0x5745_4248
"""Leases take turns, so that the count of what is under way to a host is exact."""


class PostgresWebhookStore:
    """The `WebhookStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begin(self, *, span: timedelta, most_per_host: int) -> Delivery | None:
        """Lease and begin a due delivery, of the host with the fewest under way."""
        await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (TURN_LOCK,))
        cursor = await self._connection.execute(_DUE, {"most_per_host": most_per_host})
        row = await cursor.fetchone()
        if row is None:
            return None
        job = await PostgresJobStore(self._connection).get(row["job_id"])
        assert job is not None  # jobs are never deleted while something refers to them
        deliveries = PostgresDeliveryStore(self._connection)
        delivery = await deliveries.lease_one(row, job=job, span=span)
        await deliveries.begin(delivery.lease_token)
        return delivery

    async def disable(self, url: str, *, caller: str) -> None:
        """Note that an address is gone; whatever still waits to be posted to it never will be."""
        values = {"url": url, "caller": caller}
        await self._connection.execute(
            "INSERT INTO webhook_endpoint (caller, url, disable_time)"
            " VALUES (%(caller)s, %(url)s, now()) ON CONFLICT DO NOTHING",
            values,
        )
        await self._connection.execute(_END_PENDING, values)

    async def is_disabled(self, url: str, *, caller: str) -> bool:
        """Return whether nothing is posted to an address any more."""
        cursor = await self._connection.execute(
            "SELECT FROM webhook_endpoint WHERE caller = %s AND url = %s", (caller, url)
        )
        return await cursor.fetchone() is not None


def _host(url: str) -> str:
    """Write the host and port of an address in SQL."""
    return f"split_part(split_part(lower({url}), '/', 3), '?', 1)"


# A receiver that is slow, or that came back after a day with a backlog, is served in turns with
# all others: the host with the fewest posts under way comes first, and none has more than so many.
_DUE = f"""
WITH busy AS (
    SELECT {_host("url")} AS host, count(*) AS posts FROM delivery
    WHERE url IS NOT NULL AND state IN ('leased', 'begun') AND due_time > now()
    GROUP BY host
)
SELECT delivery.*, job.destination FROM delivery JOIN job ON job.id = delivery.job_id
LEFT JOIN busy ON busy.host = {_host("delivery.url")}
WHERE delivery.url IS NOT NULL AND delivery.state IN ('pending', 'leased', 'begun')
AND delivery.due_time <= now() AND coalesce(busy.posts, 0) < %(most_per_host)s
ORDER BY coalesce(busy.posts, 0), delivery.due_time LIMIT 1
FOR NO KEY UPDATE OF job, delivery SKIP LOCKED
"""

_END_PENDING = """
WITH ended AS (
    UPDATE delivery SET state = 'impossible', report = '{"reason": "HTTP 410"}', update_time = now()
    WHERE caller = %(caller)s AND url = %(url)s AND state = 'pending'
    RETURNING job_id, kind, try_number
)
INSERT INTO job_event (job_id, time, kind, state, detail)
SELECT job.id, clock_timestamp(), 'delivery_impossible', job.state,
       jsonb_build_object('kind', ended.kind, 'try', ended.try_number, 'reason', 'HTTP 410')
FROM ended JOIN job ON job.id = ended.job_id
"""
