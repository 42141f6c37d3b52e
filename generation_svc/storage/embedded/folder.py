"""The folder of an embedded PostgreSQL: whose it is, who holds it, and what lies in it.

cluster/        the data; initdb writes `cluster.new`, so half of it is never taken for whole
password        the superuser's, readable by the owner alone
log, log.old    what initdb and the server wrote, now and for the holder before
holder.lock     locked by the process that uses the folder
server.lock     locked by every process of the server, so a free lock proves that none is alive
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.process import StartError

_NOBODY = 65534
_LOG_LINES_SHOWN = 6
_PID_FILE_PORT_LINE = 3  # LOCK_FILE_LINE_PORT, as the next one
_PID_FILE_STATUS_LINE = 7  # LOCK_FILE_LINE_PM_STATUS of PostgreSQL's pidfile.h, counted from 0


class EmbeddedPostgresError(StartError):
    """The embedded PostgreSQL cannot run, and its text says why."""


class PostgresFolder:
    """A folder in which one process at a time runs a PostgreSQL."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.cluster = self.path / "cluster"
        self.new_cluster = self.path / "cluster.new"
        self.password_file = self.path / "password"
        self.log_file = self.path / "log"
        self.uid, self.gid = _owner(self.path)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Make the folder if need be, and keep every other process out of it."""
        try:
            self._make()
            lock = self._open("holder.lock", os.O_RDWR)
        except OSError as error:
            raise EmbeddedPostgresError(f"DATA_FOLDER cannot be used: {error.strerror}") from error
        try:
            if not try_lock(lock):
                raise EmbeddedPostgresError(
                    f"Another process is running the PostgreSQL in {self.path}: "
                    "stop it, or set DATABASE_URL in both to share one."
                )
            self._begin_log()
            yield
        finally:
            os.close(lock)

    def open_server_lock(self) -> int:
        """Open the lock that the server's processes inherit, and hold by being alive."""
        return self._open("server.lock", os.O_RDWR)

    def open_log(self) -> int:
        """Open the log to append to it."""
        return self._open("log", os.O_WRONLY | os.O_APPEND)

    def last_log_lines(self) -> str:
        """Return the end of the log."""
        lines = self.log_file.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES_SHOWN:])

    def begin_cluster(self) -> None:
        """Make the empty folder that initdb fills, and a password that is on disk before it."""
        shutil.rmtree(self.new_cluster, ignore_errors=True)
        self.new_cluster.mkdir(mode=0o700)
        self._give(self.new_cluster)
        password = self._open("password", os.O_WRONLY | os.O_TRUNC)
        with os.fdopen(password, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(password)

    def finish_cluster(self) -> None:
        """Give what initdb made its name, in one step."""
        self.new_cluster.rename(self.cluster)

    def is_ready(self, pid: int) -> bool:
        """Whether the server with this pid takes connections, read where pg_ctl reads it."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        status = "".join(lines[_PID_FILE_STATUS_LINE:]).strip()
        return lines[:1] == [str(pid)] and status == "ready"

    def running_port(self) -> int | None:
        """Return where the server listens, if another process runs one here that is ready."""
        try:
            lock = os.open(self.path / "holder.lock", os.O_RDWR)
        except OSError:
            return None
        try:
            # Asked for without a wait: whoever holds it runs the server.
            is_held = not try_lock(lock)
            lines = (self.cluster / "postmaster.pid").read_text().splitlines() if is_held else []
        except FileNotFoundError:
            return None
        finally:
            os.close(lock)
        is_ready = "".join(lines[_PID_FILE_STATUS_LINE:]).strip() == "ready"
        return int(lines[_PID_FILE_PORT_LINE]) if is_ready else None

    def _make(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
            self._give(self.path)

    def _begin_log(self) -> None:
        with suppress(FileNotFoundError):
            self.log_file.replace(self.path / "log.old")

    def _open(self, name: str, flags: int) -> int:
        descriptor = os.open(self.path / name, flags | os.O_CREAT, 0o600)
        if os.geteuid() == 0:
            os.fchown(descriptor, self.uid, self.gid)
        return descriptor

    def _give(self, folder: Path) -> None:
        if os.geteuid() == 0:
            os.chown(folder, self.uid, self.gid)


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file, and say whether it was free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(path: Path) -> tuple[int, int]:
    """Return whom the server runs as: us, or for root the folder's owner or a system user.

    initdb wants a user with a name, which the owner of a mounted folder may lack.
    """
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    nearest = next(folder for folder in (path / "cluster", path, *path.parents) if folder.exists())
    with suppress(KeyError):
        if (uid := nearest.stat().st_uid) != 0:
            return uid, pwd.getpwuid(uid).pw_gid
    with suppress(KeyError):
        return pwd.getpwnam("postgres")[2:4]
    return _NOBODY, _NOBODY
