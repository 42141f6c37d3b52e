"""A user whose file is too large for Telegram sends it on the page of the service itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.upload_link_pb2 import UploadLink
from tests.contract.edge_chat import chatting_at
from tests.contract.edge_job import CLIP
from tests.contract.test_upload_link import FILM, Bench, serving_links
from tests.edge_model import USER

OWNER = f"telegram:{USER}"
MODEL = "topaz/video-upscale"


@pytest.fixture
async def bench(database_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    async with serving_links(database_url, tmp_path) as opened:
        yield opened


async def test_what_was_sent_on_the_page_is_in_the_job(bench: Bench) -> None:
    async with chatting_at(bench.service.address) as chat:
        start = (await chat.last())["message_id"]
        await chat.press_data(f"m::{MODEL}", message_id=start)
        await chat.say(files={"document": ("a.mp4", CLIP + bytes(20_000_001), "video/mp4")})
        shown = await chat.last()
        await chat.press("I have sent it", message=shown)
        assert "The file is not here yet" in await chat.last_text()
        (page,) = shown["reply_markup"]["inline_keyboard"][0]
        answer = await bench.put(UploadLink(uri=page["url"]), FILM)
        assert answer.status_code == 200
        await chat.press("I have sent it")
        assert "credits" in await chat.last_text()
        await chat.press("Create")
    listed = await bench.service.generation.ListJobs(pb.ListJobsRequest(owner=OWNER))
    (job,) = listed.jobs
    assert str(job.inputs["video"]).startswith("upload:")
