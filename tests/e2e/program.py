"""One process of the stack: started for real, killed for real, its log a file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from prometheus_client.parser import text_string_to_metric_families

START_SECONDS = 90.0
"""How long a process may take until it is ready: the first start may have to compile."""
_INHERITED = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
"""Where programs and modules are found; nothing else of a developer's environment matters."""
_T = TypeVar("_T")


@dataclass(kw_only=True)
class Program:
    """One `python -m …`; its folder is its working folder and holds its log."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    folder: Path
    env: dict[str, str]
    is_ready: Callable[[], Awaitable[bool]]
    metrics_address: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self, **changes: str) -> None:
        """Start it, with these settings changed from now on; `ready` waits for it."""
        self.env |= changes
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments],
                cwd=self.folder,  # where no developer's .env is
                env={**_INHERITED, "LOG_FORMAT": "json", **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until it is ready; a process that has ended instead is shown with its log."""

        async def is_ready() -> bool:
            assert self.is_alive, f"{self.name} ended:\n{self.log[-3000:]}"
            return await self.is_ready()

        await until(is_ready, within_s=START_SECONDS, what=f"{self.name} is ready")

    async def restart(self, **changes: str) -> None:
        """Stop it if it runs, start it and wait until it is ready."""
        await self.stop()
        self.start(**changes)
        await self.ready()

    def kill(self) -> None:
        """End it at this instruction."""
        self._signal(signal.SIGKILL)
        self._wait()

    async def stop(self) -> None:
        """Ask it to end and wait until it has."""
        self._signal(signal.SIGTERM)
        await asyncio.to_thread(self._wait)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def log_path(self) -> Path:
        return self.folder / "log.jsonl"

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it logged; a line that is no JSON is a record of its own.

        A line ends with a line feed alone: Python knows more separators, which a text may hold.
        """
        return [_record(line) for line in self.log.split("\n") if line]

    async def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a counter over the samples with these labels."""
        async with client(f"http://{self.metrics_address}") as http:
            text = (await http.get("/metrics")).text
        samples = (each for one in text_string_to_metric_families(text) for each in one.samples)
        return sum(
            each.value
            for each in samples
            if each.name == name and labels.items() <= each.labels.items()
        )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.is_alive:
            self._process.send_signal(number)

    def _wait(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self.name} did not stop:\n{self.log[-3000:]}") from None


async def until(condition: Callable[[], Awaitable[_T | None]], *, within_s: float, what: str) -> _T:
    """Return the condition's first true value; fail with `what` if none comes in time."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not (value := await condition()):
        assert asyncio.get_running_loop().time() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.05)
    return value


def client(base_url: str) -> httpx2.AsyncClient:
    """Return an HTTP client; reading certificates for it would cost more than its calls."""
    return httpx2.AsyncClient(base_url=base_url, timeout=30, trust_env=False, verify=False)


async def answers(url: str) -> bool:
    """Return whether the address answers 200."""
    async with client("") as http:
        try:
            return (await http.get(url)).status_code == 200
        except httpx2.HTTPError:
            return False


def _record(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {"level": "raw", "event": line}
    return found if isinstance(found, dict) else {"level": "raw", "event": line}
