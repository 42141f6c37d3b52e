import asyncio
import os
import signal
import socket
import subprocess
import sys

import httpx2
import pytest
from prometheus_client import CollectorRegistry, Counter

from runtime.address import Address
from runtime.backoff import Backoff
from runtime.http import serving
from runtime.metric import serve_metrics
from runtime.metric_page import metrics_app
from runtime.process import StartError, run
from runtime.readiness import Readiness
from runtime.shutdown import shutdown_signals

ANY_PORT = Address("127.0.0.1", 0)


async def test_metrics_are_served_as_prometheus_reads_them() -> None:
    registry = CollectorRegistry()
    Counter("example", "Examples seen.", registry=registry).inc(3)
    async with serve_metrics(ANY_PORT, registry=registry) as address, httpx2.AsyncClient() as http:
        answer = await http.get(f"http://{address}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "example_total 3.0" in answer.text


async def test_beside_the_metrics_a_process_tells_whether_it_is_ready() -> None:
    stop, seen = asyncio.Event(), asyncio.Queue[bool]()
    readiness = Readiness()

    async def look() -> bool:
        is_ready = await seen.get()
        seen.task_done()
        return is_ready

    async def answered(path: str) -> int:
        async with httpx2.AsyncClient() as http:
            return (await http.get(f"http://{address}{path}")).status_code

    async with (
        serve_metrics(ANY_PORT, registry=CollectorRegistry(), readiness=readiness) as address,
        asyncio.TaskGroup() as group,
    ):
        assert await answered("/readyz") == 503
        group.create_task(readiness.follow(look, stop=stop, interval_seconds=0))
        for is_ready, status in ((True, 200), (False, 503), (True, 200)):
            seen.put_nowait(is_ready)
            await seen.join()
            assert (await answered("/readyz"), await answered("/healthz")) == (status, 200)
        stop.set()
        seen.put_nowait(True)
    assert not readiness.is_ready


async def test_a_process_that_is_not_ready_yet_looks_again_soon() -> None:
    """The first look of a start may come a moment before the database is heard."""
    stop, readiness, looks = asyncio.Event(), Readiness(), 0

    async def look() -> bool:
        nonlocal looks
        looks += 1
        if looks > 2:
            stop.set()
        return looks > 2

    async with asyncio.timeout(30):  # a look an hour would never get there
        await readiness.follow(look, stop=stop, interval_seconds=3600)
    assert looks == 3


async def test_no_metrics_are_served_without_an_address() -> None:
    async with serve_metrics(None) as address:
        assert address is None


async def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(StartError, match=f"^cannot listen on {address}: Address already"):
            async with serving(metrics_app(CollectorRegistry()), address):
                pass


def test_a_start_error_ends_the_process_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        raise StartError("no way")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    with pytest.raises(SystemExit) as stopped:
        run(main)
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "no way\n"


@pytest.mark.parametrize("received", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_asks_for_the_end(received: signal.Signals) -> None:
    async with shutdown_signals() as stop:
        os.kill(os.getpid(), received)
        await asyncio.wait_for(stop.wait(), timeout=5)


def test_a_second_signal_does_not_wait() -> None:
    program = """
import asyncio, os, signal
from runtime.process import run
from runtime.shutdown import shutdown_signals

async def main():
    async with shutdown_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

run(main)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30)
    assert ended.returncode == 128 + signal.SIGTERM


def test_the_bound_of_a_delay_doubles_up_to_the_cap() -> None:
    backoff = Backoff(first_s=0.5, cap_s=3)
    assert [backoff.bound_s(failures) for failures in (1, 2, 3, 4, 5000)] == [0.5, 1, 2, 3, 3]


def test_each_delay_lies_between_zero_and_its_bound() -> None:
    backoff = Backoff(first_s=0.5, cap_s=3)
    for failures, delay in zip(range(1, 50), backoff, strict=False):
        assert 0 <= delay <= backoff.bound_s(failures)
