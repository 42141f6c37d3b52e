"""The release before this one runs on this one's schema, alone and beside it, both ways."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest

from atelier.generation.v1 import catalog_service_pb2 as catalog_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JobState
from generation_client import connect
from generation_svc.catalog import load_catalog
from tests.contract.service import KIE_KEY, sandbox_kie, struct
from tests.e2e.program import Program
from tests.e2e.stack import serves
from tests.port import free_address
from tests.release import SCHEMA, unpack_code


@pytest.fixture
async def kie_url() -> AsyncIterator[str]:
    async with sandbox_kie() as url:
        yield url


def program(name: str, *, folder: Path, database_url: str, kie_url: str, path: str) -> Program:
    """A service whose code is found on this PYTHONPATH, or ours if that is empty."""
    listen = free_address()
    env = {
        "PYTHONPATH": path,
        "GENERATION_LISTEN": listen,
        "METRICS_LISTEN": free_address(),
        "DATABASE_URL": database_url,
        "MEDIA_URL": (folder / "media").as_uri(),
        "KIE_API_KEY": KIE_KEY,
        "KIE_API_URL": kie_url,
        "KIE_UPLOAD_URL": kie_url,
        "KIE_RESULT_HOSTS": kie_url.removeprefix("http://"),
        "TIME_SCALE": "0.05",
    }
    return Program(
        name=name,
        module="generation_svc",
        folder=folder / name,
        env=env,
        is_ready=partial(serves, listen),
    )


@asynccontextmanager
async def started(program: Program) -> AsyncIterator[str]:
    """Run a service, and give its address; it must end without an error in its log."""
    program.start()
    try:
        await program.ready()
        yield program.env["GENERATION_LISTEN"]
    finally:
        await program.stop()
    faults = [record for record in program.records if record["level"] in ("error", "raw")]
    assert not [fault for fault in faults if not is_of_the_upgrade(fault)]


def is_of_the_upgrade(record: dict[str, object]) -> bool:
    """Whether it is the one fault of a release that runs while its tables are given columns.

    A statement that it had prepared fails once and is prepared again; what it did is done again.
    """
    return "cached plan must not change result type" in str(record.get("exception"))


async def accepted(address: str, *, prompt: str) -> str:
    """Make a job."""
    async with connect(address) as client:
        request = pb.CreateJobRequest(model_id="z-image", inputs=struct({"prompt": prompt}))
        return (await client.generation.CreateJob(request)).job.id


async def accepted_of_a_new_model(address: str) -> str:
    """Import a model that the release before this one has never heard of, and make a job of it."""
    document = {
        **(load_catalog().models["z-image"].document or {}),
        "id": "acme/dream",
        "title": {"ru": "Сон", "en": "Dream"},
    }
    async with connect(address) as client:
        text = json.dumps(document)
        await client.catalog.ImportCatalog(catalog_pb.ImportCatalogRequest(document_json=[text]))
        request = pb.CreateJobRequest(model_id="acme/dream", inputs=struct({"prompt": "a dream"}))
        return (await client.generation.CreateJob(request)).job.id


async def succeeds(address: str, job_id: str) -> bool:
    """Wait for a job there, and read its picture."""
    async with connect(address) as client:
        request = pb.WaitJobRequest(job_id=job_id)
        request.timeout.FromSeconds(30)
        job = (await client.generation.WaitJob(request)).job
        assert job.state == JobState.JOB_STATE_SUCCEEDED, job
        media = pb.DownloadMediaRequest(media_id=job.result.media[0].id)
        return bool([piece async for piece in client.generation.DownloadMedia(media)])


def revision_of(url: str) -> str:
    with psycopg.connect(url) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ()
    return str(revision)


async def test_a_rolling_deploy_goes_both_ways(
    empty_database_url: str, kie_url: str, tmp_path: Path
) -> None:
    make = partial(program, folder=tmp_path, database_url=empty_database_url, kie_url=kie_url)
    before = make("before", path=unpack_code(tmp_path / "code"))
    after = make("after", path="")
    async with started(before) as old:
        assert await succeeds(old, await accepted(old, prompt="on its own schema"))
        assert revision_of(empty_database_url) == SCHEMA
        async with started(after) as new:
            assert revision_of(empty_database_url) > SCHEMA
            for here, there in ((old, new), (new, old), (old, old)):
                assert await succeeds(there, await accepted(here, prompt="both are there"))
            # The old one claims them, too, and would fail them: it gets no token for them.
            for _ in range(10):
                assert await succeeds(new, await accepted_of_a_new_model(new))
    async with started(before) as old:  # it starts on the newer schema, and the newer one is gone
        assert await succeeds(old, await accepted(old, prompt="taken back"))
