"""The database's disk is full: what cannot be kept is refused, what was kept is kept."""

import asyncio
from pathlib import Path

import grpc.aio
import psycopg
import pytest
from psycopg import sql

from atelier.generation.v1 import generation_service_pb2 as pb
from tests.contract.service import Service, sandbox_kie, serving
from tests.e2e.program import until
from tests.integration.test_database_outage import assert_not_now, create, succeeded
from tests.postgres import CrashablePostgres
from tests.small_disk import no_file_beyond

LOG_SEGMENT_BYTES = 16 * 2**20
_FILL = """
INSERT INTO job_event (job_id, time, kind, state, detail)
SELECT id, now(), 'filler', 'queued', jsonb_build_object('text', repeat(md5(n::text), %s))
FROM (SELECT id FROM job LIMIT 1) AS one, generate_series(1, 10000) AS n
"""


def run(url: str, statement: str | sql.Composed, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        query = statement.encode() if isinstance(statement, str) else statement
        cursor = connection.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []


async def begin_anew(postgres: CrashablePostgres) -> None:
    """Crash the server, so that the next one has the limits that this process has now."""
    former = postgres.postmaster_pid()
    postgres.kill()

    async def is_another() -> bool:
        try:
            return bool(run(postgres.url, "SELECT 1")) and postgres.postmaster_pid() != former
        except (psycopg.OperationalError, OSError):
            return False

    await until(is_another, within_s=20, what="another server")


def fill_up(url: str) -> None:
    """Use up what room the events' file has, with large rows and then with small ones."""
    for length in (55, 3):
        with pytest.raises(psycopg.errors.InternalError_, match="could not extend file"):
            run(url, _FILL, length)


def size_of_events(url: str) -> int:
    """Make the events' file larger than those of the log, and return its size."""
    run(url, _FILL, 55)
    run(url, "CHECKPOINT")
    ((size,),) = run(url, "SELECT pg_relation_size('job_event')")
    assert isinstance(size, int)
    assert size > LOG_SEGMENT_BYTES
    return size


def check_all_pages(url: str) -> None:
    """Read every page, whose checksums tell, and make every index anew from its table."""
    for (table,) in run(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        name = sql.Identifier(str(table))
        assert run(url, sql.SQL("SELECT count(whole::text) FROM {} AS whole").format(name))
    run(url, "REINDEX SCHEMA public")


async def assert_refused(service: Service, request_id: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await service.create(request_id=request_id)
    assert_not_now(told.value)


async def test_a_full_disk_refuses_new_jobs_and_loses_none(
    crashable_postgres: CrashablePostgres, tmp_path: Path
) -> None:
    url = crashable_postgres.url
    async with serving(url, tmp_path) as service:
        kept = [await create(service, f"before-{n}") for n in range(5)]
        with no_file_beyond(await asyncio.to_thread(size_of_events, url)):
            await begin_anew(crashable_postgres)
            await asyncio.to_thread(fill_up, url)
            for n in range(3):
                await assert_refused(service, f"during-{n}")
            for job_id in kept:  # reading goes on
                await service.generation.GetJob(pb.GetJobRequest(job_id=job_id))
        await begin_anew(crashable_postgres)
    assert {str(job_id) for (job_id,) in run(url, "SELECT id FROM job")} == set(kept)
    assert run(url, "SELECT count(*) FROM request_key") == [(len(kept),)]

    async with sandbox_kie() as kie, serving(url, tmp_path, kie_url=kie) as service:
        later = [await create(service, f"during-{n}") for n in range(3)]
        jobs = [*kept, *later]
        assert all(await asyncio.gather(*(succeeded(service, job_id) for job_id in jobs)))
    await asyncio.to_thread(check_all_pages, url)


async def test_a_server_that_cannot_write_its_log_comes_back_with_all_that_was_committed(
    crashable_postgres: CrashablePostgres, tmp_path: Path
) -> None:
    async with serving(crashable_postgres.url, tmp_path) as service:
        kept = [await create(service, f"before-{n}") for n in range(5)]
        with no_file_beyond(2**16):
            crashable_postgres.kill()
            await assert_refused(service, "during-0")
        later = [await create(service, f"during-{n}") for n in range(2)]
        found = {str(job_id) for (job_id,) in run(crashable_postgres.url, "SELECT id FROM job")}
    assert found == {*kept, *later}
    await asyncio.to_thread(check_all_pages, crashable_postgres.url)
