"""Jobs and their events on PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from generation_svc.domain.delivery import Destination
from generation_svc.domain.error import JobNotFound
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import Job
from generation_svc.domain.job_filter import EVERY_JOB, JobFilter
from generation_svc.domain.transition import sources
from generation_svc.storage import document
from generation_svc.storage.connection import Connection
from generation_svc.storage.job_page import page_statement
from generation_svc.storage.job_row import job_from_row, mutable_columns


class PostgresJobStore:
    """The `JobStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, job_id: UUID, *, caller: str | None = None) -> Job | None:
        cursor = await self._connection.execute(
            # The cast: PostgreSQL cannot infer the type of a parameter from IS NULL.
            "SELECT * FROM job WHERE id = %(id)s"
            " AND (%(caller)s::text IS NULL OR caller = %(caller)s)",
            {"id": job_id, "caller": caller},
        )
        row = await cursor.fetchone()
        return job_from_row(row) if row else None

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
        return job_from_row(row)

    async def save(
        self, job: Job, *, event: JobEventKind, detail: Mapping[str, Any] | None = None
    ) -> None:
        changed = await self._connection.execute(
            # The casts: PostgreSQL would infer two types for a parameter that is used in two
            # places.
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
        # The row is locked and its transition was checked, so this is a fault of ours. A lost
        # revision must not pass in silence.
        if changed.rowcount != 1:
            raise RuntimeError(f"job {job.id} is not at the revision before {job.revision}")
        await self._add_event(job, event=event, detail=detail or {}, has_revision=True)

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

    async def revisions(self, job_id: UUID, *, after: int, limit: int) -> Sequence[Job]:
        job = await self.get(job_id)
        if job is None or job.revision <= after:
            return ()
        cursor = await self._connection.execute(
            "SELECT snapshot FROM job_event WHERE job_id = %s AND revision > %s"
            " ORDER BY revision LIMIT %s",
            (job_id, after, limit),
        )
        rows = await cursor.fetchall()
        # A snapshot has what a revision may change; everything else of a job never changes.
        return [replace(job, **document.changes_from_snapshot(row["snapshot"])) for row in rows]

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
        cursor = await self._connection.execute(
            "SELECT destination FROM job WHERE id = %s AND destination IS NOT NULL", (job_id,)
        )
        row = await cursor.fetchone()
        return document.destination_from_document(row["destination"]) if row else None

    async def _add_event(
        self, job: Job, *, event: JobEventKind, detail: Mapping[str, Any], has_revision: bool
    ) -> None:
        snapshot = Jsonb(document.snapshot_of(job)) if has_revision else None
        await self._connection.execute(
            "INSERT INTO job_event (job_id, time, kind, state, revision, snapshot, detail)"
            " VALUES (%s, clock_timestamp(), %s, %s, %s, %s, %s)",
            (job.id, event, job.state, job.revision, snapshot, Jsonb(detail)),
        )
