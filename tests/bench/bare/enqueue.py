"""The ways to keep a job that is to be done: a raw INSERT, and two queues on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType

import asyncpg
from google.protobuf.json_format import MessageToDict
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.queries import Queries
from procrastinate import App, PsycopgConnector
from psycopg.types.json import Jsonb

from atelier.generation.v1 import generation_service_pb2 as pb
from tests.bench.bare.connection import CONNECTIONS, connections, execute

Enqueue = Callable[[str, pb.CreateJobRequest], Awaitable[object]]
Way = Callable[[str], AbstractAsyncContextManager[Enqueue]]
_TABLE = """
CREATE TABLE IF NOT EXISTS bare_job (
    id uuid PRIMARY KEY, model_id text, owner text, inputs jsonb,
    create_time timestamptz DEFAULT now()
)
"""
_INSERT = "INSERT INTO bare_job (id, model_id, owner, inputs) VALUES (%s, %s, %s, %s)"


@asynccontextmanager
async def inserting(database_url: str) -> AsyncIterator[Enqueue]:
    """Keep jobs as rows of a table with one index."""
    async with connections(database_url) as free:
        await execute(free, _TABLE)

        async def enqueue(job_id: str, request: pb.CreateJobRequest) -> None:
            inputs = Jsonb(dict(request.inputs))
            await execute(free, _INSERT, job_id, request.model_id, request.owner, inputs)

        yield enqueue


@asynccontextmanager
async def deferring(database_url: str) -> AsyncIterator[Enqueue]:
    """Defer jobs to procrastinate."""
    connector = PsycopgConnector(conninfo=database_url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    app = App(connector=connector)
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        task = app.configure_task("generate", queue="bench")

        async def enqueue(job_id: str, request: pb.CreateJobRequest) -> None:
            await task.defer_async(job_id=job_id, **MessageToDict(request))

        yield enqueue


@asynccontextmanager
async def enqueueing(database_url: str) -> AsyncIterator[Enqueue]:
    """Enqueue jobs with pgqueuer."""
    address = database_url.partition("?")[0]  # asyncpg takes options of libpq for the server's
    async with asyncpg.create_pool(address, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        queries = Queries(AsyncpgPoolDriver(pool))
        if not await queries.schema_is_installed():
            await queries.install()

        async def enqueue(_: str, request: pb.CreateJobRequest) -> None:
            await queries.enqueue("generate", request.SerializeToString())

        yield enqueue


WAYS: Mapping[str, Way] = MappingProxyType(
    {"insert": inserting, "procrastinate": deferring, "pgqueuer": enqueueing}
)
"""Each way by its name."""
