"""The database goes away and comes back; the service stays, and says "not now" in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import grpc
import grpc.aio
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg import errors, sql

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JobState
from generation_svc.domain.error import Unavailable
from generation_svc.domain.port.session import SessionRecord
from generation_svc.storage.connection import bounded
from generation_svc.storage.database import PostgresDatabase, PostgresTransaction, open_database
from generation_svc.storage.migrate import migrate
from generation_svc.storage.notifier import Notifier
from tests.contract.failure import refusal_of_error
from tests.contract.service import Service, sandbox_kie, serving
from tests.e2e.program import until
from tests.postgres import CrashablePostgres
from tests.postgres_wire import Wire, wire_to

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_NOW_ANSWER = (grpc.StatusCode.UNAVAILABLE, "TEMPORARILY_UNAVAILABLE")
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def assert_not_now(error: grpc.aio.AioRpcError) -> None:
    """Every other answer than "come again" is wrong, whatever the database does."""
    told = refusal_of_error(error)
    assert (told.code, told.reason) == NOT_NOW_ANSWER, told
    assert told.retry_seconds


async def create(service: Service, request_id: str) -> str:
    """Make a job as a client does that comes again while it is told to."""
    async with asyncio.timeout(30):
        while True:
            try:
                return (await service.create(request_id=request_id)).id
            except grpc.aio.AioRpcError as error:
                assert_not_now(error)


async def succeeded(service: Service, job_id: str) -> bool:
    """Wait for a job as a client does."""
    async with asyncio.timeout(30):
        while True:
            try:
                request = pb.WaitJobRequest(job_id=job_id)
                request.timeout.FromSeconds(5)
                job = (await service.generation.WaitJob(request)).job
            except grpc.aio.AioRpcError as error:
                assert_not_now(error)
            else:
                if job.state in (JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED):
                    return job.state == JobState.JOB_STATE_SUCCEEDED


async def health(service: Service) -> int:
    stub = health_pb2_grpc.HealthStub(service.channel)
    check = stub.Check  # type: ignore[attr-defined] # left out of the stubs
    return int((await check(health_pb2.HealthCheckRequest(), timeout=5)).status)


async def reaches(service: Service, status: int) -> None:
    async def is_there() -> bool:
        return await health(service) == status

    await until(is_there, within_s=20, what=f"health {status}")


@asynccontextmanager
async def harassed(harass: Callable[[], Awaitable[None]], *, times: int) -> AsyncIterator[None]:
    """Do it so many times, as soon as there is something to break, before the block ends."""

    async def repeat() -> None:
        left = times
        while left:
            with suppress(psycopg.Error):
                await harass()
                left -= 1
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as group:
        group.create_task(repeat())
        yield


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    async with wire_to(database_url) as wire:
        yield wire


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[PostgresDatabase]:
    async with open_database(database_url, notifier=Notifier(), max_connections=4) as database:
        yield database


async def test_connections_cut_in_the_middle_lose_and_double_nothing(
    database_url: str, tmp_path: Path
) -> None:
    async def cut_all() -> None:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async with sandbox_kie() as kie, serving(database_url, tmp_path, kie_url=kie) as service:
        async with harassed(cut_all, times=3):
            jobs = await asyncio.gather(*(create(service, f"draft-{n}") for n in range(16)))
        assert all(await asyncio.gather(*(succeeded(service, job_id) for job_id in jobs)))

        async with service.database.pool.connection() as connection:
            cursor = await connection.execute("SELECT id::text FROM job")
            assert {row["id"] for row in await cursor.fetchall()} == set(jobs)


async def test_a_killed_postmaster_loses_and_doubles_nothing(
    crashable_postgres: CrashablePostgres, tmp_path: Path
) -> None:
    async def kill_once_it_serves() -> None:
        async with await psycopg.AsyncConnection.connect(crashable_postgres.url):
            crashable_postgres.kill()

    url = crashable_postgres.url
    async with sandbox_kie() as kie, serving(url, tmp_path, kie_url=kie) as service:
        async with harassed(kill_once_it_serves, times=2):
            jobs = await asyncio.gather(*(create(service, f"draft-{n}") for n in range(12)))
        assert all(await asyncio.gather(*(succeeded(service, job_id) for job_id in jobs)))
        assert len(set(jobs)) == 12


async def test_health_follows_the_database_away_and_back(wire: Wire, tmp_path: Path) -> None:
    async with serving(wire.url, tmp_path) as service:
        job = await service.create()
        await reaches(service, SERVING)
        with service.deps.database.watch("job") as news:
            wire.cut()
            await reaches(service, NOT_SERVING)
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await service.create()
            assert_not_now(told.value)
            news.clear()

            wire.mend()
            await reaches(service, SERVING)
            async with asyncio.timeout(10):
                await news.wait()  # who waits looks again, for the notifier was deaf meanwhile
        assert (await service.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job == job


async def test_a_silent_database_is_an_error_before_the_caller_gives_up(
    wire: Wire, tmp_path: Path
) -> None:
    async with serving(wire.url, tmp_path) as service:
        await service.create()
        wire.stall()
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await service.create()
        assert_not_now(told.value)
        await reaches(service, NOT_SERVING)
        wire.mend()
        await reaches(service, SERVING)
        await service.create()


async def test_a_statement_that_is_never_answered_ends_with_its_connection(wire: Wire) -> None:
    async with await psycopg.AsyncConnection.connect(wire.url) as connection:
        wire.stall()
        with (
            bounded(connection, seconds=0.1),
            pytest.raises(psycopg.OperationalError, match="closed the connection"),
        ):
            await connection.execute("SELECT 1")
        assert connection.broken


async def counted_jobs(database: PostgresDatabase) -> int:
    """Read in one statement what there is not."""
    return len(await database.read(lambda tx: tx.jobs.get_all([uuid4()])))


async def test_a_read_on_connections_that_were_lost_is_asked_again_on_another(
    database: PostgresDatabase, database_url: str
) -> None:
    assert await counted_jobs(database) == 0
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert await counted_jobs(database) == 0


async def test_a_read_that_takes_long_is_waited_for(
    database: PostgresDatabase, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generation_svc.storage.database.CHECK_SECONDS", 0.2)
    monkeypatch.setattr("generation_svc.storage.database.POOL_TIMEOUT_SECONDS", 0.5)
    assert await counted_jobs(database) == 0
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("LOCK TABLE job")  # as a migration does
        reading = asyncio.create_task(counted_jobs(database))

        async def is_over_or_patient() -> bool:
            await other.execute("SELECT pg_stat_clear_snapshot()")
            found = await other.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock' AND query_start > xact_start"
                " AND clock_timestamp() - query_start > interval '1 s'"
            )
            return reading.done() or found.rowcount > 0

        await until(is_over_or_patient, within_s=20, what="the read waits for its answer")
        assert not reading.done()
    assert await reading == 0


async def test_a_read_of_a_silent_database_ends(wire: Wire) -> None:
    async with open_database(wire.url, notifier=Notifier(), max_connections=4) as database:
        assert await counted_jobs(database) == 0
        wire.stall()
        async with asyncio.timeout(20):
            with pytest.raises(Unavailable):
                await counted_jobs(database)


async def test_a_wrong_read_is_told_at_once_and_takes_no_connection_with_it(
    database: PostgresDatabase,
) -> None:
    async def query(tx: PostgresTransaction) -> object:
        tries.append(tx)
        raise errors.UndefinedTable

    tries: list[object] = []
    with pytest.raises(errors.UndefinedTable):
        await database.read(query)
    assert len(tries) == 1
    assert await counted_jobs(database) == 0


async def test_a_read_leaves_its_connection_fit_for_transactions(
    database: PostgresDatabase,
) -> None:
    for _ in range(2 * database.pool.max_size):
        assert await counted_jobs(database) == 0
    with suppress(LookupError):
        async with database.transaction() as tx:
            await tx.edge.put_session(SessionRecord(1, "chat", b"", 0, None), caller="edge")
            raise LookupError
    async with database.transaction() as tx:
        session = await tx.edge.get_session(1, key="chat", caller="edge")
    assert session.update_time is None  # it was rolled back


async def test_a_failover_is_followed_to_the_host_that_can_be_written_to(
    crashable_postgres: CrashablePostgres, database_url: str
) -> None:
    new = urlsplit(database_url)
    name, password = new.path[1:], new.password or ""
    alter = sql.SQL("ALTER ROLE atelier PASSWORD {}").format(sql.Literal(password))
    with psycopg.connect(crashable_postgres.url, autocommit=True) as operator:
        operator.execute(f"CREATE DATABASE {name} TEMPLATE postgres".encode())
        operator.execute(alter)
    old = urlsplit(crashable_postgres.url)._replace(path=new.path)
    hosts = f"127.0.0.1:{old.port},127.0.0.1:{new.port}"
    both = new._replace(netloc=f"atelier:{password}@{hosts}").geturl()
    old_url = old._replace(netloc=f"atelier:{password}@127.0.0.1:{old.port}").geturl()

    migrate(both)
    async with open_database(both, notifier=Notifier(), max_connections=4) as database:
        await write_session(database, key="before")
        with psycopg.connect(old_url, autocommit=True) as operator:
            operator.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            operator.execute("SELECT pg_reload_conf()")
        # The server reads it in its own time, and takes writes until then.
        await until(partial(is_read_only, old_url), within_s=10, what="the end of the old primary")
        await until(partial(writes, database, key="after"), within_s=10, what="the new primary")

    assert sessions_in(old_url) == {"before"}
    assert sessions_in(database_url) == {"after"}


async def write_session(database: PostgresDatabase, *, key: str) -> None:
    async with database.transaction() as tx:
        await tx.edge.put_session(SessionRecord(1, key, b"", 0, None), caller="edge")


async def is_read_only(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)


async def writes(database: PostgresDatabase, *, key: str) -> bool:
    try:
        await write_session(database, key=key)
    except Unavailable:
        return False
    return True


def sessions_in(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM session")}


NOT_NOW = [
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.DatabaseDropped,
    errors.ConnectionTimeout,
    errors.ConnectionFailure,
    errors.TransactionResolutionUnknown,
    errors.StatementCompletionUnknown,
    errors.TooManyConnections,
    errors.DiskFull,
    errors.IoError,
    errors.OutOfMemory,
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    errors.InternalError_,
    errors.FeatureNotSupported,
]


async def raise_in(database: PostgresDatabase, error: type[Exception]) -> None:
    async with database.transaction():
        raise error


@pytest.mark.parametrize("error", NOT_NOW, ids=lambda error: error.__name__)
async def test_what_may_succeed_later_is_told_apart(
    database: PostgresDatabase, error: type[psycopg.Error]
) -> None:
    with pytest.raises(Unavailable):
        await raise_in(database, error)


@pytest.mark.parametrize(
    "error", [errors.UndefinedColumn, errors.CheckViolation, errors.SyntaxError, KeyError]
)
async def test_a_fault_of_ours_stays_one(
    database: PostgresDatabase, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await raise_in(database, error)


async def test_a_statement_prepared_before_a_migration_costs_one_answer(
    database: PostgresDatabase, database_url: str
) -> None:
    async def look() -> None:
        async with database.transaction() as tx:
            await tx.edge.get_session(1, key="chat", caller="edge")

    for _ in range(20):
        await look()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as migration:
        await migration.execute("ALTER TABLE session ADD COLUMN mood text")
    refusals = 0
    for _ in range(10):
        try:
            await look()
        except Unavailable:
            refusals += 1
    assert refusals <= database.pool.max_size
