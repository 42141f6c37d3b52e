"""Jobs, their request keys and their events on PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from generation_svc.domain.delivery import Destination
from generation_svc.domain.fair_queue import FairQueue
from generation_svc.domain.job import DelayReason, Job
from generation_svc.domain.port.job import Claim, RequestKey
from generation_svc.domain.transition import sources
from generation_svc.storage import document
from generation_svc.storage.connection import Connection
from generation_svc.storage.job_row import immutable_columns, job_from_row, mutable_columns

CLAIM_LOCK = 0x434C_4149
"""Claims take turns, so that the count of active tasks and the fair order are exact."""
SOON = timedelta(seconds=5)
"""How long a claim usually takes, at most, to become an attempt; who is due within it is next."""
UNKNOWN_COUNTS_FOR = timedelta(minutes=10)
"""How long an attempt of unknown fate counts as a task: were it for ever, they would use all up."""
OWNER_LOCK = 0x4F57_4E45
"""The class of the advisory locks under which the jobs of one owner are counted."""


class PostgresJobStore:
    """The `JobStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, job: Job, *, destination: Destination | None) -> int:
        """Write a new job, due at once, with its first event; return its turn.

        Its owner's jobs were counted in this transaction, so none of them gets the same turn.
        """
        values = {
            **immutable_columns(job),
            **mutable_columns(job),
            "destination": Jsonb(document.destination_to_document(destination))
            if destination
            else None,
        }
        columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
        cursor = await self._connection.execute(
            f"INSERT INTO job ({columns}, dispatch_time, turn)"
            f" VALUES ({places}, now(), {_NEXT_TURN}) RETURNING turn",
            values,
        )
        row = await cursor.fetchone()
        assert row is not None  # it was inserted
        await self._add_event(job, event="accepted", detail={}, has_revision=True)
        return int(row["turn"])

    async def remember_request(self, key: RequestKey, *, job_id: UUID) -> tuple[UUID, bytes] | None:
        """Bind a request key to a job; return the job id and hash of an earlier binding.

        A second transaction with the same key waits here until the first one has ended.
        """
        bound = await self._connection.execute(
            "INSERT INTO request_key (caller, request_id, content_hash, job_id, create_time)"
            " VALUES (%s, %s, %s, %s, now()) ON CONFLICT DO NOTHING",
            (key.caller, key.request_id, key.content_hash, job_id),
        )
        return (
            None if bound.rowcount else await self.find_request(key.request_id, caller=key.caller)
        )

    async def find_request(self, request_id: str, *, caller: str) -> tuple[UUID, bytes] | None:
        """Return the job id and hash of an earlier binding."""
        cursor = await self._connection.execute(
            "SELECT job_id, content_hash FROM request_key WHERE caller = %s AND request_id = %s",
            (caller, request_id),
        )
        row = await cursor.fetchone()
        return (row["job_id"], row["content_hash"]) if row else None

    async def forget_requests(self, *, older_than: timedelta, limit: int) -> int:
        """Remove bindings past their time; return how many."""
        forgotten = await self._connection.execute(
            "DELETE FROM request_key WHERE (caller, request_id) IN (SELECT caller, request_id"
            " FROM request_key WHERE create_time <= now() - %s::interval LIMIT %s"
            " FOR UPDATE SKIP LOCKED)",
            (older_than, limit),
        )
        return forgotten.rowcount

    async def get(self, job_id: UUID, *, caller: str | None = None) -> Job | None:
        """Read a job; of this caller only, if one is given."""
        cursor = await self._connection.execute(
            "SELECT * FROM job WHERE id = %(id)s"
            " AND (%(caller)s::text IS NULL OR caller = %(caller)s)",
            {"id": job_id, "caller": caller},
        )
        row = await cursor.fetchone()
        return job_from_row(row) if row else None

    async def lock(self, job_id: UUID) -> Job:
        """Read a job and lock its row until the transaction ends."""
        cursor = await self._connection.execute(
            "SELECT * FROM job WHERE id = %s FOR NO KEY UPDATE", (job_id,)
        )
        row = await cursor.fetchone()
        assert row is not None  # jobs are never deleted while something refers to them
        return job_from_row(row)

    async def save(self, job: Job, *, event: str, detail: Mapping[str, Any] | None = None) -> None:
        """Write the next revision of a locked job, its event and its snapshot."""
        changed = await self._connection.execute(
            "UPDATE job SET state = %(state)s::text, revision = %(revision)s::bigint,"
            " update_time = %(update_time)s, finish_deadline_time = %(finish_deadline_time)s,"
            " delay_reason = %(delay_reason)s, further_delay_reason = %(further_delay_reason)s,"
            " delay_until_time = %(delay_until_time)s, result = %(result)s, failure = %(failure)s,"
            " dispatch_time = CASE WHEN %(state)s::text = 'queued' THEN dispatch_time END,"
            " claim_token = CASE WHEN %(state)s::text = 'queued' THEN claim_token END"
            " WHERE id = %(id)s AND revision = %(revision)s::bigint - 1"
            " AND state = ANY(%(sources)s)",
            {**mutable_columns(job), "id": job.id, "sources": sorted(sources(job.state))},
        )
        if changed.rowcount != 1:
            raise RuntimeError(f"job {job.id} is not at the revision before {job.revision}")
        await self._add_event(job, event=event, detail=detail or {}, has_revision=True)

    async def note(
        self, job_id: UUID, *, event: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Write an event that takes no revision."""
        await self._connection.execute(
            "INSERT INTO job_event (job_id, time, kind, state, detail)"
            " SELECT id, clock_timestamp(), %s, state, %s FROM job WHERE id = %s",
            (event, Jsonb(detail or {}), job_id),
        )

    async def revisions_of(self, job_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """Read at which revision each of these jobs is."""
        cursor = await self._connection.execute(
            "SELECT id, revision FROM job WHERE id = ANY(%s)", (list(job_ids),)
        )
        return {row["id"]: row["revision"] for row in await cursor.fetchall()}

    async def revisions(self, job_id: UUID, *, after: int, limit: int) -> Sequence[Job]:
        """Read the revisions after `after`, in order."""
        job = await self.get(job_id)
        if job is None or job.revision <= after:
            return ()
        cursor = await self._connection.execute(
            "SELECT snapshot FROM job_event WHERE job_id = %s AND revision > %s"
            " ORDER BY revision LIMIT %s",
            (job_id, after, limit),
        )
        rows = await cursor.fetchall()
        return [replace(job, **document.changes_from_snapshot(row["snapshot"])) for row in rows]

    async def page(
        self, *, caller: str | None, owner: str | None, before: UUID | None, limit: int
    ) -> Sequence[Job]:
        """Read jobs of this caller, of everybody for None, newest first, older than `before`.

        Ids of version 7 are in order of time.
        """
        cursor = await self._connection.execute(
            "SELECT * FROM job WHERE (%(caller)s::text IS NULL OR caller = %(caller)s)"
            " AND (%(owner)s::text IS NULL OR owner = %(owner)s)"
            " AND (%(before)s::uuid IS NULL OR id < %(before)s)"
            " ORDER BY id DESC LIMIT %(limit)s",
            {"caller": caller, "owner": owner, "before": before, "limit": limit},
        )
        return [job_from_row(row) for row in await cursor.fetchall()]

    async def count_active(self, owner: str, *, caller: str) -> int:
        """Count the unfinished jobs of an owner; counts and inserts of one owner take turns."""
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (OWNER_LOCK, f"{caller}/{owner}")
        )
        cursor = await self._connection.execute(
            "SELECT count(*) AS active FROM job"
            " WHERE caller = %s AND owner = %s AND state IN ('queued', 'running')",
            (caller, owner),
        )
        row = await cursor.fetchone()
        return row["active"] if row else 0

    async def destination(self, job_id: UUID) -> Destination | None:
        """Read where the outcome goes."""
        cursor = await self._connection.execute(
            "SELECT destination FROM job WHERE id = %s AND destination IS NOT NULL", (job_id,)
        )
        row = await cursor.fetchone()
        return document.destination_from_document(row["destination"]) if row else None

    async def count_claims(self, *, lease: timedelta) -> int:
        """Count the claims that will soon take a call; other claims wait for this transaction.

        An older one is stuck handing over its picture, and keeps no call from others.
        """
        await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (CLAIM_LOCK,))
        cursor = await self._connection.execute(
            f"SELECT count(*) AS claims FROM job WHERE {_IS_CLAIMED}"
            " AND dispatch_time > now() + %(lease)s - %(soon)s::interval",
            {"lease": lease, "soon": SOON},
        )
        row = await cursor.fetchone()
        return row["claims"] if row else 0

    async def claim(self, *, lease: timedelta, most_active: int) -> Claim | None:
        """Claim the due job whose turn it is, unless `most_active` tasks are at the provider.

        A job with an attempt of unknown fate is due again only after its grace.
        """
        await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (CLAIM_LOCK,))
        cursor = await self._connection.execute(
            _CLAIM,
            {
                "lease": lease,
                "token": uuid4(),
                "most_active": most_active,
                "doubt": UNKNOWN_COUNTS_FOR,
            },
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        return Claim(
            job=job_from_row(row),
            token=row["claim_token"],
            attempts=row["attempts"],
            is_trial=row["is_off"],
        )

    async def release(self, claim: Claim, *, due: timedelta) -> None:
        """Give a claim back; the job is due again after a while."""
        await self._connection.execute(
            "UPDATE job SET dispatch_time = now() + %s, claim_token = NULL"
            " WHERE id = %s AND state = 'queued' AND claim_token = %s",
            (due, claim.job.id, claim.token),
        )

    async def hasten_postponed(self) -> None:
        """Make every queued job due that waits for nothing but its next try.

        A row that somebody works on is skipped: this waits for no lock.
        """
        await self._connection.execute(
            "UPDATE job SET dispatch_time = now() WHERE id IN (SELECT id FROM job"
            " WHERE state = 'queued' AND claim_token IS NULL AND dispatch_time > now()"
            " AND NOT EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id"
            " AND attempt.state IN ('submitting', 'unknown')) FOR UPDATE SKIP LOCKED)"
        )

    async def hold_claim(self, claim: Claim) -> Job | None:
        """Lock the job if it is still queued and the claim is still ours."""
        cursor = await self._connection.execute(
            "SELECT * FROM job WHERE id = %s AND state = 'queued' AND claim_token = %s"
            " AND dispatch_time > now() FOR NO KEY UPDATE",
            (claim.job.id, claim.token),
        )
        row = await cursor.fetchone()
        return job_from_row(row) if row else None

    async def line(self) -> FairQueue:
        """Read the queue in its fair order; who is postponed for long stands before nobody."""
        cursor = await self._connection.execute(_LINE, {"soon": SOON}, binary=True)
        entries = await cursor.fetchone()
        cursor = await self._connection.execute(
            "SELECT caller, count(*) AS jobs FROM job WHERE state = 'queued' GROUP BY caller"
        )
        lengths = {row["caller"]: row["jobs"] for row in await cursor.fetchall()}
        return FairQueue((entries and entries["line"]) or b"", lengths)

    async def overdue_to_start(self, *, limit: int) -> Sequence[UUID]:
        """Find queued jobs past their start deadline."""
        cursor = await self._connection.execute(
            "SELECT id FROM job WHERE state = 'queued' AND start_deadline_time <= now() LIMIT %s",
            (limit,),
        )
        return [row["id"] for row in await cursor.fetchall()]

    async def mislabelled(self, reason: DelayReason | None, *, limit: int) -> Sequence[UUID]:
        """Find queued jobs whose delay reason is not the breaker's."""
        cursor = await self._connection.execute(
            "SELECT id FROM job WHERE state = 'queued'"
            " AND delay_reason IS DISTINCT FROM %(reason)s::text"
            " AND (delay_reason IS NULL OR delay_reason IN"
            " ('provider_unreachable', 'provider_maintenance', 'provider_account'))"
            " LIMIT %(limit)s",
            {"reason": reason, "limit": limit},
        )
        return [row["id"] for row in await cursor.fetchall()]

    async def _add_event(
        self, job: Job, *, event: str, detail: Mapping[str, Any], has_revision: bool
    ) -> None:
        snapshot = Jsonb(document.snapshot_of(job)) if has_revision else None
        await self._connection.execute(
            "INSERT INTO job_event (job_id, time, kind, state, revision, snapshot, detail)"
            " VALUES (%s, clock_timestamp(), %s, %s, %s, %s, %s)",
            (job.id, event, job.state, job.revision, snapshot, Jsonb(detail)),
        )


# The round under way is the last one of which the provider took a job: it never goes back, or a job
# of an old round that is due again would let everybody new pass those who wait in line.
_NEXT_TURN = """
greatest(
    coalesce((SELECT max(turn) FROM job WHERE finish_deadline_time IS NOT NULL), 0),
    (SELECT max(turn) + 1 FROM job WHERE caller = %(caller)s::varchar AND owner = %(owner)s::varchar
     AND state IN ('queued', 'running')))
"""
_IS_CLAIMED = """
    state = 'queued' AND claim_token IS NOT NULL AND dispatch_time > now()
    AND NOT EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id
                    AND attempt.state IN ('submitting', 'unknown', 'accepted'))
"""
_CLAIM = f"""
WITH active AS (
    SELECT FROM attempt
    WHERE attempt.state IN ('submitting', 'accepted')
       OR attempt.state = 'unknown' AND attempt.submit_time > now() - %(doubt)s::interval
  UNION ALL
    SELECT FROM job WHERE {_IS_CLAIMED}
), chosen AS (
    SELECT id FROM job
    WHERE state = 'queued' AND dispatch_time <= now() AND start_deadline_time > now()
      AND (SELECT count(*) FROM active) < %(most_active)s
    ORDER BY turn, id
    LIMIT 1
)
UPDATE job SET dispatch_time = now() + %(lease)s, claim_token = %(token)s
WHERE id = (SELECT id FROM chosen) AND state = 'queued' AND dispatch_time <= now()
RETURNING job.*, (SELECT count(*) FROM attempt WHERE attempt.job_id = job.id
                  AND attempt.state <> 'refused') AS attempts,
          EXISTS (SELECT FROM model_outage WHERE model_outage.model_id = job.model_id) AS is_off
"""
_LINE = """
SELECT string_agg(int8send(turn) || uuid_send(id), '') AS line
FROM (SELECT turn, id FROM job WHERE state = 'queued'
        AND (claim_token IS NOT NULL OR dispatch_time <= now() + %(soon)s::interval)
      ORDER BY turn, id) AS queued
"""
