"""The acceptance of jobs on PostgreSQL: two statements for any number of jobs.

They are sent together. The first one waits: for another transaction that binds the same key, and
for those that count the jobs of the same owners. So it must be one of its own: a statement sees
what was committed when it began, and the second has to count what they waited for. All that
depends on the first is decided by the second, in SQL.

All keys are bound before any owner is locked, and all owners before any wallet, each in one order.
A transaction with one job does the same, so none of them wait for each other in a circle.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from generation_svc.domain.error import Unavailable
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.port.acceptance import (
    Acceptance,
    Accepted,
    Candidate,
    OwnerLimits,
    Refusal,
    Repeated,
    Shortage,
)
from generation_svc.storage import document
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.money.free_job import FREE_JOBS
from generation_svc.storage.money.hold import DECIDED_BY_CREDITS, HELD
from generation_svc.storage.usage_store import OWNER_BYTES

OWNER_LOCK = 0x4F57_4E45
"""The class of the advisory locks under which the jobs of one owner are counted."""


class PostgresAcceptanceStore:
    """The `AcceptanceStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def accept(
        self, candidates: Sequence[Candidate], *, limits: OwnerLimits, progress_due: timedelta
    ) -> Sequence[Acceptance]:
        values = {
            "candidates": _dump(_rows(candidates)),
            "active_jobs": limits.active_jobs,
            "stored_bytes": limits.stored_bytes,
            "daily_free_jobs": limits.daily_free_jobs,
            "progress_due": progress_due,
        }
        statement = _ACCEPT if limits.daily_free_jobs is None else _ACCEPT_WITHIN_ALLOWANCE
        async with self._connection.pipeline():
            await self._connection.execute(_BIND_AND_LOCK, values)
            cursor = await self._connection.execute(statement, values)
        return [_acceptance(row) for row in await cursor.fetchall()]

    async def free_jobs(self, owner: str, *, caller: str, day: datetime) -> int:
        values = {"caller": caller, "owner": owner, "day": day}
        row = await (await self._connection.execute(_FREE_JOBS, values)).fetchone()
        return int(row["number"]) if row else 0


def _acceptance(row: Row) -> Acceptance:
    if row["refusal"] == Refusal.CREDITS:
        return Shortage(row["charge"], row["remaining"])
    if row["refusal"]:
        return Refusal(row["refusal"])
    if row["turn"] is not None:
        return Accepted(row["turn"])
    if row["bound_id"] is None:  # the old binding was forgotten between the two statements
        raise Unavailable("The request was forgotten at this moment; it can be repeated.")
    return Repeated(row["bound_id"], row["bound_hash"])


# Texts, numbers and documents only: each column is read from its text, as a literal would be.
_dump = json.JSONEncoder(separators=(",", ":"), default=str).encode


def _rows(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [_row(each, number=number) for number, each in enumerate(candidates)]


def _row(candidate: Candidate, *, number: int) -> dict[str, Any]:
    job, key, destination = candidate.job, candidate.key, candidate.destination
    charge = candidate.charge
    return {
        "number": number,
        "request_id": key.request_id if key else None,
        "content_hash": f"\\x{key.content_hash.hex()}" if key else None,
        "id": job.id,
        "caller": job.caller,
        "owner": job.owner,
        "model_id": job.model_id,
        "inputs": job.inputs,
        "is_free": job.price.is_free,
        "credits": job.price.credits,
        "is_ceiling": job.price.is_ceiling,
        "quoted_cost": job.price.cost,
        "correlation_id": job.correlation_id,
        "create_time": job.create_time,
        "start_deadline_time": job.start_deadline_time,
        "state": job.state,
        "revision": job.revision,
        "update_time": job.update_time,
        "account": job.account,
        "model_digest": job.model_digest,
        "needs_catalog": job.needs_catalog,
        "destination": document.destination_to_document(destination) if destination else None,
        "snapshot": document.snapshot_of(job),
        "bot_id": candidate.progress.bot_id if candidate.progress else None,
        "payer": charge.payer if charge else None,
        "caller_wallet": candidate.caller_wallet,
        "charge": charge.credits if charge else None,
        "margin": charge.margin if charge else None,
        "promised": charge.promised if charge else None,
        "monthly_limit": charge.monthly_limit if charge else 0,
    }


# An array, since it takes all that was bound before the first lock is taken; a query would be read
# as far as it is needed. Two owners with one hash wait for each other, which costs them time alone.
_BIND_AND_LOCK = f"""
WITH candidate AS (
    SELECT * FROM json_to_recordset(%(candidates)s::json)
        AS c (id uuid, caller text, owner text, request_id text, content_hash bytea, payer text)
), bound AS (
    INSERT INTO request_key (caller, request_id, content_hash, job_id, create_time)
    SELECT caller, request_id, content_hash, id, now() FROM candidate
    WHERE request_id IS NOT NULL ORDER BY caller, request_id
    ON CONFLICT DO NOTHING RETURNING job_id
), fresh AS (
    SELECT caller, owner, payer FROM candidate
    WHERE request_id IS NULL OR id = ANY (ARRAY(SELECT job_id FROM bound))
), locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock({OWNER_LOCK}, owner.lock) FROM (
        SELECT DISTINCT hashtext(caller || '/' || owner) AS lock FROM fresh ORDER BY lock
    ) AS owner
)
SELECT FROM wallet
WHERE (SELECT count(*) FROM locked) > 0 AND owner = ANY (ARRAY(SELECT payer FROM fresh))
ORDER BY owner FOR NO KEY UPDATE
"""

# The round under way is the last one of which the provider took a job: it never goes back, or a job
# of an old round that is due again would let everybody new pass those who wait in line. The jobs of
# one owner get the rounds after each other, in which they came. Refused ones leave no key behind;
# it was written by this transaction, so its row stays where it is. LATERAL and LIMIT, since a plan
# that was made for an empty table must not read a large one from its beginning to its end.
_CANDIDATES = f"""
WITH candidate AS (
    SELECT c.*, key.job_id AS bound_id, key.content_hash AS bound_hash, key.row AS bound_row
    FROM json_to_recordset(%(candidates)s::json) AS c (
        number int, request_id text, id uuid, caller text, owner text, model_id text, inputs jsonb,
        is_free boolean, credits numeric, is_ceiling boolean, quoted_cost numeric,
        correlation_id text, create_time timestamptz,
        start_deadline_time timestamptz, state text, revision bigint, update_time timestamptz,
        account text, destination jsonb, snapshot jsonb, bot_id bigint, model_digest text,
        needs_catalog boolean, payer text, charge bigint, margin numeric, promised int,
        monthly_limit bigint, caller_wallet text)
    LEFT JOIN LATERAL (
        SELECT job_id, content_hash, ctid AS row FROM request_key
        WHERE request_key.caller = c.caller AND request_key.request_id = c.request_id LIMIT 1
    ) AS key ON true
), owner AS (
    SELECT owner.*, jobs.*, is_blocked,
        {OWNER_BYTES.format(caller="owner.caller", owner="owner.owner")} AS used
    FROM (SELECT DISTINCT caller, owner FROM candidate) AS owner, LATERAL (
        SELECT count(*) AS active, max(job.turn) + 1 AS next_round FROM job
        WHERE job.caller = owner.caller AND job.owner = owner.owner
        AND job.state IN ('queued', 'running')) AS jobs, LATERAL (
        SELECT count(*) > 0 AS is_blocked FROM wallet
        WHERE wallet.owner = owner.owner AND wallet.is_blocked) AS wallet
), """


def _judged(*, free_turn: str = "", free_barrier: str = "") -> str:
    """Return what decides on all but credits, as it stands between the candidates and the rest."""
    return f"""numbered AS (
    SELECT candidate.*, owner.active, owner.next_round, owner.used, owner.is_blocked,
        row_number() OVER (PARTITION BY owner.caller, owner.owner ORDER BY number) AS ordinal
        {free_turn}
    FROM candidate JOIN owner ON owner.caller = candidate.caller AND owner.owner = candidate.owner
    WHERE request_id IS NULL OR bound_id = candidate.id
), judged AS (
    SELECT numbered.*, CASE
            WHEN is_blocked THEN '{Refusal.OWNER_BLOCKED}'
            WHEN EXISTS (SELECT FROM wallet
                WHERE wallet.owner = coalesce(payer, caller_wallet) AND wallet.is_blocked)
                THEN '{Refusal.PAYER_BLOCKED}'
            WHEN active + ordinal > %(active_jobs)s THEN '{Refusal.ACTIVE_JOBS}'
            WHEN used >= %(stored_bytes)s THEN '{Refusal.STORED_BYTES}'
            {free_barrier} END AS barrier,
        ordinal - 1 + greatest(next_round, coalesce(
            (SELECT max(turn) FROM job WHERE finish_deadline_time IS NOT NULL), 0)) AS turn
    FROM numbered
)"""


_WRITTEN = f""", {DECIDED_BY_CREDITS}, inserted AS (
    INSERT INTO job (id, caller, owner, model_id, inputs, is_free, credits, is_ceiling,
        quoted_cost, correlation_id, create_time, start_deadline_time, state, revision,
        update_time, account, destination,
        dispatch_time, turn, model_digest, needs_catalog)
    SELECT id, caller, owner, model_id, inputs, is_free, credits, is_ceiling,
        quoted_cost, correlation_id, create_time, start_deadline_time, state, revision,
        update_time, account, destination,
        now(), turn, model_digest, needs_catalog
    FROM decided WHERE refusal IS NULL
), noted AS (
    INSERT INTO job_event (job_id, time, kind, state, revision, snapshot, detail)
    SELECT id, clock_timestamp(), '{JobEventKind.ACCEPTED}', state, revision, snapshot, '{{}}'
    FROM decided WHERE refusal IS NULL
), shown AS (
    INSERT INTO delivery (id, job_id, kind, state, caller, bot_id, due_time,
        try_number, maybe_sent, is_stale, create_time, update_time)
    SELECT gen_random_uuid(), id, 'progress', 'pending', caller, bot_id, now() + %(progress_due)s,
        0, false, false, now(), now()
    FROM decided WHERE refusal IS NULL AND bot_id IS NOT NULL
), {HELD}, released AS (
    DELETE FROM request_key
    WHERE ctid = ANY (ARRAY(SELECT bound_row FROM decided WHERE refusal IS NOT NULL))
)
SELECT decided.turn, decided.refusal, decided.charge, decided.remaining, candidate.bound_id,
    candidate.bound_hash
FROM candidate LEFT JOIN decided ON decided.number = candidate.number
ORDER BY candidate.number
"""

_ACCEPT = _CANDIDATES + _judged() + _WRITTEN

# A job counts for the day of its own time, not of the transaction's: so no day has too many,
# also of jobs that are made just before midnight and accepted after it. Last of the barriers, for
# what another one keeps back takes nothing of the allowance, and so do all behind it.
_DAY = "date_trunc('day', candidate.create_time, 'UTC')"
_OF_OWNER = FREE_JOBS.format(caller="candidate.caller", owner="candidate.owner", day=_DAY)
_FREE_TURN = f""", CASE WHEN is_free THEN row_number() OVER (
            PARTITION BY owner.caller, owner.owner, is_free, {_DAY} ORDER BY number)
            + (SELECT count(*) FROM ({_OF_OWNER} LIMIT %(daily_free_jobs)s) AS job)
        END AS free_turn"""
_FREE_BARRIER = f"WHEN free_turn > %(daily_free_jobs)s THEN '{Refusal.FREE_ALLOWANCE}'"
_ACCEPT_WITHIN_ALLOWANCE = (
    _CANDIDATES + _judged(free_turn=_FREE_TURN, free_barrier=_FREE_BARRIER) + _WRITTEN
)
_FREE_JOBS = "SELECT count(*) AS number FROM ({}) AS job".format(
    FREE_JOBS.format(caller="%(caller)s", owner="%(owner)s", day="%(day)s::timestamptz")
)
