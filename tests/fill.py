"""A database as years leave it: made by SQL in bulk, with all that belongs to each job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import LiteralString

import psycopg


@dataclass(frozen=True, kw_only=True)
class Filling:
    """How many jobs there are, and whose they are."""

    finished: int = 0
    """Jobs that succeeded, evenly over the days until now."""
    days: int = 20
    jobs_per_owner: int = 50
    """How many of the finished jobs one owner has."""
    queued: int = 0
    """Jobs that are due to be sent."""
    queued_owners: int = 1
    """How many owners the queued jobs have; the jobs of one are in as many rounds."""
    queued_callers: int = 1
    """How many callers those owners have."""
    caller: str = "caller"
    """Who made the finished jobs, and the queued ones if all have one caller."""


async def fill(database_url: str, filling: Filling) -> None:
    """Write the rows, and let PostgreSQL look at them, as it does by itself in time."""
    connect = psycopg.AsyncConnection.connect(database_url, autocommit=True)
    async with await connect as connection:
        values = vars(filling)
        async with connection.transaction(), _without_indexes(connection):
            # References are right by construction, and checking each would take most of the time.
            await connection.execute("SET LOCAL session_replication_role = replica")
            for statement in (_FINISHED_PLAN, *(_FINISHED if filling.finished else ())):
                await connection.execute(statement, values)
            if filling.queued:
                for statement in _QUEUED:
                    await connection.execute(statement, values)
            await connection.execute("DROP TABLE plan")
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")  # or the first to come would wait for the disk


async def fill_wallets(database_url: str, *, owners: int) -> None:
    """Give owners wallets of 1000 credits, each with one job that was captured and one top-up."""
    connect = psycopg.AsyncConnection.connect(database_url, autocommit=True)
    async with await connect as connection:
        for statement in _WALLETS:
            await connection.execute(statement, {"owners": owners})
        await connection.execute("VACUUM (ANALYZE) wallet, hold, transfer, top_up, receipt")


async def fill_stars(database_url: str) -> None:
    """List the payment of every top-up as Telegram does, some that went back, and withdrawals."""
    connect = psycopg.AsyncConnection.connect(database_url, autocommit=True)
    async with await connect as connection:
        for statement in _STARS:
            await connection.execute(statement)
        await connection.execute("VACUUM (ANALYZE) top_up, star_transaction")


@asynccontextmanager
async def _without_indexes(
    connection: psycopg.AsyncConnection[tuple[str, str]],
) -> AsyncIterator[None]:
    """Build the indexes that are no constraints at the end: at once is faster than by row."""
    found = await (await connection.execute(_INDEXES)).fetchall()
    for name, _ in found:
        await connection.execute(f'DROP INDEX "{name}"'.encode())
    yield
    for _, statement in found:
        await connection.execute(statement.encode())


_INDEXES: LiteralString = """
SELECT relname::text, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid
WHERE relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
# Ids of version 7: they begin with their time, so that new rows are at the end of every index.
_FINISHED_PLAN: LiteralString = """
CREATE TEMPORARY TABLE plan AS
SELECT n, job_id, overlay(job_id::text placing 'a' from 20 for 1)::uuid AS attempt_id,
       'bench:old:' || n / %(jobs_per_owner)s AS owner, time
FROM (SELECT n, time, (lpad(to_hex((extract(epoch FROM time) * 1000)::bigint), 12, '0')
                       || '70008' || lpad(to_hex(n), 15, '0'))::uuid AS job_id
      FROM (SELECT n, now() - interval '1 minute' - (%(finished)s - n) * %(days)s::int
                * (interval '1 day' / greatest(%(finished)s, 1)) AS time
            FROM generate_series(1, %(finished)s) AS n) AS moments) AS ids
"""
_RESULT: LiteralString = """
jsonb_build_object('text', '', 'missing_count', 0, 'media', jsonb_build_array(jsonb_build_object(
    'id', attempt_id, 'mime_type', 'image/png', 'size_bytes', 2048, 'width', 26, 'height', 26,
    'sha256', encode(sha256(int8send(n)), 'hex'))), 'media_details', '[{"title": ""}]'::jsonb)
"""
_JOBS: LiteralString = (
    """
INSERT INTO job (id, caller, owner, model_id, inputs, is_free, credits, correlation_id, state,
    revision, create_time, update_time, start_deadline_time, finish_deadline_time, result, turn)
SELECT job_id, %(caller)s, owner, CASE n %% 4 WHEN 0 THEN 'qwen/text-to-image' ELSE 'z-image' END,
       jsonb_build_object('prompt', 'a lighthouse in a storm ' || n, 'aspect_ratio', '16:9'),
       true, 0, '', 'succeeded', 3, time, time + interval '20 seconds', time + interval '2 hours',
       time + interval '1 hour',
"""
    + _RESULT
    + ", n / 100 FROM plan"
)
_ATTEMPTS: LiteralString = """
INSERT INTO attempt (id, job_id, number, state, token_hash, task_id, submit_time, accept_time,
    end_time, observation, ended_by, read_tries, fetch_tries, error)
SELECT attempt_id, job_id, 1, 'settled', sha256(uuid_send(attempt_id)),
       'old-task-' || n, time, time, time + interval '18 seconds',
       jsonb_build_object('state', 'succeeded', 'word', 'success', 'task_id', 'old-task-' || n,
           'result_urls', jsonb_build_array('https://results.example/' || n), 'result_text', '',
           'fail_code', '', 'fail_message', ''), 'callback', 0, 1, ''
FROM plan
"""
_MEDIA: LiteralString = """
INSERT INTO media (id, job_id, attempt_id, position, key, mime_type, size_bytes, width, height,
    sha256, create_time, is_counted, remove_time)
SELECT attempt_id, job_id, attempt_id, 0, 'result/' || job_id || '/' || attempt_id || '/0',
       'image/png', 2048, 26, 26, encode(sha256(int8send(n)), 'hex'), time + interval '19 seconds',
       true, CASE WHEN time < now() - interval '35 days' THEN time + interval '35 days' END
FROM plan
"""
_CALLBACKS: LiteralString = """
INSERT INTO callback_receipt (id, attempt_id, task_id, body, headers, is_trusted, receive_time,
    apply_time, outcome)
SELECT attempt_id, attempt_id, 'old-task-' || n,
       convert_to(repeat('{"taskId": "old-task"}', 20), 'utf8'),
       '{"content-type": "application/json"}', true, time + interval '18 seconds',
       time + interval '18 seconds', 'applied'
FROM plan
"""
_DELIVERIES: LiteralString = """
INSERT INTO delivery (id, job_id, kind, state, caller, bot_id, due_time, try_number, maybe_sent,
    is_stale, message_id, create_time, update_time)
SELECT CASE kind WHEN 'outcome' THEN attempt_id ELSE job_id END, job_id, kind,
       'sent', %(caller)s, 7, time, 1, false, false, n, time, time + interval '21 seconds'
FROM plan, unnest(ARRAY['progress', 'outcome']) AS kind
"""
_EVENTS: LiteralString = """
INSERT INTO job_event (job_id, time, kind, state, revision, snapshot, detail)
SELECT job_id, time + late * interval '1 second', kind, state, revision,
       CASE WHEN revision IS NOT NULL THEN jsonb_build_object('state', state, 'revision', revision,
           'update_time', time, 'finish_deadline_time', time, 'delay_reason', NULL,
           'further_delay_reason', NULL, 'delay_until_time', NULL, 'result', NULL,
           'failure', NULL) END,
       jsonb_build_object('attempt', attempt_id)
FROM plan, (VALUES (0, 'accepted', 'queued', 1), (0, 'submitting', 'queued', NULL),
    (1, 'taken', 'running', 2), (18, 'callback', 'running', NULL), (20, 'settled', 'succeeded', 3),
    (21, 'delivery_begun', 'succeeded', NULL), (21, 'delivery_sent', 'succeeded', NULL))
    AS happened (late, kind, state, revision)
"""
_KEYS: LiteralString = """
INSERT INTO request_key (caller, request_id, content_hash, job_id, create_time)
SELECT %(caller)s, 'old-request-' || n, sha256(int8send(n)), job_id, time FROM plan
"""
_USAGE: LiteralString = """
INSERT INTO storage_usage (caller, owner, size_bytes)
SELECT %(caller)s, owner, count(*) * 2048 FROM plan GROUP BY owner
"""
_UPLOADS: LiteralString = """
INSERT INTO upload (id, caller, owner, key, mime_type, size_bytes, width, height, sha256,
    create_time, expire_time, remove_time)
SELECT job_id, %(caller)s, owner, 'upload/' || job_id, 'image/png', 2048, 26, 26,
       encode(sha256(int8send(n)), 'hex'), time, time + interval '35 days',
       CASE WHEN time < now() - interval '35 days' THEN time + interval '35 days' END
FROM plan WHERE n %% 4 = 0
"""
_FINISHED = (_JOBS, _ATTEMPTS, _MEDIA, _CALLBACKS, _DELIVERIES, _EVENTS, _KEYS, _USAGE, _UPLOADS)
# As accepted one after the other: an owner's first jobs come before everybody's second ones.
_QUEUED_JOBS: LiteralString = """
INSERT INTO job (id, caller, owner, model_id, inputs, is_free, credits, correlation_id, state,
    revision, create_time, update_time, start_deadline_time, dispatch_time, turn)
SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')
        || '70009' || lpad(to_hex(n), 15, '0'))::uuid,
       CASE %(queued_callers)s WHEN 1 THEN %(caller)s
            ELSE 'other-' || n %% %(queued_owners)s %% %(queued_callers)s END,
       'bench:queued:' || %(caller)s || n %% %(queued_owners)s, 'z-image',
       jsonb_build_object('prompt', 'a queued lighthouse ' || n, 'aspect_ratio', '16:9'),
       true, 0, '', 'queued', 1, now(), now(), now() + interval '2 hours', now(),
       coalesce((SELECT max(turn) FROM job WHERE finish_deadline_time IS NOT NULL), 0)
           + (n - 1) / %(queued_owners)s
FROM generate_series(1, %(queued)s) AS n
"""
_QUEUED_EVENTS: LiteralString = """
INSERT INTO job_event (job_id, time, kind, state, revision, snapshot, detail)
SELECT id, create_time, 'accepted', 'queued', 1, jsonb_build_object('state', state, 'revision', 1,
    'update_time', create_time, 'finish_deadline_time', NULL, 'delay_reason', NULL,
    'further_delay_reason', NULL, 'delay_until_time', NULL, 'result', NULL, 'failure', NULL), '{}'
FROM job WHERE state = 'queued' AND NOT EXISTS (SELECT FROM job_event WHERE job_id = job.id)
"""
_QUEUED = (_QUEUED_JOBS, _QUEUED_EVENTS)
_OWNERS: LiteralString = """
(SELECT 'bench:wallet:' || n AS owner, gen_random_uuid() AS job_id, n
 FROM generate_series(1, %(owners)s) AS n) AS owners
"""
_WALLETS: tuple[LiteralString, ...] = (
    "INSERT INTO hold (job_id, owner, model_id, granted, paid, margin, state, captured,"
    " create_time, end_time) SELECT job_id, owner, 'google/imagen4', 8, 0, 1, 'captured', 8,"
    " time, time FROM"
    f" (SELECT *, now() - n * interval '1 minute' AS time FROM {_OWNERS}) AS timed",
    "INSERT INTO transfer (time, currency, amount, source, target, owner, balance_after, kind,"
    " cause, actor, reason) SELECT create_time, 'credit', amount, source, target, owner, balance,"
    " kind, CASE WHEN kind = 'grant' THEN 'grant of ' || owner ELSE job_id::text END, 'service', ''"
    " FROM hold, (VALUES (1008, 'grants', 'granted', 1008, 'grant'),"
    " (8, 'granted', 'held', 1000, 'hold'), (8, 'held', 'income', 1000, 'capture'))"
    " AS step (amount, source, target, balance, kind)",
    "INSERT INTO wallet (owner, granted, update_time) SELECT owner, 1000, create_time FROM hold",
    "INSERT INTO top_up (id, provider, external_id, owner, pack_id, credits, amount, currency,"
    " state, bot_id, caller, create_time, receipt)"
    " SELECT job_id, 'telegram_stars', job_id::text, owner, 'small', 100, 100,"
    " 'XTR', 'credited', 7, 'edge', now() - n * interval '1 minute', '1-' || n"
    " FROM (SELECT *, row_number() OVER () AS n FROM hold) AS numbered",
    "INSERT INTO receipt (series, number, kind, cause, time)"
    " SELECT 1, row_number() OVER (), 'top_up', id, create_time FROM top_up",
)
_LISTED: LiteralString = """
INSERT INTO star_transaction (bot_id, id, direction, amount, partner, time, user_id,
    transaction_type, payload, state, document, problem, position)
"""
# Of 50 one is returned and one withdrawn, of 500 one charged back, and of 5000 one not explained.
_STARS: tuple[LiteralString, ...] = (
    "CREATE TEMPORARY TABLE listed AS SELECT id AS top_up_id, external_id AS id, create_time AS"
    " time, row_number() OVER (ORDER BY create_time) AS n FROM top_up",
    _LISTED + "SELECT 7, id, 'in', 100, 'user', time, n, 'invoice_payment',"
    " 'topup:1:small:' || n, 'matched', '{}', '', n FROM listed",
    _LISTED + "SELECT 7, id, 'out', 100, 'user', time, n, 'invoice_payment',"
    " 'topup:1:small:' || n, 'matched', '{}', '', n FROM listed WHERE n % 50 = 1",
    _LISTED + "SELECT 7, 'taken-' || n, 'out', 100, 'other', time, NULL, '',"
    " top_up_id::text, 'booked', '{}', '', n FROM listed WHERE n % 500 = 2",
    _LISTED + "SELECT 7, 'withdrawn-' || n, 'out', n, 'fragment', time, NULL, '', NULL,"
    " 'booked', jsonb_build_object('receiver', '{}'::jsonb), '', n"
    " FROM listed WHERE n % 50 = 3",
    _LISTED + "SELECT 7, 'given-' || n, 'in', 1, 'other', time, NULL, '', NULL, 'suspense', '{}',"
    " 'nobody knows whose they are', n FROM listed WHERE n % 5000 = 4",
    "UPDATE top_up SET refund_receipt = '2-' || n, refund_time = top_up.create_time,"
    " state = CASE n % 500 WHEN 2 THEN 'charged_back' ELSE 'refunded' END"
    " FROM listed WHERE top_up_id = top_up.id AND (n % 50 = 1 OR n % 500 = 2)",
    "DROP TABLE listed",
)
