"""Attempts on PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from generation_svc.domain.account import Account
from generation_svc.domain.attempt import LIVE_STATES, Attempt, AttemptState, Trouble
from generation_svc.domain.observation import Observation, Source
from generation_svc.storage import document
from generation_svc.storage.attempt_query import (
    CLAIM_COSTS,
    CLAIM_FETCHES,
    CLAIM_READS,
    IS_AMONG,
    LOCK_ANSWERED,
    ORPHANS,
    OVERDUE,
    UNREADABLE,
)
from generation_svc.storage.attempt_row import attempt_from_row
from generation_svc.storage.breaker_store import breaker_name
from generation_svc.storage.connection import Connection
from generation_svc.storage.due_store import not_past

LIVE = sorted(LIVE_STATES)
SAMPLE = 200
"""How many of a model's last durations its 95th percentile is taken from."""
LEAST_SAMPLE = 20
"""Below this many a percentile says nothing."""


class PostgresAttemptStore:
    """The `AttemptStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, attempt: Attempt, *, token_hash: bytes) -> None:
        """Write an attempt before the provider is called."""
        await self._connection.execute(
            "INSERT INTO attempt (id, job_id, number, state, provider, account, token_hash,"
            " submit_time, read_tries, fetch_tries, error)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, now(), 0, 0, '')",
            (
                attempt.id,
                attempt.job_id,
                attempt.number,
                attempt.state,
                attempt.account.provider,
                attempt.account.name,
                token_hash,
            ),
        )

    async def lock(self, attempt_id: UUID) -> Attempt:
        """Read an attempt and lock its row; the job's row is locked before it."""
        attempt = await self._one(
            "SELECT * FROM attempt WHERE id = %s FOR NO KEY UPDATE", attempt_id
        )
        assert attempt is not None  # attempts are never deleted before what refers to them
        return attempt

    async def lock_answered(self, attempt: Attempt) -> tuple[Attempt, bool]:
        """Do the same; tell also whether its account's breaker has faults to forget."""
        values = {"id": attempt.id, "breaker": breaker_name(attempt.account)}
        cursor = await self._connection.execute(LOCK_ANSWERED, values)
        row = await cursor.fetchone()
        assert row is not None  # as above
        return attempt_from_row(row), row["has_faults"]

    async def find_by_token(self, token_hash: bytes) -> Attempt | None:
        """Find the attempt of a callback token."""
        return await self._one("SELECT * FROM attempt WHERE token_hash = %s", token_hash)

    async def find_by_task(self, task_id: str, *, provider: str) -> Attempt | None:
        """Find the attempt of a provider's task."""
        return await self._one(
            # The latest, should a provider ever give an id twice.
            "SELECT * FROM attempt WHERE task_id = %s AND provider = %s ORDER BY id DESC LIMIT 1",
            task_id,
            provider,
        )

    async def count_unread(self, *, readable: Sequence[Account]) -> Mapping[Account, int]:
        cursor = await self._connection.execute(
            "SELECT provider, account, count(*) AS tasks FROM attempt"
            f" WHERE state = 'accepted' AND NOT {IS_AMONG} GROUP BY provider, account",
            _among(readable),
        )
        rows = await cursor.fetchall()
        return {Account(row["provider"], row["account"]): row["tasks"] for row in rows}

    async def unreadable(
        self,
        *,
        readable: Sequence[Account],
        grace: timedelta,
        after: UUID | None = None,
        limit: int,
    ) -> Sequence[Attempt]:
        values = {"grace": grace, "after": after, "limit": limit}
        return await self._many(UNREADABLE, **values, **_among(readable))

    async def live(self, job_id: UUID) -> Sequence[Attempt]:
        """Read the attempts that can still bring the job a result."""
        cursor = await self._connection.execute(
            "SELECT * FROM attempt WHERE job_id = %s AND state = ANY(%s) ORDER BY number",
            (job_id, LIVE),
        )
        return [attempt_from_row(row) for row in await cursor.fetchall()]

    async def settled(self, job_id: UUID) -> Attempt | None:
        """Read the attempt that made a job's result."""
        cursor = await self._connection.execute(
            "SELECT * FROM attempt WHERE job_id = %s AND state = 'settled' ORDER BY number LIMIT 1",
            (job_id,),
        )
        row = await cursor.fetchone()
        return attempt_from_row(row) if row else None

    async def count(self, job_id: UUID) -> int:
        """Count all attempts of a job."""
        cursor = await self._connection.execute(
            "SELECT count(*) AS attempts FROM attempt WHERE job_id = %s", (job_id,)
        )
        row = await cursor.fetchone()
        return row["attempts"] if row else 0

    async def count_unrefused(self, job_id: UUID) -> int:
        """Count the attempts of a job that the provider did not refuse."""
        cursor = await self._connection.execute(
            "SELECT count(*) AS attempts FROM attempt WHERE job_id = %s AND state <> 'refused'",
            (job_id,),
        )
        row = await cursor.fetchone()
        return row["attempts"] if row else 0

    async def accept(self, attempt_id: UUID, *, task_id: str, first_read: timedelta | None) -> None:
        """Note that the provider took it, and when it is read first."""
        await self._connection.execute(
            # now() is when the transaction began: a wait for the job's lock ago.
            "UPDATE attempt SET state = 'accepted', task_id = %s, error = '',"
            " accept_time = clock_timestamp(), read_time = clock_timestamp() + %s WHERE id = %s",
            (task_id, first_read, attempt_id),
        )

    async def end(self, attempt_id: UUID, state: AttemptState, *, error: str = "") -> None:
        """Note that it has ended; it is no longer read or fetched."""
        await self._connection.execute(
            "UPDATE attempt SET state = %s, error = %s, read_time = NULL, fetch_time = NULL,"
            # Whoever told of the end need not have told the cost; what has a task can be asked.
            # So can, what was given up, whether it succeeded after all.
            " cost_time = CASE WHEN (cost IS NULL OR %s = 'lost') AND task_id IS NOT NULL"
            " THEN clock_timestamp() END,"
            # A success keeps the time at which it was seen: what follows is ours, not the
            # provider's.
            " end_time = coalesce(end_time, clock_timestamp()) WHERE id = %s",
            (state, error, state, attempt_id),
        )

    async def mark_unknown(self, attempt_id: UUID, *, error: str) -> bool:
        """Note that createTask gave no answer; return whether that is news."""
        cursor = await self._connection.execute(
            "UPDATE attempt SET state = 'unknown', error = %s"
            # The state is the guard: an answer or a callback that came first stays.
            " WHERE id = %s AND state = 'submitting'",
            (error, attempt_id),
        )
        return cursor.rowcount == 1

    async def succeed(
        self,
        attempt_id: UUID,
        observation: Observation,
        *,
        source: Source,
        lease: timedelta | None = None,
    ) -> Attempt:
        """Note the success and what brought it; its result is due at once, or under a lease."""
        attempt = await self._one(
            # A callback may overtake createTask's answer: then the task's id, and a time from which
            # the duration counts, are not there yet. A lease is a claim, and counts as a try.
            "UPDATE attempt SET state = 'succeeded', observation = %(observation)s,"
            " result_items = %(items)s, item_ids = %(item_ids)s,"
            " task_id = coalesce(task_id, %(task_id)s), end_time = clock_timestamp(),"
            " accept_time = coalesce(accept_time, submit_time), read_time = NULL,"
            " fetch_time = coalesce(clock_timestamp() + %(lease)s::interval, now()),"
            " fetch_tries = fetch_tries + (%(lease)s::interval IS NOT NULL)::int,"
            # What had been given up lives again: what it took is asked for when it ends.
            " ended_by = %(source)s, cost = coalesce(%(cost)s, cost), cost_time = NULL"
            " WHERE id = %(id)s"
            " RETURNING *, (SELECT model_id FROM job WHERE job.id = attempt.job_id) AS model_id,"
            " (SELECT model_digest FROM job WHERE job.id = attempt.job_id) AS model_digest",
            id=attempt_id,
            observation=_observation(observation),
            items=_items(observation),
            item_ids=Jsonb(observation.item_ids) if observation.item_ids else None,
            task_id=observation.task_id,
            lease=lease,
            source=source,
            cost=observation.cost,
        )
        assert attempt is not None  # it is locked
        return attempt

    async def see(self, attempt_id: UUID, observation: Observation) -> None:
        """Note the provider's word for a task that is not final."""
        await self._connection.execute(
            "UPDATE attempt SET observation = %s, cost = coalesce(%s, cost) WHERE id = %s",
            (_observation(observation), observation.cost, attempt_id),
        )

    async def claim_reads(
        self, *, lease: timedelta, readable: Sequence[Account], limit: int
    ) -> tuple[Sequence[Attempt], timedelta | None]:
        """Claim attempts of these accounts that are due to be read, and tell when the next one is.

        What a callback is settling right now is skipped: it needs no read.
        """
        return await self._claimed(CLAIM_READS, lease=lease, limit=limit, **_among(readable))

    async def schedule_read(self, attempt_id: UUID, *, due: timedelta) -> None:
        """Set the next read of a live attempt."""
        await self._connection.execute(
            "UPDATE attempt SET read_time = clock_timestamp() + %s"
            " WHERE id = %s AND state = 'accepted'",
            (due, attempt_id),
        )

    async def hasten_read(self, attempt_id: UUID, *, interval: timedelta) -> bool:
        """Move the next read to now, at most once per interval; return whether it moved."""
        cursor = await self._connection.execute(
            "UPDATE attempt SET read_time = least(read_time, now()), hint_time = now()"
            # At most once per interval, or forged callbacks could use up the budget of reads.
            " WHERE id = %s AND state = 'accepted'"
            " AND (hint_time IS NULL OR hint_time <= now() - %s::interval)",
            (attempt_id, interval),
        )
        return cursor.rowcount == 1

    async def hasten_all_reads(self) -> int:
        """Move the next read of every task that is under way to now; return how many there are."""
        cursor = await self._connection.execute(
            "UPDATE attempt SET read_time = least(read_time, now()) WHERE id IN (SELECT id"
            # What is locked is being read or concluded just now.
            " FROM attempt WHERE state = 'accepted' ORDER BY id FOR UPDATE SKIP LOCKED)"
        )
        return cursor.rowcount

    async def count_empty_read(self, attempt_id: UUID) -> int:
        """Count a read that showed a success without a result; return how many there were."""
        cursor = await self._connection.execute(
            "UPDATE attempt SET empty_reads = empty_reads + 1 WHERE id = %s RETURNING empty_reads",
            (attempt_id,),
        )
        row = await cursor.fetchone()
        return row["empty_reads"] if row else 0

    async def claim_fetches(
        self, *, lease: timedelta, limit: int
    ) -> tuple[Sequence[Attempt], timedelta | None]:
        """Claim successes whose results are due to be fetched, and tell when the next one is."""
        return await self._claimed(CLAIM_FETCHES, lease=lease, limit=limit)

    async def renew_fetch(self, attempt: Attempt, *, lease: timedelta) -> bool:
        """Push the lease of a fetch under way; return whether it is still this claim's."""
        cursor = await self._connection.execute(
            "UPDATE attempt SET fetch_time = clock_timestamp() + %s"
            # Every claim counts up, so that the number tells this claim from a later one of the
            # same row.
            " WHERE id = %s AND state = 'succeeded' AND fetch_tries = %s",
            (lease, attempt.id, attempt.fetch_tries),
        )
        return cursor.rowcount == 1

    async def schedule_fetch(
        self, attempt_id: UUID, *, due: timedelta, trouble: Trouble | None = None
    ) -> None:
        """Set the next try to fetch, and what the last one had trouble with; None changes nothing.

        The time of the trouble is that of the first try since which it is the same.
        """
        await self._connection.execute(
            "UPDATE attempt SET fetch_time = clock_timestamp() + %(due)s,"
            " trouble_time = CASE WHEN coalesce(%(trouble)s::text, trouble) IS NOT DISTINCT FROM"
            " trouble THEN trouble_time ELSE now() END, trouble = coalesce(%(trouble)s, trouble)"
            " WHERE id = %(id)s AND state = 'succeeded'",
            {"id": attempt_id, "due": due, "trouble": trouble},
        )

    async def claim_costs(
        self, *, first_wait: timedelta, readable: Sequence[Account], limit: int
    ) -> tuple[Sequence[Attempt], timedelta | None]:
        """Claim ended attempts whose cost is due to be read, and tell when the next one is."""
        return await self._claimed(CLAIM_COSTS, lease=first_wait, limit=limit, **_among(readable))

    async def keep_cost(self, attempt_id: UUID, cost: Decimal) -> bool:
        """Note what it cost, if that was unknown, and ask no more; return whether it was."""
        cursor = await self._connection.execute(
            "UPDATE attempt SET cost = coalesce(attempt.cost, %(cost)s), cost_time = NULL"
            " FROM (SELECT cost FROM attempt WHERE id = %(id)s) AS former"
            " WHERE id = %(id)s AND (attempt.cost IS NULL OR cost_time IS NOT NULL)"
            " RETURNING former.cost IS NULL AS is_news",
            {"id": attempt_id, "cost": cost},
        )
        row = await cursor.fetchone()
        return row is not None and row["is_news"]

    async def put_off_cost(self, attempt_id: UUID, *, due: timedelta) -> None:
        """Take a claimed read of its cost back, and set the next one."""
        await self._connection.execute(
            "UPDATE attempt SET cost_reads = cost_reads - 1, cost_time = clock_timestamp() + %s"
            " WHERE id = %s AND cost_time IS NOT NULL AND cost_reads > 0",
            (due, attempt_id),
        )

    async def give_up_cost(self, attempt_id: UUID) -> bool:
        """Ask for its cost no more; return whether that leaves it unknown."""
        cursor = await self._connection.execute(
            "UPDATE attempt SET cost_time = NULL WHERE id = %s AND cost_time IS NOT NULL"
            " RETURNING cost IS NULL AS is_unknown",
            (attempt_id,),
        )
        row = await cursor.fetchone()
        return row is not None and row["is_unknown"]

    async def orphans(
        self, *, older_than: timedelta, after: UUID | None = None, limit: int
    ) -> Sequence[Attempt]:
        """Find attempts whose dispatcher vanished between createTask and its answer."""
        return await self._many(ORPHANS, span=older_than, after=after, limit=limit)

    async def overdue(
        self, *, hard_deadline: timedelta, after: UUID | None = None, limit: int
    ) -> Sequence[Attempt]:
        """Find live attempts past the hard deadline, from acceptance or submission.

        Those of unknown fate end with their job's finish deadline: they can never be read.
        """
        return await self._many(OVERDUE, span=hard_deadline, after=after, limit=limit)

    async def typical_duration(self, model_id: str) -> timedelta | None:
        """Return the 95th percentile of the last 200 durations, or None with fewer than 20.

        Only what a callback told counts: a read finds out later, and the time of the first read
        is made from this, so counting reads would push them back further and further.
        """
        cursor = await self._connection.execute(
            "SELECT count(*) AS runs, percentile_cont(0.95) WITHIN GROUP (ORDER BY took) AS p95"
            " FROM (SELECT attempt.end_time - attempt.accept_time AS took FROM"
            " (SELECT id FROM job WHERE model_id = %s ORDER BY id DESC LIMIT %s) AS recent"
            " JOIN attempt ON attempt.job_id = recent.id WHERE attempt.state = 'settled'"
            " AND attempt.ended_by = 'callback' ORDER BY attempt.id DESC LIMIT %s) AS sample",
            (model_id, SAMPLE * 2, SAMPLE),
        )
        row = await cursor.fetchone()
        return row["p95"] if row and row["runs"] >= LEAST_SAMPLE else None

    async def _one(self, query: str, *values: Any, **named: Any) -> Attempt | None:
        cursor = await self._connection.execute(query, named or values)
        row = await cursor.fetchone()
        return attempt_from_row(row) if row else None

    async def _claimed(
        self, query: str, **named: Any
    ) -> tuple[Sequence[Attempt], timedelta | None]:
        cursor = await self._connection.execute(query, named)
        rows = await cursor.fetchall()  # at least one, which then has nothing but the time
        attempts = [attempt_from_row(row) for row in rows if row["id"]]
        return attempts, not_past(rows[0]["next_due"])

    async def _many(self, query: str, **named: Any) -> Sequence[Attempt]:
        cursor = await self._connection.execute(query, named)
        return [attempt_from_row(row) for row in await cursor.fetchall()]


def _observation(observation: Observation) -> Jsonb:
    return Jsonb(document.observation_to_document(observation))


def _items(observation: Observation) -> Jsonb | None:
    items = document.items_to_document(observation)
    return None if items is None else Jsonb(items)


def _among(accounts: Sequence[Account]) -> dict[str, list[str]]:
    return {
        "providers": [account.provider for account in accounts],
        "accounts": [account.name for account in accounts],
    }
