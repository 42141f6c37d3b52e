"""A large video from KIE to the store and to the caller: whole, and never in memory."""

from __future__ import annotations

import asyncio
import json
import os
from hashlib import sha256

from atelier.generation.v1 import catalog_service_pb2
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import Job
from atelier.generation.v1.media_pb2 import Media, MediaKind
from tests.e2e.memory import children_of, peak_of, reset_peak
from tests.e2e.program import Program, until
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(
    replicas=2,
    service={"UPLOAD_PROCESSES": "1"},
    sandbox={"SANDBOX_KIE_DURATION_S": "0.1"},
    time_scale=0.05,
)
SIZE_MB = int(os.environ.get("LARGE_RESULT_MB", "300"))
MOST_GROWTH = 40 * 2**20
MOST_OF_A_CHILD = 160 * 2**20
"""A process that examines media has Pillow and FFmpeg in memory, and a piece of the file."""
WITHIN_S = 100.0


async def made(stack: Stack, prompt: str) -> Job:
    """Make a video that is so large, and return the job."""
    await stack.kie.configure(result_kind="video", video_padding_mb=SIZE_MB)
    job = await stack.create(prompt)
    settled = await stack.history.settled(job.id, within_s=WITHIN_S)
    assert settled["state"] == "succeeded", settled
    return (await stack.client.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job


async def downloaded(stack: Stack, media: Media) -> tuple[str, int]:
    """Read media in pieces, and return their digest and size."""
    digest, size = sha256(), 0
    async for message in stack.client.generation.DownloadMedia(
        pb.DownloadMediaRequest(media_id=media.id)
    ):
        digest.update(message.data)
        size += len(message.data)
    return digest.hexdigest(), size


async def allow_large(stack: Stack) -> None:
    """Raise the limit of the model's results, as an operator can."""
    patch = json.dumps({"result": {"max_bytes": 2 * SIZE_MB * 2**20}})
    request = catalog_service_pb2.SetModelOverrideRequest(
        model_id="qwen/text-to-image", patch_json=patch
    )
    await stack.client.catalog.SetModelOverride(request)


async def warm(stack: Stack) -> None:
    """Take a small video all the way, so that what is loaded once is there."""
    await stack.kie.configure(result_kind="video", video_padding_mb=1)
    for job in await asyncio.gather(*(stack.create(f"a small one {n}") for n in range(8))):
        await stack.history.settled(job.id, within_s=WITHIN_S)
        found = await stack.client.generation.GetJob(pb.GetJobRequest(job_id=job.id))
        await downloaded(stack, found.job.result.media[0])


async def test_a_large_video_arrives_whole_and_is_never_in_memory(running: Stack) -> None:
    await allow_large(running)
    await warm(running)
    before = {each.pid: reset_peak(each.pid) for each in running.services}

    job = await made(running, "a long film")
    (media,) = job.result.media
    assert (media.kind, media.mime_type) == (MediaKind.MEDIA_KIND_VIDEO, "video/mp4")
    assert (media.width, media.height, media.duration.seconds) == (320, 240, 2)
    assert media.size_bytes > SIZE_MB * 2**20
    assert await downloaded(running, media) == (media.sha256, media.size_bytes)

    growth = {pid: peak_of(pid) - held for pid, held in before.items()}
    children = {pid: peak_of(pid) for each in before for pid in children_of(each)}
    print(f"growth {growth} and children {children} for {SIZE_MB} MB")  # noqa: T201
    assert max(growth.values()) < MOST_GROWTH
    assert children
    assert max(children.values()) < MOST_OF_A_CHILD


async def test_a_large_fetch_whose_process_is_killed_is_done_by_the_other_one(
    running: Stack,
) -> None:
    """The lease of the dead one ends; the other fetches the file, and nothing is left behind."""
    await running.kie.configure(result_kind="video", video_padding_mb=20)
    await running.kie.fault("slow_download", match="killed over it", seconds=6, remaining=1)
    job = await running.create("killed over it")
    killed = await until(lambda: fetching(running), within_s=WITHIN_S, what="a fetch")
    killed.kill()
    try:
        settled = await running.history.settled(job.id, within_s=WITHIN_S)
        assert settled["state"] == "succeeded"
        assert (await running.history.kinds(job.id)).count("settled") == 1
    finally:
        killed.start()
        await killed.ready()
    assert await until(lambda: scratch_is_empty(running), within_s=30, what="no file left over")


async def fetching(stack: Stack) -> Program | None:
    """Return the service that has a part of a result."""
    for each in stack.services:
        if each.is_alive and await each.metric("atelier_media_result_bytes") > 2**20:
            return each
    return None


async def scratch_is_empty(stack: Stack) -> bool:
    await asyncio.sleep(0)
    files = [
        path
        for each in stack.services
        for path in each.folder.glob(".atelier/scratch/*/*")
        if path.name != "lock"
    ]
    return not files


async def test_a_fetch_that_is_longer_than_its_lease_is_made_once(running: Stack) -> None:
    """The lease is 10 s at this scale, and is renewed; nobody else begins the same fetch."""
    await running.kie.configure(result_kind="video", video_padding_mb=5)
    await running.kie.fault("slow_download", match="longer than a lease", seconds=14)
    downloads = (await running.kie.counters())["downloads"]
    job = await running.create("longer than a lease")
    settled = await running.history.settled(job.id, within_s=WITHIN_S)
    assert settled["state"] == "succeeded"
    assert (await running.kie.counters())["downloads"] == downloads + 1
    assert "fetch_failed" not in await running.history.kinds(job.id)
