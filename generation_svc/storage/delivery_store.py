"""Deliveries on PostgreSQL.

```
              lease          begin           sent
  pending ──────────▶ leased ──────▶ begun ─────────▶ sent (progress: idle)
     ▲                  │              │ └──────────▶ impossible
     └── lease ran out ─┘              │
     └── lease ran out, unknown: maybe_sent; try again ──┘
```

One delivery of a job is under lease at a time: leasing locks the job's row first and looks again
after that, so a late edit of the progress cannot overwrite a result.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import (
    LONGEST_PAUSE,
    Delivery,
    DeliveryKind,
    Destination,
    Impossible,
    Queue,
    SendingOutcome,
    Sent,
    Telegram,
    TryAgain,
    Unknown,
    Webhook,
)
from generation_svc.domain.error import PauseTooLong, StaleLease
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.identifier import random_id
from generation_svc.domain.job import Job
from generation_svc.storage import document
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.job_row import job_from_row
from runtime.token import new_token, token_hash

GIVE_UP_AFTER = timedelta(days=3)
"""How long a delivery is tried for."""
_EVENTS: Mapping[type[SendingOutcome], JobEventKind] = {
    Sent: JobEventKind.DELIVERY_SENT,
    TryAgain: JobEventKind.DELIVERY_TRY_AGAIN,
    Impossible: JobEventKind.DELIVERY_IMPOSSIBLE,
    Unknown: JobEventKind.DELIVERY_UNKNOWN,
}
"""The event of each way in which a sending ends."""


class PostgresDeliveryStore:
    """The `DeliveryStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(
        self, job: Job, *, kind: DeliveryKind, destination: Destination, due: timedelta
    ) -> None:
        """Make something due for a job; one row per job and kind.

        For a progress row that exists: due again, after its lease if it is under one. An outcome
        is added once; a second time changes nothing.
        """
        values = {
            "id": random_id(),
            "job_id": job.id,
            "kind": kind,
            "is_outcome": kind is DeliveryKind.OUTCOME,
            "caller": job.caller,
            "bot_id": destination.bot_id if isinstance(destination, Telegram) else None,
            "queue": destination.queue if isinstance(destination, Queue) else None,
            "url": destination.url if isinstance(destination, Webhook) else None,
            "due": due,
        }
        await self._connection.execute(_ADD, values)

    async def lease(
        self, *, bot_id: int | None, queue: str | None, caller: str, limit: int, span: timedelta
    ) -> Sequence[Delivery]:
        values = {"bot_id": bot_id, "queue": queue, "caller": caller, "limit": limit}
        cursor = await self._connection.execute(_LOCK_DUE_JOBS, values)
        # Jobs that are locked are skipped, not waited for: their deliveries come with the next
        # lease.
        jobs = {row["id"]: job_from_row(row) for row in await cursor.fetchall()}
        if not jobs:
            return ()
        # A new statement has a new snapshot: what held a job's row until now may have leased from
        # it.
        cursor = await self._connection.execute(_DUE, {**values, "jobs": list(jobs)})
        rows = await cursor.fetchall()
        return [await self.lease_one(row, job=jobs[row["job_id"]], span=span) for row in rows]

    async def begin(
        self, lease_token: str, *, sender: Caller | None = None, span: timedelta | None = None
    ) -> datetime:
        await self._lock_job(lease_token)
        cursor = await self._connection.execute(
            _BEGIN,
            {
                "span": span,
                "hash": token_hash(lease_token),
                "event": JobEventKind.DELIVERY_BEGUN,
                **_courier(sender),
            },
        )
        row = await cursor.fetchone()
        if row is None:
            raise StaleLease
        return row["due_time"]  # type: ignore[no-any-return] # a column of times

    async def give_back(self, lease_token: str) -> None:
        await self._connection.execute(
            # The hash is the guard: whoever leased it since has another one.
            "UPDATE delivery SET state = 'pending', lease_hash = NULL, due_time = now(),"
            " try_number = try_number - 1, update_time = now()"
            " WHERE lease_hash = %s AND state = 'leased'",
            (token_hash(lease_token),),
        )

    async def report(
        self, lease_token: str, outcome: SendingOutcome, *, sender: Caller | None = None
    ) -> None:
        lease = {"hash": token_hash(lease_token), **_courier(sender)}
        row = await self._held(lease, outcome)
        if row is None:
            await self._check_repetition(lease)
            return
        if row["is_too_late"]:
            raise PauseTooLong(most=LONGEST_PAUSE)
        changes = _changes_after(row, outcome)
        await self._connection.execute(
            _REPORT,
            {
                "id": row["id"],
                "not_before": None,
                "message_id": None,
                "event": _EVENTS[type(outcome)],
                "detail": Jsonb(
                    {"kind": row["kind"], "try": row["try_number"], **changes["report"].obj}
                ),
                **changes,
            },
        )
        # Both deliveries of the job are behind its lock, so the progress cannot be leased in
        # between.
        if row["kind"] == "outcome":
            await self._free_progress(row, outcome, state=changes["state"])

    async def _lock_job(self, lease_token: str) -> None:
        """Lock the job before its delivery, so that its events are in order, as by anyone else."""
        await self._connection.execute(
            "SELECT FROM job WHERE id = (SELECT job_id FROM delivery WHERE lease_hash = %s)"
            " FOR NO KEY UPDATE",
            (token_hash(lease_token),),
        )

    async def _held(self, lease: dict[str, Any], outcome: SendingOutcome) -> Row | None:
        """Lock what is under a lease, and tell its age and whether the pause is too long for it."""
        not_before = outcome.not_before_time if isinstance(outcome, TryAgain) else None
        times = {"age": GIVE_UP_AFTER, "pause": LONGEST_PAUSE, "not_before": not_before}
        cursor = await self._connection.execute(_HOLD, {**times, **lease})
        return await cursor.fetchone()

    async def _check_repetition(self, lease: dict[str, Any]) -> None:
        """A report whose answer was lost comes again, and changes nothing the second time."""
        cursor = await self._connection.execute(
            f"SELECT FROM delivery WHERE reported_hash = %(hash)s AND {_OF_COURIER}", lease
        )
        if await cursor.fetchone() is None:
            raise StaleLease

    async def lease_one(self, row: Row, *, job: Job, span: timedelta) -> Delivery:
        """Lease the delivery of a row that this transaction holds, with its job's destination."""
        token = new_token()
        cursor = await self._connection.execute(
            # A lease that ran out after Begin may have been sent. Progress needs no such mark: it
            # is an edit, which can be repeated.
            "UPDATE delivery SET state = 'leased', lease_hash = %(hash)s, is_stale = false,"
            " maybe_sent = maybe_sent OR (state = 'begun' AND kind = 'outcome'),"
            " due_time = now() + %(span)s, try_number = try_number + 1, update_time = now()"
            " WHERE id = %(id)s RETURNING *",
            {"hash": token_hash(token), "span": span, "id": row["id"]},
        )
        leased = await cursor.fetchone()
        assert leased is not None  # it, or its job, is locked by this transaction
        return Delivery(
            id=leased["id"],
            kind=DeliveryKind(leased["kind"]),
            job=job,
            destination=document.destination_from_document(row["destination"]),
            lease_token=token,
            lease_expire_time=leased["due_time"],
            maybe_sent=leased["maybe_sent"],
            try_number=leased["try_number"],
        )

    async def _free_progress(self, row: Row, outcome: SendingOutcome, *, state: str) -> None:
        """Settle what becomes of the progress message once the outcome is over.

        Where an outcome that may have come can come no more, the message may be the outcome.
        """
        if isinstance(outcome, Sent):
            await self._finish_progress(row, is_overwritten=outcome.is_edit)
        elif state == "impossible" and row["maybe_sent"]:
            await self._finish_progress(row, is_overwritten=True)

    async def _finish_progress(self, row: Row, *, is_overwritten: bool) -> None:
        """Let the progress message say that the outcome came, unless it is the outcome itself.

        Whoever held a lease on it that ran out has lost it: the message is not theirs any more.
        """
        await self._connection.execute(
            "UPDATE delivery SET state = %s, lease_hash = NULL, is_stale = false,"
            " due_time = now(), update_time = now()"
            " WHERE job_id = %s AND kind = 'progress' AND state <> 'impossible'",
            ("sent" if is_overwritten else "pending", row["job_id"]),
        )


def _changes_after(row: Row, outcome: SendingOutcome) -> dict[str, Any]:
    """Return the new state, what to remember, and when to try again."""
    match outcome:
        case Sent(message_id=message_id, is_edit=is_edit):
            report = {"message_id": message_id, "is_edit": is_edit}
            state = "sent" if row["kind"] == "outcome" else "idle"
            return _changes(state, report, message_id=message_id)
        case TryAgain(not_before_time=not_before, reason=reason) if not row["is_old"]:
            told = {"reason": reason} if reason else {}
            return _changes("pending", told, not_before=not_before)
        case Unknown() if not row["is_old"]:
            return _changes("pending", {}, maybe_sent=row["kind"] == "outcome")
        case Impossible(reason=reason):
            return _changes("impossible", {"reason": reason})
        case _:
            return _changes("impossible", {"reason": "tried for too long"})


def _changes(
    state: str, report: dict[str, Any], *, maybe_sent: bool = False, **more: Any
) -> dict[str, Any]:
    return {"state": state, "report": Jsonb(report), "maybe_sent": maybe_sent, **more}


def _courier(sender: Caller | None) -> dict[str, Any]:
    """Return the name and the bots of a sender; None is the service itself."""
    if sender is None:
        return {"sender": None, "bots": None}
    bots = None if sender.bot_ids is None else list(sender.bot_ids)
    return {"sender": sender.name, "bots": bots}


# A progress row under lease keeps its state and is marked stale: its report then makes it due
# again, so that no change is lost between rendering and editing. One that is backing off keeps its
# time. An outcome is never changed here: for it the WHERE makes the conflict do nothing. That of a
# job that is older than a restored database may have come before, so it becomes no new message.
_ADD = """
INSERT INTO delivery AS d (id, job_id, kind, state, caller, bot_id, queue, url, due_time,
                           try_number, maybe_sent, is_stale, create_time, update_time)
VALUES (%(id)s, %(job_id)s, %(kind)s, 'pending', %(caller)s, %(bot_id)s, %(queue)s, %(url)s,
        now() + %(due)s, 0, %(is_outcome)s AND EXISTS (SELECT FROM money_state, job
            WHERE job.id = %(job_id)s AND job.create_time < (restored ->> 'time')::timestamptz),
        false, now(), now())
ON CONFLICT (job_id, kind) DO UPDATE SET
    state = CASE d.state WHEN 'idle' THEN 'pending' ELSE d.state END,
    due_time = CASE WHEN d.state = 'idle' THEN excluded.due_time
                    WHEN d.state = 'pending' AND d.try_number = 0
                    THEN least(d.due_time, excluded.due_time)
                    ELSE d.due_time END,
    is_stale = d.state IN ('leased', 'begun'), update_time = now()
WHERE d.kind = 'progress'
"""

# Whether the delivery is one that the sender may lease: of a bot of its own, or of its own feed.
_OF_COURIER = """
    (%(sender)s::text IS NULL OR CASE WHEN delivery.bot_id IS NULL
        THEN delivery.caller = %(sender)s AND delivery.queue IS NOT NULL
        ELSE %(bots)s::bigint[] IS NULL OR delivery.bot_id = ANY(%(bots)s) END)
"""

# With its event, in one statement. Past its end a lease may belong to another sender at any moment,
# so it cannot begin any more.
_BEGIN = f"""
WITH begun AS (
    UPDATE delivery SET state = 'begun', update_time = now(),
        due_time = coalesce(now() + %(span)s::interval, due_time)
    WHERE lease_hash = %(hash)s AND due_time > now() AND {_OF_COURIER}
    RETURNING job_id, kind, try_number, due_time),
noted AS (
    INSERT INTO job_event (job_id, time, kind, state, detail)
    SELECT job.id, clock_timestamp(), %(event)s, job.state,
        jsonb_build_object('kind', begun.kind, 'try', begun.try_number)
    FROM begun JOIN job ON job.id = begun.job_id)
SELECT due_time FROM begun
"""

# LATERAL and the reference to the job's row: so the job is locked before its delivery, and the
# events are in order, as by anyone else. Whoever waits for a lock gets the latest row.
_HOLD = f"""
WITH held AS MATERIALIZED (
    SELECT id FROM job WHERE id = (SELECT job_id FROM delivery WHERE lease_hash = %(hash)s)
    FOR NO KEY UPDATE)
SELECT own.* FROM held, LATERAL (
    SELECT delivery.*, create_time <= now() - %(age)s::interval AS is_old,
        %(not_before)s::timestamptz > now() + %(pause)s::interval AS is_too_late
    FROM delivery
    WHERE lease_hash = %(hash)s AND delivery.job_id = held.id AND {_OF_COURIER} FOR UPDATE) AS own
"""

# Whose turn it is: of this bot, whoever made the job, or of this feed of the caller's own; due, or
# with a lease that ran out. A progress row waits while its job's outcome is on its way.
_TURN = """
    (delivery.bot_id = %(bot_id)s
        OR delivery.caller = %(caller)s AND delivery.queue = %(queue)s)
    AND delivery.state IN ('pending', 'leased', 'begun') AND delivery.due_time <= now()
    AND NOT EXISTS (
        SELECT FROM delivery AS other WHERE other.job_id = delivery.job_id
        AND other.id <> delivery.id AND (
            other.state IN ('leased', 'begun') AND other.due_time > now()
            OR other.kind = 'outcome' AND other.state IN ('pending', 'leased', 'begun')))
"""

# Outcomes come before progress: that is the order of the two words. SKIP LOCKED, or all edges would
# wait for the one job that is just being settled.
_LOCK_DUE_JOBS = f"""
SELECT job.* FROM delivery JOIN job ON job.id = delivery.job_id
WHERE {_TURN}
ORDER BY delivery.kind, delivery.due_time LIMIT %(limit)s
FOR NO KEY UPDATE OF job SKIP LOCKED
"""

_DUE = f"""
SELECT delivery.*, job.destination FROM delivery JOIN job ON job.id = delivery.job_id
WHERE {_TURN} AND delivery.job_id = ANY(%(jobs)s)
"""

# `reported_hash` keeps the used-up token: a report whose answer was lost is told from a stale one
# by it. The exponent is capped, since 2 to the power of every try would overflow.
_REPORT = """
WITH reported AS (
    UPDATE delivery SET
        state = CASE WHEN is_stale AND %(state)s::text = 'idle' THEN 'pending'
            ELSE %(state)s::text END,
        report = %(report)s, message_id = coalesce(%(message_id)s, message_id),
        maybe_sent = maybe_sent OR %(maybe_sent)s, reported_hash = lease_hash, lease_hash = NULL,
        is_stale = false,
        due_time = greatest(now() + CASE %(state)s::text WHEN 'pending'
            THEN least(interval '1 second' * power(2, least(try_number, 9) - 1),
                interval '5 minutes')
            ELSE interval '0' END, %(not_before)s::timestamptz),
        update_time = now()
    WHERE id = %(id)s RETURNING job_id)
INSERT INTO job_event (job_id, time, kind, state, detail)
SELECT job.id, clock_timestamp(), %(event)s, job.state, %(detail)s
FROM reported JOIN job ON job.id = reported.job_id
"""
