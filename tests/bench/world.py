"""What is measured, started as processes on one PostgreSQL that is durable as in production."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from generation_svc.storage.embedded.server import embedded_postgres
from generation_svc.storage.migrate import migrate
from tests.bench.statement import APPLICATION, Counts, counted
from tests.e2e.caller import TOKENS, write_callers
from tests.e2e.program import Program, answers
from tests.e2e.stack import BOT_ID, BOT_TOKEN, serves
from tests.port import free_address

_TEMPLATE = "migrated"
_MAX_CONNECTIONS = 300
"""Some programs are there at once, with 20 each."""
Settings = dict[str, str]


@dataclass(frozen=True)
class Part:
    """A program and where it listens."""

    program: Program
    address: str

    @property
    def pid(self) -> int:
        return self.program.pid


@dataclass(frozen=True, kw_only=True)
class World:
    """Where programs run, and for how long each is measured."""

    folder: Path
    url: str
    rounds: int
    seconds: float
    jobs: int = 0
    """How many jobs the rows about many have; 0 means as many as each says."""

    @property
    def postgres_pid(self) -> int:
        pid_file = self.folder / "postgres/cluster/postmaster.pid"
        return int(pid_file.read_text().split()[0])

    async def database(self, name: str) -> str:
        """Make a migrated database, and return its URL."""
        await _as_admin(self.url, f'CREATE DATABASE "{name}" TEMPLATE {_TEMPLATE}')
        return _with(self.url, path=f"/{name}")

    def counted(self) -> AbstractAsyncContextManager[Counts]:
        """Count the service's statements while the block runs."""
        return counted(self.url, self.folder / "postgres/log")

    def bare(self, module: str, *arguments: str, **env: str) -> Part:
        """Return a program of `tests.bench.bare`."""
        address = env.setdefault("LISTEN", free_address())
        name = "-".join((module, *arguments))
        return Part(
            Program(
                name=f"bare {name}",
                module=f"tests.bench.bare.{module}",
                arguments=arguments,
                folder=self.folder / f"{name}-{address}",
                env=env,
                is_ready=partial(listens, address),
            ),
            address,
        )

    def service(
        self, database_url: str, *arguments: str, kie: str = "127.0.0.1:9", **settings: str
    ) -> Part:
        """Return a replica of the service; its limits are none that the load would meet."""
        address = free_address()
        folder = self.folder / f"service-{address}"
        env = {
            "GENERATION_LISTEN": address,
            "GENERATION_CALLERS_FILE": str(write_callers(folder / "callers.toml", bot_id=BOT_ID)),
            "DATABASE_URL": f"{database_url}&application_name={APPLICATION}",
            "MEDIA_URL": (folder / "media").as_uri(),
            "KIE_API_KEY": "kie-bench-key",
            "KIE_API_URL": f"http://{kie}",
            "KIE_UPLOAD_URL": f"http://{kie}",
            "KIE_RESULT_HOSTS": kie,
            "OWNER_MAX_ACTIVE_JOBS": "100000",
            "CALLER_MAX_QUEUED_JOBS": "1000000",
            "MAX_QUEUED_JOBS": "1000000",
            "CALLER_MAX_WAITS": "20000",
            **settings,
        }
        return _part(folder, "generation_svc", *arguments, address=address, env=env)

    def gateway(self, service: str, *, listen: str) -> Part:
        """Return the callback gateway in front of a service."""
        env = {
            "GATEWAY_LISTEN": listen,
            "GENERATION_ADDRESS": service,
            "GENERATION_TOKEN": TOKENS["gateway"],
        }
        folder = self.folder / f"gateway-{listen}"
        return _part(folder, "callback_gateway", address=listen, env=env)

    def edge(self, service: str, *, telegram: str) -> Part:
        """Return an edge between a service and a Bot API."""
        address = free_address()
        env = {
            "EDGE_LISTEN": address,
            "GENERATION_ADDRESS": service,
            "GENERATION_TOKEN": TOKENS["edge"],
            "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
            "TELEGRAM_API_URL": f"http://{telegram}",
        }
        return _part(self.folder / f"edge-{address}", "edge_bot", address=address, env=env)

    def telegram(self) -> Part:
        """Return the sandbox's Bot API."""
        address = free_address()
        env = {
            "SANDBOX_TELEGRAM_LISTEN": address,
            "SANDBOX_TELEGRAM_TOKEN": BOT_TOKEN,
            "SANDBOX_KIE_LISTEN": "",
        }
        return _part(self.folder / f"telegram-{address}", "sandbox", address=address, env=env)


@asynccontextmanager
async def world(
    folder: Path, *, rounds: int, seconds: float, jobs: int = 0
) -> AsyncIterator[World]:
    """Run a durable PostgreSQL with a migrated template on an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    async with embedded_postgres(folder / "postgres") as url:
        await _as_admin(url, f"CREATE DATABASE {_TEMPLATE}")
        await _as_admin(url, f"ALTER SYSTEM SET max_connections = {_MAX_CONNECTIONS}")
        await asyncio.to_thread(migrate, _with(url, path=f"/{_TEMPLATE}"))
    async with embedded_postgres(folder / "postgres") as url:  # again, with as many connections
        yield World(folder=folder, url=url, rounds=rounds, seconds=seconds, jobs=jobs)


async def _as_admin(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute(statement.encode())


@asynccontextmanager
async def running(*parts: Part) -> AsyncIterator[None]:
    """Start programs in their order, and end them in the opposite one."""
    try:
        for each in parts:
            each.program.start()
            await each.program.ready()
        yield
    finally:
        for each in reversed(parts):
            await each.program.stop()


@contextmanager
def frozen(*parts: Part) -> Iterator[None]:
    """Stop processes at this instruction, so that what they do by themselves is not measured."""
    try:
        for each in parts:
            os.kill(each.pid, signal.SIGSTOP)
        yield
    finally:
        for each in parts:
            os.kill(each.pid, signal.SIGCONT)


def _part(folder: Path, module: str, *arguments: str, address: str, env: Settings) -> Part:
    ready = {
        "generation_svc": partial(serves, address),
        "callback_gateway": partial(answers, f"http://{address}/healthz"),
        "edge_bot": partial(answers, f"http://{address}/readyz"),
        "sandbox": partial(listens, address),
    }
    program = Program(
        name=module,
        module=module,
        arguments=arguments,
        folder=folder,
        env=env,
        is_ready=ready[module],
    )
    return Part(program, address)


async def listens(address: str) -> bool:
    """Return whether something takes connections at an address."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


def _with(url: str, *, path: str) -> str:
    return urlsplit(url)._replace(path=path).geturl()
