"""The queue on PostgreSQL: claims in the fair order, exact across replicas."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from generation_svc.domain.account import Account, AccountLoad
from generation_svc.domain.fair_queue import FairQueue
from generation_svc.domain.identifier import random_id
from generation_svc.domain.job import DelayReason, Job
from generation_svc.domain.port.queue import Claim
from generation_svc.storage.account import FIRST_ACCOUNT
from generation_svc.storage.connection import Connection
from generation_svc.storage.job_row import job_from_row

CLAIM_LOCK = 0x434C_4149
"""Claims take turns, so that the count of active tasks and the fair order are exact."""
SOON = timedelta(seconds=5)
"""How long a claim usually takes, at most, to become an attempt; who is due within it is next."""
UNKNOWN_COUNTS_FOR = timedelta(minutes=10)
"""How long an attempt of unknown fate counts as a task: were it for ever, they would use all up."""


class PostgresQueueStore:
    """The `QueueStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def loads(
        self, accounts: Sequence[Account], *, lease: timedelta
    ) -> Mapping[Account, AccountLoad]:
        """A claim that is older than usual is stuck handing media over: it keeps no call back."""
        await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (CLAIM_LOCK,))
        values = {"lease": lease, "soon": SOON, "doubt": UNKNOWN_COUNTS_FOR}
        # A statement that begins with the lock in hand sees every claim that was committed.
        cursor = await self._connection.execute(_LOADS, {**values, "first": FIRST_ACCOUNT.name})
        rows = {row["account"]: row for row in await cursor.fetchall()}
        return {
            account: AccountLoad(rows[account.name]["claims"], rows[account.name]["active"])
            for account in accounts
            if account.name in rows
        }

    async def claim(self, *, lease: timedelta, accounts: Sequence[Account]) -> Claim | None:
        """A job with an attempt of unknown fate is due again only after its grace."""
        # Claims are serialized: with SKIP LOCKED two dispatchers would serve out of the fair order,
        # and both would count the same free place at the provider.
        await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (CLAIM_LOCK,))
        by_name = {account.name: account for account in accounts}
        cursor = await self._connection.execute(
            _CLAIM, {"lease": lease, "token": random_id(), "accounts": list(by_name)}
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        return Claim(
            job=job_from_row(row),
            token=row["claim_token"],
            attempts=row["attempts"],
            account=by_name[row["claim_account"]],
            is_trial=row["is_off"],
        )

    async def release(self, claim: Claim, *, due: timedelta) -> None:
        await self._connection.execute(
            "UPDATE job SET dispatch_time = now() + %s, claim_token = NULL, claim_account = NULL"
            # Whoever lost the claim meanwhile puts nothing off for the one who has it.
            " WHERE id = %s AND state = 'queued' AND claim_token = %s",
            (due, claim.job.id, claim.token),
        )

    async def hasten_postponed(self) -> None:
        """Locked rows are skipped, so this waits for no lock."""
        await self._connection.execute(
            "UPDATE job SET dispatch_time = now() WHERE id IN (SELECT id FROM job"
            " WHERE state = 'queued' AND claim_token IS NULL AND dispatch_time > now()"
            " AND NOT EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id"
            " AND attempt.state IN ('submitting', 'unknown')) FOR UPDATE SKIP LOCKED)"
        )

    async def hold_claim(self, claim: Claim) -> Job | None:
        cursor = await self._connection.execute(
            "SELECT * FROM job WHERE id = %s AND state = 'queued' AND claim_token = %s"
            # Past its lease a claim is lost, even if nobody has taken the job yet: somebody may
            # right now.
            " AND dispatch_time > now() FOR NO KEY UPDATE",
            (claim.job.id, claim.token),
        )
        row = await cursor.fetchone()
        return job_from_row(row) if row else None

    async def read(self) -> FairQueue:
        """Read the queue in its fair order; jobs that are postponed for long are left out."""
        # In binary: as text each of up to 2.4 million bytes would come as two hexadecimal digits.
        cursor = await self._connection.execute(_LINE, {"soon": SOON}, binary=True)
        entries = await cursor.fetchone()
        cursor = await self._connection.execute(
            "SELECT caller, count(*) AS jobs FROM job WHERE state = 'queued' GROUP BY caller"
        )
        lengths = {row["caller"]: row["jobs"] for row in await cursor.fetchall()}
        return FairQueue((entries and entries["line"]) or b"", lengths)

    async def overdue_to_start(self, *, limit: int) -> Sequence[UUID]:
        cursor = await self._connection.execute(
            "SELECT id FROM job WHERE state = 'queued' AND start_deadline_time <= now() LIMIT %s",
            (limit,),
        )
        return [row["id"] for row in await cursor.fetchall()]

    async def mislabelled(self, reason: DelayReason | None, *, limit: int) -> Sequence[UUID]:
        cursor = await self._connection.execute(
            "SELECT id FROM job WHERE state = 'queued'"
            " AND delay_reason IS DISTINCT FROM %(reason)s::text"
            " AND (delay_reason IS NULL OR delay_reason IN"
            " ('provider_unreachable', 'provider_maintenance', 'provider_account'))"
            " LIMIT %(limit)s",
            {"reason": reason, "limit": limit},
        )
        return [row["id"] for row in await cursor.fetchall()]


_IS_CLAIMED = """
    state = 'queued' AND claim_token IS NOT NULL AND dispatch_time > now()
    AND NOT EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id
                    AND attempt.state IN ('submitting', 'unknown', 'accepted'))
"""
# An attempt and the claim that it came from are never both counted: `_IS_CLAIMED` leaves out a job
# with an attempt under way.
_LOADS = f"""
SELECT account, count(*) FILTER (WHERE is_soon) AS claims, count(*) AS active FROM (
    SELECT account, false AS is_soon FROM attempt
    WHERE attempt.state IN ('submitting', 'accepted')
       OR attempt.state = 'unknown' AND attempt.submit_time > now() - %(doubt)s::interval
  UNION ALL
    SELECT coalesce(claim_account, %(first)s),
           dispatch_time > now() + %(lease)s - %(soon)s::interval
    FROM job WHERE {_IS_CLAIMED}
) AS load GROUP BY account
"""
# "Not later than now" is asked as IS NOT TRUE: the planner believes that few of the jobs that are
# queued are due as well, and would sort the queue instead of reading it in its order until the
# first.
# `chosen` is read without a lock, and a job may be cancelled before the update reaches it. The
# update waits for that and looks at its own conditions again, but not at the query: so they are
# repeated.
_CLAIM = """
WITH chosen AS (
    SELECT id FROM job
    WHERE state = 'queued' AND (dispatch_time > now()) IS NOT TRUE
      AND (start_deadline_time <= now()) IS NOT TRUE
      AND (account IS NULL OR account = ANY(%(accounts)s::text[]))
    ORDER BY turn, id
    LIMIT 1
)
UPDATE job SET dispatch_time = now() + %(lease)s, claim_token = %(token)s,
               claim_account = coalesce(account, (%(accounts)s::text[])[1])
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
