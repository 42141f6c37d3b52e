"""`python -m edge_bot` as a process of its own, killed at bad moments."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from tempfile import NamedTemporaryFile
from typing import IO

import httpx2
import pytest

from tests.contract.edge_harness import CHAT, Harness, delivery, harness, succeeded, until
from tests.e2e.program import START_SECONDS
from tests.integration.sandbox_telegram import TOKEN
from tests.port import free_port


@dataclass
class Process:
    """A running edge, and the file that it logs to: a pipe holds it up once nobody empties it."""

    child: asyncio.subprocess.Process
    url: str
    log_path: Path

    @property
    def log(self) -> bytes:
        return self.log_path.read_bytes()

    async def is_ready(self) -> bool:
        try:
            async with httpx2.AsyncClient(trust_env=False) as http:
                return (await http.get(f"{self.url}/readyz")).is_success
        except httpx2.TransportError:
            return False

    async def end(self, how: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.child.send_signal(how)
        async with asyncio.timeout(10):
            return await self.child.wait()


def environment(edge: Harness, **changes: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": edge.telegram.url,
        "GENERATION_ADDRESS": f"127.0.0.1:{edge.service.port}",
        "EDGE_LISTEN": f"127.0.0.1:{free_port()}",
        "LOG_LEVEL": "debug",
        **changes,
    }


async def started(variables: dict[str, str], log: int | IO[bytes]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_bot", env=variables, stderr=log
    )


@asynccontextmanager
async def running(edge: Harness, *, is_webhook: bool = False) -> AsyncIterator[Process]:
    """Run an edge; it is killed at the end if it still lives."""
    variables = environment(edge)
    url = f"http://{variables['EDGE_LISTEN']}"
    if is_webhook:
        variables["TELEGRAM_WEBHOOK_URL"] = url
    with NamedTemporaryFile() as log:
        child = await started(variables, log.file)
        process = Process(child, url, Path(log.name))
        try:
            await until(process.is_ready, within_s=START_SECONDS)
            yield process
            assert TOKEN.encode() not in process.log
        finally:
            if child.returncode is None:
                await process.end(signal.SIGKILL)


@pytest.fixture
async def edge() -> AsyncIterator[Harness]:
    async with harness() as made:
        yield made


async def test_a_press_survives_a_kill_while_it_is_handled(edge: Harness) -> None:
    async with running(edge) as first:
        await edge.telegram.started(CHAT)
        await until(lambda: has_answered(edge))
        await until(edge.has_confirmed)
        greeting = (await edge.messages())[-1]
        button = greeting["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        await edge.telegram.fault(kind="timeout", chat_id=CHAT, seconds=30, times=1)
        await edge.telegram.press(CHAT, greeting["message_id"], button)
        await until(lambda: has_hung(edge))
        await first.end(signal.SIGKILL)
    assert await edge.pending() == 1
    assert (await edge.messages())[-1] == greeting
    edge.service.edge.holder = ""
    async with running(edge) as second:
        await until(edge.has_confirmed)
        assert (await edge.messages())[-1] != greeting
        assert await second.end(signal.SIGTERM) == 0


async def has_answered(edge: Harness) -> bool:
    return any(one["from"]["is_bot"] for one in await edge.messages())


async def has_hung(edge: Harness) -> bool:
    calls = (await edge.telegram.http.get("/sandbox/calls")).json()["calls"]
    return "timeout" in [call["fault"] for call in calls]


async def test_a_result_survives_a_kill_between_its_lease_and_its_sending(edge: Harness) -> None:
    message_id = await edge.progress_message()
    job = succeeded(edge.media())
    edge.service.delivery.unavailable = 10_000
    edge.service.delivery.offer(delivery(job, message_id=message_id))
    async with running(edge) as first:
        await until(lambda: was_leased(edge))
        await kill(first, edge)
    edge.service.delivery.unavailable = 0
    edge.service.delivery.offer(delivery(job, message_id=message_id))
    async with running(edge):
        assert not (await edge.service.delivery.outcome(within_s=60)).sent.is_edit
    assert len([one for one in await edge.messages() if "photo" in one]) == 1


async def kill(process: Process, edge: Harness) -> None:
    """Kill an edge and wait for the end of its calls, one of which would take the next delivery."""
    await process.end(signal.SIGKILL)
    await until(lambda: is_nobody_waiting(edge))


async def is_nobody_waiting(edge: Harness) -> bool:
    return not edge.service.delivery.waiting


async def was_leased(edge: Harness) -> bool:
    return edge.service.delivery.unavailable < 10_000


async def test_a_result_survives_a_kill_between_its_sending_and_its_report(edge: Harness) -> None:
    message_id = await edge.progress_message()
    job = succeeded(edge.media())
    await edge.telegram.fault(kind="timeout", method="sendPhoto", seconds=30, times=1)
    edge.service.delivery.offer(delivery(job, message_id=message_id))
    async with running(edge) as first:
        await until(lambda: edge.telegram.calls("sendPhoto"))
        await kill(first, edge)
    edge.service.delivery.offer(delivery(job, message_id=message_id, maybe_sent=True))
    async with running(edge):
        assert (await edge.service.delivery.outcome(within_s=60)).sent.is_edit
    assert len(await edge.telegram.calls("sendPhoto")) == 1
    assert [one["message_id"] for one in await edge.messages() if "photo" in one] == [message_id]


async def test_it_presents_itself_in_both_languages(edge: Harness) -> None:
    async with running(edge):
        await until(lambda: edge.telegram.calls("setMyShortDescription"))
        await until(lambda: is_presented(edge))
    english, russian = [
        await edge.telegram.result("getMyCommands", language_code=code) for code in ("", "ru")
    ]
    assert [one["command"] for one in english] == [one["command"] for one in russian]
    assert all(a["description"] != b["description"] for a, b in zip(english, russian, strict=True))


async def is_presented(edge: Harness) -> bool:
    return len(await edge.telegram.calls("setMyShortDescription")) == 2


WRONG = {
    "no token": ({"TELEGRAM_BOT_TOKEN": ""}, "TELEGRAM_BOT_TOKEN is missing"),
    "no real token": ({"TELEGRAM_BOT_TOKEN": "secret"}, "TELEGRAM_BOT_TOKEN is wrong"),
    "no address": ({"TELEGRAM_API_URL": "telegram"}, "TELEGRAM_API_URL is wrong"),
    "no webhook address": ({"TELEGRAM_WEBHOOK_URL": "x"}, "TELEGRAM_WEBHOOK_URL is wrong"),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
async def test_a_wrong_setting_is_one_line(
    edge: Harness, changes: dict[str, str], words: str
) -> None:
    child = await started(environment(edge, **changes), PIPE)
    _, log = await child.communicate()
    assert child.returncode == 1
    assert words in log.decode()
    assert "secret" not in log.decode().replace("TELEGRAM", "")
    assert len(log.decode().strip().splitlines()) == 1


async def test_a_port_in_use_is_one_line(edge: Harness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = environment(edge, EDGE_LISTEN=f"127.0.0.1:{port}", LOG_LEVEL="info")
        child = await started(settings, PIPE)
        _, log = await child.communicate()
    assert child.returncode == 1
    assert log.decode().strip().splitlines() == [
        f"cannot listen on 127.0.0.1:{port}: Address already in use"
    ]
