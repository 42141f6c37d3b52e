"""An import outlives its service: that is killed midway, and the next run goes on."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from psycopg import AsyncConnection

from tests.e2e.program import Program, until
from tests.port import free_address

MANY = 6000


def program(folder: Path, database_url: str) -> Program:
    """Return a service with a wallet on a database."""
    listen = free_address()
    env = {
        "DATABASE_URL": database_url,
        "GENERATION_LISTEN": listen,
        "KIE_API_KEY": "a-key",
        "KIE_API_URL": "http://127.0.0.1:9",
        "KIE_UPLOAD_URL": "http://127.0.0.1:9",
        "MONEY": "test",
    }

    async def answers() -> bool:
        async with grpc.aio.insecure_channel(listen) as channel:
            try:
                await asyncio.wait_for(channel.channel_ready(), 1)
            except TimeoutError:
                return False
        return True

    return Program(
        name="service", module="generation_svc", folder=folder, env=env, is_ready=answers
    )


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Program]:
    service = program(tmp_path / "service", database_url)
    service.start()
    yield service
    service.kill()


async def start(service: Program, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "generation_svc.wallet", *arguments),
        env={**os.environ, "GENERATION_ADDRESS": service.env["GENERATION_LISTEN"]},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def command(service: Program, *arguments: str) -> list[str]:
    """Run the command until it ends well."""
    process = await start(service, *arguments)
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, errors.decode()) == (0, "")
    return out.decode().splitlines()


async def counted(database_url: str, state: str) -> int:
    async with await AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM wallet_import WHERE state = %s", (state,)
        )
        found = await cursor.fetchone()
    assert found is not None
    return int(found[0])


async def killed_at(
    service: Program, database_url: str, *, state: str, arguments: tuple[str, ...]
) -> int:
    """Kill the service and the command while rows come to be in a state; return how many are."""
    process = await start(service, *arguments)

    async def is_midway() -> bool:
        return await counted(database_url, state) >= MANY // 10

    await until(is_midway, within_s=20, what="some rows are done")
    service.kill()
    process.kill()
    await process.communicate()
    service.start()
    await service.ready()
    return await counted(database_url, state)  # what was being committed is committed by now


async def check(service: Program) -> tuple[int | None, str]:
    """Check the ledger as an operator does, beside the service."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "generation_svc.check_ledger"),
        cwd=service.folder,
        env={**os.environ, "DATABASE_URL": service.env["DATABASE_URL"]},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode()


async def test_an_import_and_its_undo_go_on_after_their_service_was_killed(
    service: Program, database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "many.csv"
    rows = "".join(f"old,{number},2.5,RUB\n" for number in range(1, MANY + 1))
    path.write_text(f"source,user_id,amount,currency\n{rows}", encoding="utf-8")
    await service.ready()

    importing = ("import", str(path), "--rate", "2", "--apply")
    done = await killed_at(service, database_url, state="imported", arguments=importing)
    assert MANY // 10 <= done < MANY
    code, found = await check(service)
    assert code == 0, found
    made, repeated, rejected, last = await command(service, *importing)
    assert made == f"{MANY - done} rows were imported: {5 * (MANY - done)} credits."
    assert (repeated, rejected) == (f"{done} rows were imported before.", "0 rows are rejected.")

    undoing = ("undo", last.split()[-1])
    done = await killed_at(service, database_url, state="undone", arguments=undoing)
    assert MANY // 10 <= done < MANY
    assert await command(service, *undoing) == [f"{MANY - done} rows were undone."]
    code, found = await check(service)
    assert code == 0, found
    async with await AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT count(*), sum(granted)::bigint FROM wallet")
        assert await cursor.fetchone() == (MANY, 0)
