"""The callers' file changes while the service runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_client import GenerationClient, GenerationError, connect, translated
from generation_svc.caller import CallerDirectory, parse_callers, renewed
from generation_svc.caller.meter import CallerMeter
from tests.contract.failure import refused
from tests.contract.service import Service, serving, struct
from tests.e2e.program import until

OLD, NEW = "the-old-token-of-the-edge", "the-new-token-of-the-edge"
JOBS = ("own_jobs",)


def entry(*tokens: str, name: str = "edge", scopes: tuple[str, ...] = JOBS) -> str:
    hashes = [sha256(token.encode()).hexdigest() for token in tokens]
    return (
        f'[[caller]]\nname = "{name}"\ntokens_sha256 = {hashes}\nscopes = {list(scopes)}\n'
    ).replace("'", '"')


@dataclass
class Renewal:
    service: Service
    file: Path
    stack: AsyncExitStack
    registry: CollectorRegistry

    async def client(self, token: str) -> GenerationClient:
        opened = connect(self.service.address, token=SecretStr(token))
        return await self.stack.enter_async_context(opened)

    def write(self, text: str) -> None:
        """Replace the file as an operator should: in one step."""
        draft = self.file.with_suffix(".new")
        draft.write_text(text)
        draft.replace(self.file)

    def reads(self, outcome: str) -> float:
        labels = {"outcome": outcome}
        return self.registry.get_sample_value("atelier_caller_reads_total", labels) or 0

    async def more_reads(self, outcome: str, *, than: float) -> None:
        async def has_more() -> bool:
            return self.reads(outcome) > than

        await until(has_more, within_s=10, what=f"a file that is {outcome}")


@asynccontextmanager
async def renewal(database_url: str, folder: Path, text: str) -> AsyncIterator[Renewal]:
    file = folder / "callers.toml"
    file.write_text(text)
    callers = CallerDirectory(parse_callers(text))
    async with AsyncExitStack() as stack:
        registry = CollectorRegistry()
        await stack.enter_async_context(
            renewed(callers, file, look_seconds=0.02, meter=CallerMeter(registry))
        )
        service = await stack.enter_async_context(
            serving(database_url, folder / "media", callers=callers)
        )
        yield Renewal(service, file, stack, registry)


@pytest.fixture
async def harness(database_url: str, tmp_path: Path) -> AsyncIterator[Renewal]:
    async with renewal(database_url, tmp_path, entry(OLD)) as harness:
        yield harness


async def reason(client: GenerationClient) -> str:
    try:
        with translated():
            await client.generation.ListJobs(pb.ListJobsRequest())
    except GenerationError as error:
        return error.reason
    return "OK"


async def becomes(client: GenerationClient, wanted: str) -> None:
    async def has_become() -> bool:
        return await reason(client) == wanted

    await until(has_become, within_s=10, what=wanted)


async def create(client: GenerationClient) -> str:
    request = pb.CreateJobRequest(model_id="z-image", inputs=struct({"prompt": "a lighthouse"}))
    return (await client.generation.CreateJob(request)).job.id


async def followed(client: GenerationClient, job_id: str) -> asyncio.Task[GenerationError | None]:
    """Follow a job; the task ends with the stream, and says which error ended it."""
    stream = client.generation.StreamJobUpdates(pb.StreamJobUpdatesRequest(job_id=job_id))
    await stream.read()

    async def drain() -> GenerationError | None:
        try:
            with translated():
                while await stream.read() is not grpc.aio.EOF:
                    pass
        except GenerationError as error:
            return error
        return None

    return asyncio.create_task(drain())


async def test_a_new_token_works_and_an_old_one_ends_without_a_restart(harness: Renewal) -> None:
    old, new = await harness.client(OLD), await harness.client(NEW)
    assert (await reason(old), await reason(new)) == ("OK", "UNAUTHENTICATED")
    harness.write(entry(OLD, NEW))
    await becomes(new, "OK")
    assert await reason(old) == "OK"
    harness.write(entry(NEW))
    await becomes(old, "UNAUTHENTICATED")
    assert await reason(new) == "OK"


@pytest.mark.parametrize(
    "text", ["[[caller", "", entry(NEW, scopes=("everything",))], ids=["TOML", "empty", "scope"]
)
async def test_a_wrong_file_leaves_the_callers_as_they_were(
    harness: Renewal, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old, before = await harness.client(OLD), harness.reads("refused")
    harness.write(text)
    await harness.more_reads("refused", than=before)
    assert await reason(old) == "OK"
    assert "the callers stay as they were" in capsys.readouterr().out
    harness.write(entry(NEW))
    await becomes(old, "UNAUTHENTICATED")


async def test_a_file_that_is_gone_leaves_the_callers_as_they_were(harness: Renewal) -> None:
    old, taken, before = await harness.client(OLD), harness.reads("taken"), harness.reads("refused")
    harness.write(entry(OLD, NEW))
    await harness.more_reads("taken", than=taken)
    harness.file.unlink()
    await harness.more_reads("refused", than=before)
    assert await reason(old) == "OK"


async def test_open_calls_end_with_their_token(harness: Renewal) -> None:
    harness.write(entry(OLD, NEW))
    old, new = await harness.client(OLD), await harness.client(NEW)
    await becomes(new, "OK")
    job_id = await create(old)
    ended, kept = await followed(old, job_id), await followed(new, job_id)
    wait = pb.WaitJobRequest(job_id=job_id, timeout=Duration(seconds=60))
    waiting = asyncio.ensure_future(refused(old.generation.WaitJob(wait)))
    await becomes(old, "OK")
    harness.write(entry(NEW))
    async with asyncio.timeout(10):
        error = await ended
        assert error is not None
        assert (error.reason, (await waiting).reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        assert not kept.done()
        await harness.service.fail(job_id)
        assert await kept is None


async def test_open_calls_of_a_caller_with_other_rights_are_to_be_made_again(
    harness: Renewal,
) -> None:
    old = await harness.client(OLD)
    following = await followed(old, await create(old))
    harness.write(entry(OLD, scopes=("callbacks",)))
    async with asyncio.timeout(10):
        error = await following
    assert error is not None
    assert (error.reason, error.retry_after_s) == ("TEMPORARILY_UNAVAILABLE", 1)
    assert await reason(old) == "PERMISSION_DENIED"
