"""The sandbox as a process of its own: `python -m sandbox`."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from sandbox.server import address, bind
from tests.e2e.program import START_SECONDS
from tests.integration.sandbox_kie import HEADERS
from tests.port import free_address

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def sandbox(**settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the sandbox with these settings and no Telegram."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox"),
        cwd=ROOT,
        env={**os.environ, "SANDBOX_TELEGRAM_LISTEN": "", **settings},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Return the exit status and everything on stderr, once the process has ended."""
    async with asyncio.timeout(20):
        _, text = await process.communicate()
    return process.returncode, text.decode()


async def ready(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                await client.get("/sandbox/counters")
            except httpx2.ConnectError:
                await asyncio.sleep(0.05)
            else:
                return


async def asked(http: httpx2.AsyncClient, count: int) -> None:
    """Return when so many creations have been asked for."""
    async with asyncio.timeout(20):
        while True:
            if (await http.get("/sandbox/counters")).json()["create_requests"] == count:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_quietly_in_the_middle_of_work(number: signal.Signals) -> None:
    listen = free_address()
    async with (
        sandbox(SANDBOX_KIE_LISTEN=listen, SANDBOX_KIE_DURATION_S="60") as process,
        httpx2.AsyncClient(base_url=f"http://{listen}", headers=HEADERS, trust_env=False) as http,
    ):
        await ready(http)
        order = {"model": "z-image", "input": {"prompt": "fox"}}
        assert (await http.post("/api/v1/jobs/createTask", json=order)).json()["code"] == 200
        await http.put("/sandbox/faults", json=[{"name": "hang"}])
        hung = asyncio.create_task(http.post("/api/v1/jobs/createTask", json=order))
        await asked(http, 2)
        process.send_signal(number)
        assert await said(process) == (0, "")
        with pytest.raises(httpx2.RemoteProtocolError):
            await hung


async def test_a_port_in_use_is_said_in_one_line() -> None:
    with bind("127.0.0.1:0") as taken:
        async with sandbox(SANDBOX_KIE_LISTEN=address(taken)) as process:
            line = f"sandbox: cannot listen on {address(taken)}: Address already in use\n"
            assert await said(process) == (1, line)


@pytest.mark.parametrize("name", ["create_limit", "duration_s"])
async def test_a_bad_setting_is_said_in_one_line(name: str) -> None:
    async with sandbox(**{f"SANDBOX_KIE_{name.upper()}": "much"}) as process:
        status, text = await said(process)
    assert (status, text.count("\n")) == (1, 1)
    assert text.startswith(f"settings: SANDBOX_KIE_{name.upper()} is wrong: ")
