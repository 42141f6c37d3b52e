"""Who gets in, with real processes: the start rules, `make run`'s tokens, mutual TLS all over."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from google.protobuf.struct_pb2 import Struct
from pydantic import SecretStr

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_client import GenerationError, Transport, connect, translated
from tests.certificate import SERVER_NAME, Authority
from tests.contract.tool import SCRIPTS, documents
from tests.e2e.caller import TOKENS, write_callers
from tests.e2e.program import Program
from tests.e2e.secret import leaks_of
from tests.e2e.stack import BOT_ID, BOT_TOKEN, Shape, serves, stack
from tests.port import free_address

SECRETS = {"edge", "gateway", "local", "media_link_key", "webhook_secret"}
"""What `make run` keeps for itself, a file each."""
NOWHERE = "http://127.0.0.1:9"
KEY = {"KIE_API_KEY": "a-key", "KIE_API_URL": NOWHERE, "KIE_UPLOAD_URL": NOWHERE}
PUBLIC = {**KEY, "GENERATION_LISTEN": "0.0.0.0:0"}
CALLERS = {"GENERATION_CALLERS_FILE": "callers.toml"}
NO_FILE = {
    "GENERATION_TLS_CERTIFICATE_FILE": "certificate.pem",
    "GENERATION_TLS_KEY_FILE": "key.pem",
}
EDGE = {"TELEGRAM_BOT_TOKEN": BOT_TOKEN, "GENERATION_TOKEN": TOKENS["edge"]}


@pytest.mark.parametrize(
    ("module", "settings", "wanted"),
    [
        ("generation_svc", PUBLIC, "GENERATION_CALLERS_FILE"),
        ("generation_svc", PUBLIC | CALLERS, "GENERATION_TLS_CERTIFICATE_FILE"),
        ("generation_svc", PUBLIC | CALLERS | NO_FILE, "certificate.pem: cannot be read"),
        (
            "edge_bot",
            EDGE | {"GENERATION_ADDRESS": "generation.internal:50051"},
            "would travel in the clear",
        ),
    ],
    ids=["public without callers", "public without TLS", "no certificate", "token in the clear"],
)
async def test_what_would_be_open_does_not_start(
    tmp_path: Path, module: str, settings: dict[str, str], wanted: str
) -> None:
    write_callers(tmp_path / "callers.toml", bot_id=BOT_ID)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **settings},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    (line,) = said.decode().splitlines()
    assert wanted in line
    assert not (tmp_path / ".atelier").exists()


async def test_the_whole_system_talks_over_mutual_tls(
    tmp_path: Path, empty_database_url: str
) -> None:
    shape = mutual_tls(tmp_path / "certificates")
    async with stack(tmp_path, database_url=empty_database_url, shape=shape) as started:
        person = await started.telegram.person(first_name="Ada")
        await person.asks_for("a lighthouse behind two locks")
        await person.gets_picture()
        job_id = await started.history.job_of("a lighthouse behind two locks")
        assert "callback" in await started.history.kinds(job_id)
        stranger = connect(started.service.env["GENERATION_LISTEN"])
        async with stranger as client:
            with pytest.raises(GenerationError, match="UNAVAILABLE"), translated():
                await client.generation.ListModels(pb.ListModelsRequest())
        assert await leaks_of(started) == []


def mutual_tls(folder: Path) -> Shape:
    """Return a stack in which each side shows the other a certificate."""
    servers, clients = Authority(folder / "server"), Authority(folder / "client")
    server, client = servers.issue_server(), clients.issue("client")
    return Shape(
        service={
            "GENERATION_TLS_CERTIFICATE_FILE": str(server.certificate),
            "GENERATION_TLS_KEY_FILE": str(server.key),
            "GENERATION_TLS_CLIENT_CA_FILE": str(clients.file),
        },
        transport=Transport(
            ca_file=servers.file,
            certificate_file=client.certificate,
            key_file=client.key,
            server_name=SERVER_NAME,
        ),
    )


async def test_make_run_has_callers_of_its_own_and_forgets_nothing_of_before(
    tmp_path: Path,
) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(SCRIPTS)
    async with running_alone(tmp_path) as service:
        job_id = await asked_without_a_token(service.env["GENERATION_LISTEN"])
    assert "no callers are configured" in service.log
    async with running_all(tmp_path) as everything:
        (answer,) = documents(await pasted(shown_command(everything.log), folder=tmp_path))
        assert answer["job"]["owner"] == "local"
        await sees_of_before(everything, tmp_path, job_id=job_id)
    assert_private(tmp_path / ".atelier" / "caller", screen=everything.log)


@asynccontextmanager
async def running_alone(folder: Path) -> AsyncIterator[Program]:
    """Run the service as it ran before there were callers."""
    listen = free_address()
    env = {**KEY, "GENERATION_LISTEN": listen, "STOP_GRACE_S": "1"}
    ready = partial(serves, listen)
    async with started(
        Program(name="alone", module="generation_svc", folder=folder, env=env, is_ready=ready)
    ) as program:
        yield program


@asynccontextmanager
async def running_all(folder: Path) -> AsyncIterator[Program]:
    """Run what `make run` runs, in the same folder."""
    parts = ("GENERATION", "GATEWAY", "EDGE", "SANDBOX_KIE", "SANDBOX_TELEGRAM")
    env = {f"{part}_LISTEN": free_address() for part in parts}

    async def is_welcome() -> bool:
        return "Atelier is running." in program.log

    program = Program(name="all", module="devrun.run", folder=folder, env=env, is_ready=is_welcome)
    async with started(program):
        yield program


@asynccontextmanager
async def started(program: Program) -> AsyncIterator[Program]:
    program.start()
    try:
        await program.ready()
        yield program
    finally:
        await program.stop()


async def asked_without_a_token(address: str) -> str:
    inputs = Struct()
    inputs.update({"prompt": "a fox of before"})
    async with connect(address) as client:
        asked = pb.CreateJobRequest(model_id="z-image", inputs=inputs)
        return (await client.generation.CreateJob(asked)).job.id


def shown_command(screen: str) -> str:
    return screen.partition("  gRPC     ")[2].partition("  Gateway")[0]


async def pasted(command: str, *, folder: Path) -> str:
    """Run a command as a newcomer does who pastes it into a shell."""
    process = await asyncio.create_subprocess_shell(
        command,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert not error, error.decode()
    return out.decode()


async def sees_of_before(everything: Program, folder: Path, *, job_id: str) -> None:
    token = SecretStr((folder / ".atelier" / "caller" / "local").read_text())
    async with connect(everything.env["GENERATION_LISTEN"], token=token) as client:
        job = (await client.generation.GetJob(pb.GetJobRequest(job_id=job_id))).job
    assert job.inputs["prompt"] == "a fox of before"


def assert_private(folder: Path, *, screen: str) -> None:
    """Check that nobody else reads what is in a folder, and that it was not shown."""
    assert folder.stat().st_mode & 0o777 == 0o700
    files = [path for path in folder.iterdir() if path.name != "callers.toml"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert {path.name for path in files} == SECRETS
    assert not [path.name for path in files if path.read_text() in screen]
