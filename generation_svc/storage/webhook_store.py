"""Webhooks on PostgreSQL: which is posted next, and which are disabled."""

from collections.abc import Sequence
from datetime import timedelta

from generation_svc.domain.delivery import Delivery
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.port.webhook import WebhookAnswer
from generation_svc.domain.webhook import WebhookAttempt, WebhookEndpoint
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.delivery_store import PostgresDeliveryStore
from generation_svc.storage.due_store import not_past
from generation_svc.storage.job_store import PostgresJobStore

TURN_LOCK = 0x5745_4248
"""Leases take turns, so that the count of what is under way to a host is exact."""
MAX_PROBLEM_LENGTH = 200


class PostgresWebhookStore:
    """The `WebhookStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begin(self, *, span: timedelta, most_per_host: int) -> Delivery | None:
        # Row locks cannot keep a count true: others may lease further rows of the same host.
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

    async def next_due(self) -> timedelta | None:
        cursor = await self._connection.execute(
            "SELECT min(due_time) - now() AS due FROM delivery"
            " WHERE url IS NOT NULL AND state IN ('pending', 'leased', 'begun')"
        )
        row = await cursor.fetchone()
        return not_past(row["due"]) if row else None

    async def disable(self, url: str, *, caller: str, reason: str) -> None:
        values = {"url": url, "caller": caller, "reason": reason}
        await self._connection.execute(_DISABLE, values)
        await self._connection.execute(
            _END_PENDING, {**values, "event": JobEventKind.DELIVERY_IMPOSSIBLE}
        )

    async def enable(self, url: str, *, caller: str) -> WebhookEndpoint | None:
        cursor = await self._connection.execute(
            "UPDATE webhook_endpoint SET disable_time = NULL, disable_reason = '',"
            " failures_in_a_row = 0 WHERE caller = %s AND url = %s RETURNING *",
            (caller, url),
        )
        row = await cursor.fetchone()
        return _endpoint_from_row(row) if row else None

    async def note(self, url: str, *, caller: str, answer: WebhookAnswer) -> None:
        taken = int(200 <= answer.status < 300)
        await self._connection.execute(
            _NOTE,
            {
                "url": url,
                "caller": caller,
                "status": answer.status,
                "problem": answer.problem[:MAX_PROBLEM_LENGTH],
                "taken": taken,
                "failed": 1 - taken,
            },
        )

    async def page(
        self, *, caller: str, is_disabled: bool | None, after: str, limit: int
    ) -> Sequence[WebhookEndpoint]:
        cursor = await self._connection.execute(
            "SELECT * FROM webhook_endpoint WHERE caller = %(caller)s AND url > %(after)s"
            " AND (%(is_disabled)s::bool IS NULL"
            " OR (disable_time IS NOT NULL) = %(is_disabled)s)"
            " ORDER BY url LIMIT %(limit)s",
            {"caller": caller, "is_disabled": is_disabled, "after": after, "limit": limit},
        )
        return [_endpoint_from_row(row) for row in await cursor.fetchall()]

    async def forget_idle(self, *, older_than: timedelta, limit: int) -> int:
        forgotten = await self._connection.execute(
            # SKIP LOCKED: an address that is being posted to is not idle any more.
            "DELETE FROM webhook_endpoint WHERE (caller, url) IN (SELECT caller, url"
            " FROM webhook_endpoint WHERE disable_time IS NULL"
            " AND attempt_time <= now() - %s::interval LIMIT %s FOR UPDATE SKIP LOCKED)",
            (older_than, limit),
        )
        return forgotten.rowcount

    async def is_disabled(self, url: str, *, caller: str) -> bool:
        cursor = await self._connection.execute(
            "SELECT FROM webhook_endpoint"
            " WHERE caller = %s AND url = %s AND disable_time IS NOT NULL",
            (caller, url),
        )
        return await cursor.fetchone() is not None


def _endpoint_from_row(row: Row) -> WebhookEndpoint:
    time = row["attempt_time"]
    attempt = WebhookAttempt(time, row["attempt_status"], row["attempt_problem"]) if time else None
    return WebhookEndpoint(
        url=row["url"],
        create_time=row["create_time"],
        disable_time=row["disable_time"],
        disable_reason=row["disable_reason"],
        last_attempt=attempt,
        taken_count=row["taken_count"],
        failure_count=row["failure_count"],
        consecutive_failure_count=row["failures_in_a_row"],
    )


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

_DISABLE = """
INSERT INTO webhook_endpoint AS known (caller, url, disable_time, disable_reason)
VALUES (%(caller)s, %(url)s, now(), %(reason)s)
ON CONFLICT (caller, url) DO UPDATE SET disable_time = now(), disable_reason = %(reason)s
WHERE known.disable_time IS NULL
"""

_NOTE = """
INSERT INTO webhook_endpoint AS known (caller, url, create_time, attempt_time, attempt_status,
    attempt_problem, taken_count, failure_count, failures_in_a_row)
VALUES (%(caller)s, %(url)s, now(), now(), %(status)s, %(problem)s,
        %(taken)s, %(failed)s, %(failed)s)
ON CONFLICT (caller, url) DO UPDATE SET
    attempt_time = now(), attempt_status = %(status)s, attempt_problem = %(problem)s,
    taken_count = known.taken_count + %(taken)s, failure_count = known.failure_count + %(failed)s,
    failures_in_a_row = (known.failures_in_a_row + 1) * %(failed)s
"""

# Deliveries under lease are left alone: the report of their post ends them.
_END_PENDING = """
WITH ended AS (
    UPDATE delivery SET state = 'impossible', update_time = now(),
        report = jsonb_build_object('reason', %(reason)s::text)
    WHERE caller = %(caller)s AND url = %(url)s AND state = 'pending'
    RETURNING job_id, kind, try_number
)
INSERT INTO job_event (job_id, time, kind, state, detail)
SELECT job.id, clock_timestamp(), %(event)s, job.state,
       jsonb_build_object('kind', ended.kind, 'try', ended.try_number, 'reason', %(reason)s::text)
FROM ended JOIN job ON job.id = ended.job_id
"""
