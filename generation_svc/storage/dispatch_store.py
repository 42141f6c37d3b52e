"""The claims of dispatchers on PostgreSQL: exact across replicas, in few statements."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from generation_svc.domain.account import Account, AccountLoad
from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.identifier import new_id, random_id
from generation_svc.domain.port.dispatch import AccountView, DispatchView, WaitingJob
from generation_svc.domain.port.queue import Claim
from generation_svc.storage.account import FIRST_ACCOUNT, budget_name
from generation_svc.storage.breaker_store import breaker_name
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.job_row import job_from_row
from generation_svc.storage.queue_store import SOON

CLAIM_LOCK = 0x434C_4149
"""Claims take turns, so that the count of active tasks and the fair order are exact."""
UNKNOWN_COUNTS_FOR = timedelta(minutes=10)
"""How long an attempt of unknown fate counts as a task: were it for ever, they would use all up."""


class PostgresDispatchStore:
    """The `DispatchStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def view(
        self, accounts: Sequence[Account], *, lease: timedelta, limit: int, window: timedelta
    ) -> DispatchView:
        """A claim that is older than usual is stuck handing media over: it keeps no call back."""
        # With SKIP LOCKED two claimers would serve out of the fair order, and both would count the
        # same free place at the provider. Older releases take the same lock.
        await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (CLAIM_LOCK,))
        values = {
            "accounts": [account.name for account in accounts],
            "breakers": [breaker_name(account) for account in accounts],
            "budgets": [budget_name("create", account) for account in accounts],
            "first": FIRST_ACCOUNT.name,
            "lease": lease,
            "soon": SOON,
            "doubt": UNKNOWN_COUNTS_FOR,
            "limit": limit,
            "window": window,
        }
        # A statement that begins with the lock in hand sees every claim that was committed.
        cursor = await self._connection.execute(_VIEW, values)
        rows = {row["account"]: row for row in await cursor.fetchall()}
        views = {account: _view_from_row(rows[account.name]) for account in accounts}
        return DispatchView(views, job_wait=rows[accounts[0].name]["job_wait"])

    async def waiting(self, accounts: Sequence[Account], *, limit: int) -> Sequence[WaitingJob]:
        """A job with an attempt of unknown fate is due again only after its grace."""
        names = [account.name for account in accounts]
        cursor = await self._connection.execute(_WAITING, {"accounts": names, "limit": limit})
        return [WaitingJob(row["id"], row["account"]) for row in await cursor.fetchall()]

    async def claim(self, chosen: Mapping[UUID, Account], *, lease: timedelta) -> Sequence[Claim]:
        values = {
            "jobs": list(chosen),
            "accounts": [account.name for account in chosen.values()],
            "lease": lease,
            "token": random_id(),
        }
        cursor = await self._connection.execute(_CLAIM, values)
        rows = {row["id"]: row for row in await cursor.fetchall()}
        return [_claim_from_row(rows[job], chosen[job]) for job in chosen if job in rows]

    async def write_attempts(
        self, claims: Sequence[Claim], *, token_hashes: Sequence[bytes], time: datetime
    ) -> Sequence[Attempt]:
        values = {
            "attempts": [new_id(time) for _ in claims],
            "jobs": [claim.job.id for claim in claims],
            "providers": [claim.account.provider for claim in claims],
            "accounts": [claim.account.name for claim in claims],
            "token_hashes": list(token_hashes),
        }
        cursor = await self._connection.execute(_WRITE_ATTEMPTS, values)
        return [_attempt_from_row(row) for row in await cursor.fetchall()]


def _view_from_row(row: Row) -> AccountView:
    return AccountView(
        load=AccountLoad(row["claims"], row["active"]),
        free_calls=row["free"],
        call_wait=row["call_wait"],
        is_open=row["reason"] is not None,
        probe_wait=row["probe_wait"],
    )


def _claim_from_row(row: Row, account: Account) -> Claim:
    return Claim(
        job=job_from_row(row),
        token=row["claim_token"],
        attempts=row["attempts"],
        account=account,
        is_trial=row["is_off"],
    )


def _attempt_from_row(row: Row) -> Attempt:
    return Attempt(
        id=row["id"],
        job_id=row["job_id"],
        number=row["number"],
        state=AttemptState.SUBMITTING,
        submit_time=row["submit_time"],
        account=Account(row["provider"], row["account"]),
    )


# statement_timestamp() and not now(): the transaction began before it waited for the claim lock,
# and what was accepted meanwhile would not be due yet, so that a later turn went first.
_IS_CLAIMED = """
    state = 'queued' AND claim_token IS NOT NULL AND dispatch_time > statement_timestamp()
    AND NOT EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id
                    AND attempt.state IN ('submitting', 'unknown', 'accepted'))
"""
# An attempt and the claim that it came from are never both counted: `_IS_CLAIMED` leaves out a job
# with an attempt under way.
_LOADS = f"""
SELECT account, count(*) FILTER (WHERE is_soon) AS claims, count(*) AS active FROM (
    SELECT account, false AS is_soon FROM attempt
    WHERE attempt.state IN ('submitting', 'accepted')
       OR attempt.state = 'unknown'
          AND attempt.submit_time > statement_timestamp() - %(doubt)s::interval
  UNION ALL
    SELECT coalesce(claim_account, %(first)s),
           dispatch_time > statement_timestamp() + %(lease)s - %(soon)s::interval
    FROM job WHERE {_IS_CLAIMED}
) AS load GROUP BY account
"""
# A row of the budget that was never written is free. Whoever comes next waits for the first row
# that is neither free now nor spoken for by a claim.
_CALLS = """
SELECT free, waits[greatest(free, claims) + 1] AS call_wait FROM (
    SELECT count(*) FILTER (WHERE wait = interval '0') AS free,
           array_agg(wait ORDER BY wait) AS waits
    FROM (SELECT greatest(interval '0', CASE WHEN isfinite(take_time)
              THEN take_time + %(window)s::interval - clock_timestamp() END) AS wait
          FROM generate_series(0, %(limit)s - 1) AS place
          LEFT JOIN budget_slot AS s ON s.budget = wanted.budget AND s.position = place) AS slot
) AS counted
"""
_VIEW = f"""
WITH load AS ({_LOADS}),
known AS (SELECT name, reason, probe_time FROM breaker
          UNION ALL SELECT name, reason, probe_time FROM account_breaker),
wanted AS (
    SELECT asked.*, coalesce(load.claims, 0) AS claims, coalesce(load.active, 0) AS active
    FROM unnest(%(accounts)s::text[], %(breakers)s::text[], %(budgets)s::text[])
         AS asked (account, breaker, budget)
    LEFT JOIN load ON load.account = asked.account)
SELECT wanted.account, claims, active, free, call_wait, reason,
       probe_time - statement_timestamp() AS probe_wait,
       (SELECT min(dispatch_time) FROM job WHERE state = 'queued'
        AND dispatch_time > statement_timestamp()) - statement_timestamp() AS job_wait
FROM wanted LEFT JOIN known ON known.name = wanted.breaker CROSS JOIN LATERAL ({_CALLS}) AS calls
"""
# "Not later than now" is asked as IS NOT TRUE: the planner takes being queued and being due for
# independent and believes that few jobs are both, so it would sort the queue instead of reading it
# in its order until it has enough.
_IS_DUE = "state = 'queued' AND (dispatch_time > statement_timestamp()) IS NOT TRUE"
_WAITING = f"""
SELECT id, account FROM job
WHERE {_IS_DUE} AND (start_deadline_time <= statement_timestamp()) IS NOT TRUE
  AND (account IS NULL OR account = ANY(%(accounts)s::text[]))
ORDER BY turn, id LIMIT %(limit)s
"""
# The jobs were read without a lock, and one may be cancelled before the update reaches it. The
# update waits for that and looks at its own conditions again: so they are repeated.
_CLAIM = f"""
UPDATE job SET dispatch_time = statement_timestamp() + %(lease)s, claim_token = %(token)s,
               catalog_claim = %(token)s, claim_account = chosen.account
FROM unnest(%(jobs)s::uuid[], %(accounts)s::text[]) AS chosen (id, account)
WHERE job.id = chosen.id AND {_IS_DUE}
RETURNING job.*, (SELECT count(*) FROM attempt WHERE attempt.job_id = job.id
                  AND attempt.state <> 'refused') AS attempts,
          EXISTS (SELECT FROM model_outage WHERE model_outage.model_id = job.model_id) AS is_off
"""
# The jobs are locked by the claim, and this statement sees what was committed before: one whose
# claim had just run out may have written an attempt while the claim waited for its lock.
# clock_timestamp() and not now(), which is a wait for the claim lock ago.
_WRITE_ATTEMPTS = """
WITH written AS (
    INSERT INTO attempt (id, job_id, number, state, provider, account, token_hash, submit_time,
                         read_tries, fetch_tries, error)
    SELECT wanted.id, wanted.job_id,
           (SELECT count(*) + 1 FROM attempt AS a WHERE a.job_id = wanted.job_id), 'submitting',
           wanted.provider, wanted.account, wanted.token_hash, clock_timestamp(), 0, 0, ''
    FROM unnest(%(attempts)s::uuid[], %(jobs)s::uuid[], %(providers)s::text[], %(accounts)s::text[],
                %(token_hashes)s::bytea[]) AS wanted (id, job_id, provider, account, token_hash)
    WHERE NOT EXISTS (SELECT FROM attempt AS a
                      WHERE a.job_id = wanted.job_id AND a.state <> 'refused')
    RETURNING id, job_id, number, submit_time, provider, account
), noted AS (
    INSERT INTO job_event (job_id, time, kind, state, detail)
    SELECT job_id, clock_timestamp(), 'submitting', 'queued',
           jsonb_build_object('attempt', number, 'account', provider || '/' || account)
    FROM written
)
SELECT * FROM written
"""
