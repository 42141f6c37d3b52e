"""Connections to PostgreSQL with nothing around them, and a gRPC server with nothing in it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

import grpc
import psycopg

CONNECTIONS = 20
"""As many as a replica of the service has."""
Connections: TypeAlias = "asyncio.LifoQueue[psycopg.AsyncConnection[Any]]"


@asynccontextmanager
async def connections(database_url: str, *, count: int = CONNECTIONS) -> AsyncIterator[Connections]:
    """Open connections that commit each statement."""
    free: Connections = asyncio.LifoQueue()
    async with AsyncExitStack() as stack:
        for _ in range(count):
            connect = psycopg.AsyncConnection.connect(database_url, autocommit=True)
            free.put_nowait(await stack.enter_async_context(await connect))
        yield free


async def execute(free: Connections, statement: str, *values: object) -> None:
    """Run one statement, and commit it."""
    connection = await free.get()
    try:
        await connection.execute(statement, values)
    finally:
        free.put_nowait(connection)


async def serve(server: grpc.aio.Server) -> None:
    """Listen on the address in LISTEN until the process is killed."""
    server.add_insecure_port(os.environ["LISTEN"])
    await server.start()
    await server.wait_for_termination()
