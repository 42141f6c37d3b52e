"""Jobs and their events on PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.delivery import Destination
from generation_svc.domain.error import JobNotFound
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import Job
from generation_svc.domain.job_filter import EVERY_JOB, JobFilter
from generation_svc.domain.transition import sources
from generation_svc.storage import document
from generation_svc.storage.attempt_row import ATTEMPT_COLUMNS, attempt_from_row
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.job_page import page_statement
from generation_svc.storage.job_row import job_from_row, mutable_columns
from generation_svc.storage.kept_result import KEPT_COLUMN


class PostgresJobStore:
    """The `JobStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._destinations: dict[UUID, Destination | None] = {}
        """Those of the jobs that were locked: a destination never changes."""

    async def get(self, job_id: UUID, *, caller: str | None = None) -> Job | None:
        cursor = await self._connection.execute(
            # The cast: PostgreSQL cannot infer the type of a parameter from IS NULL.
            "SELECT * FROM job WHERE id = %(id)s"
            " AND (%(caller)s::text IS NULL OR caller = %(caller)s)",
            {"id": job_id, "caller": caller},
        )
        row = await cursor.fetchone()
        return job_from_row(row) if row else None

    async def get_all(self, job_ids: Sequence[UUID]) -> Mapping[UUID, Job]:
        cursor = await self._connection.execute(
            f"SELECT *, {KEPT_COLUMN} FROM job WHERE id = ANY(%s)", (list(job_ids),)
        )
        return {row["id"]: job_from_row(row) for row in await cursor.fetchall()}

    async def lock(self, job_id: UUID) -> Job:
        cursor = await self._connection.execute(
            # Not FOR UPDATE: a new row that refers to the job takes FOR KEY SHARE of it, and would
            # wait.
            "SELECT * FROM job WHERE id = %s FOR NO KEY UPDATE",
            (job_id,),
        )
        row = await cursor.fetchone()
        if row is None:
            raise JobNotFound(str(job_id))  # it was forgotten since it was found
        self._destinations[job_id] = _destination(row)
        return job_from_row(row)

    async def lock_with_attempt(self, attempt_id: UUID) -> tuple[Job, Attempt]:
        cursor = await self._connection.execute(_LOCK_WITH_ATTEMPT, {"id": attempt_id})
        row = await cursor.fetchone()
        if row is None:
            raise JobNotFound(f"the job of attempt {attempt_id}")  # it was forgotten
        self._destinations[row["id"]] = _destination(row)
        return job_from_row(row), attempt_from_row(row, prefix=_PREFIX)

    async def save(
        self, job: Job, *, event: JobEventKind, detail: Mapping[str, Any] | None = None
    ) -> None:
        saved = await self._connection.execute(
            _SAVE,
            {
                **mutable_columns(job),
                "id": job.id,
                "sources": sorted(sources(job.state)),
                "event": event,
                "snapshot": Jsonb(document.snapshot_of(job)),
                "detail": Jsonb(detail or {}),
            },
        )
        # The row is locked and its transition was checked, so this is a fault of ours. A lost
        # revision must not pass in silence.
        if saved.rowcount != 1:
            raise RuntimeError(f"job {job.id} is not at the revision before {job.revision}")

    async def note(
        self, job_id: UUID, *, event: JobEventKind, detail: Mapping[str, Any] | None = None
    ) -> None:
        await self._connection.execute(
            # clock_timestamp() and not now(), which is the same for all events of a transaction.
            "INSERT INTO job_event (job_id, time, kind, state, detail)"
            " SELECT id, clock_timestamp(), %s, state, %s FROM job WHERE id = %s",
            (event, Jsonb(detail or {}), job_id),
        )

    async def revisions_of(self, job_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        cursor = await self._connection.execute(
            "SELECT id, revision FROM job WHERE id = ANY(%s)", (list(job_ids),)
        )
        return {row["id"]: row["revision"] for row in await cursor.fetchall()}

    async def revisions(self, job: Job, *, after: int, limit: int) -> Sequence[Job]:
        cursor = await self._connection.execute(
            "SELECT snapshot FROM job_event WHERE job_id = %s AND revision > %s"
            " ORDER BY revision LIMIT %s",
            (job.id, after, limit),
        )
        rows = await cursor.fetchall()
        # A snapshot has what a revision may change; everything else of a job never changes.
        bare = replace(job, forecast=None)
        return [replace(bare, **document.changes_from_snapshot(row["snapshot"])) for row in rows]

    async def page(
        self,
        *,
        caller: str | None,
        owner: str | None,
        job_filter: JobFilter = EVERY_JOB,
        before: UUID | None,
        limit: int,
    ) -> Sequence[Job]:
        statement, values = page_statement(
            caller=caller, owner=owner, job_filter=job_filter, before=before, limit=limit
        )
        cursor = await self._connection.execute(statement, values)
        return [job_from_row(row) for row in await cursor.fetchall()]

    async def destination(self, job_id: UUID) -> Destination | None:
        if job_id not in self._destinations:
            cursor = await self._connection.execute(
                "SELECT destination FROM job WHERE id = %s", (job_id,)
            )
            row = await cursor.fetchone()
            self._destinations[job_id] = _destination(row) if row else None
        return self._destinations[job_id]


# One statement, so that no revision is ever without its event. The casts: PostgreSQL would infer
# two types for a parameter that is used in two places.
_SAVE = """
WITH saved AS (
    UPDATE job SET state = %(state)s::text, revision = %(revision)s::bigint,
        update_time = %(update_time)s, finish_deadline_time = %(finish_deadline_time)s,
        delay_reason = %(delay_reason)s, further_delay_reason = %(further_delay_reason)s,
        delay_until_time = %(delay_until_time)s, charged_credits = %(charged_credits)s,
        result = %(result)s, failure = %(failure)s,
        dispatch_time = CASE WHEN %(state)s::text = 'queued' THEN dispatch_time END,
        claim_token = CASE WHEN %(state)s::text = 'queued' THEN claim_token END
    WHERE id = %(id)s AND revision = %(revision)s::bigint - 1 AND state = ANY(%(sources)s)
    RETURNING id)
INSERT INTO job_event (job_id, time, kind, state, revision, snapshot, detail)
SELECT id, clock_timestamp(), %(event)s, %(state)s::text, %(revision)s::bigint, %(snapshot)s,
    %(detail)s FROM saved
"""
_PREFIX = "attempt."
# LATERAL and the reference to the job's row: so the job is locked before the attempt is looked at.
# Neither is as the statement's snapshot has it: whoever waits for a lock gets the latest row.
_LOCK_WITH_ATTEMPT = f"""
WITH held AS MATERIALIZED (
    SELECT * FROM job WHERE id = (SELECT job_id FROM attempt WHERE id = %(id)s)
    FOR NO KEY UPDATE)
SELECT held.*, {", ".join(f'own.{name} AS "{_PREFIX}{name}"' for name in ATTEMPT_COLUMNS)}
FROM held, LATERAL (
    SELECT * FROM attempt WHERE id = %(id)s AND job_id = held.id FOR NO KEY UPDATE) AS own
"""


def _destination(row: Row) -> Destination | None:
    found = row["destination"]
    return document.destination_from_document(found) if found else None
