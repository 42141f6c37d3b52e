"""Lists of media and references to earlier jobs: from CreateJob to what the provider is asked."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from generation_svc.catalog import validate_inputs
from generation_svc.domain.caller import Caller
from generation_svc.domain.error import InvalidInputs, ProviderUnreachable
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import Job, JobState
from generation_svc.engine import provider_upload
from generation_svc.lifecycle import reference
from generation_svc.lifecycle.dependencies import ModelDependencies
from generation_svc.usecase import upload_input
from tests.invented_model import MODEL_ID, invented_catalog
from tests.lifecycle import CALLER, SUCCESS, Harness, bytes_of, one_piece
from tests.step import dispatch

PNG = b"\x89PNG not looked at"
DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
SHOT: dict[str, Any] = {"prompt": "a wave", "seconds": 3}
SONGS = replace(SUCCESS, item_ids=("song-1", "song-2"))


def with_catalog(harness: Harness, **changes: Any) -> Harness:
    models = ModelDependencies(invented_catalog(**changes), validate_inputs)
    return replace(harness, deps=replace(harness.deps, models=models))


@pytest.fixture
def film(harness: Harness) -> Harness:
    """A service that offers the invented model."""
    return with_catalog(harness)


async def upload(harness: Harness, data: bytes = PNG) -> str:
    pieces = one_piece(data)
    kept = await upload_input.upload(harness.deps, CALLER, owner="user:1", pieces=pieces)
    return f"upload:{kept.id}"


async def ask(harness: Harness, *, caller: Caller = CALLER, **inputs: Any) -> Job:
    return await harness.accept(model_id=MODEL_ID, inputs=inputs, caller=caller)


async def complaints(harness: Harness, **inputs: Any) -> dict[str, str]:
    with pytest.raises(InvalidInputs) as caught:
        await ask(harness, **inputs)
    assert len(await harness.query("SELECT id FROM job WHERE state = 'queued'")) == 0
    return {each.field: each.description for each in caught.value.violations}


async def succeeded(harness: Harness, **accepted: Any) -> Job:
    """Have a job done, whose result are two songs."""
    job = await harness.run(**accepted)
    await harness.callback(SONGS)
    await harness.fetch_all()
    done = await harness.job(job)
    assert done.state is JobState.SUCCEEDED
    return done


async def test_each_place_of_media_is_handed_over_and_told(film: Harness) -> None:
    earlier = await succeeded(film)
    assert earlier.result is not None
    ours = f"media:{earlier.result.media[0].id}"
    one, other = await upload(film, b"one|meta"), await upload(film, b"two")
    link = "https://example.org/a.png"
    await ask(
        film,
        shots=[SHOT, SHOT | {"image": one}],
        images=[other, link, ours],
        last_frame=other,
    )
    assert await dispatch(film.deps)

    sent = film.provider.inputs[-1]
    shots, images = sent["shots"], sent["imageUrls"]
    assert shots[0] == SHOT
    assert shots[1].keys() == {"prompt", "seconds", "image_url"}
    assert images[1] == link
    assert sent["tailUrls"] == [images[0]]
    assert len({shots[1]["image_url"], images[0], images[2]}) == 3
    # Each once, and an upload without its metadata.
    assert sorted(film.provider.uploads) == [b"one", b"picture", b"two"]
    assert "upload:" not in str(sent)
    assert "media:" not in str(sent)


async def test_data_becomes_an_upload_in_each_place(film: Harness) -> None:
    job = await ask(film, shots=[SHOT | {"image": DATA}, SHOT], images=[DATA, await upload(film)])

    stored = [job.inputs["shots"][0]["image"], *job.inputs["images"]]
    assert all(each.startswith("upload:") for each in stored)
    assert len(set(stored)) == 3
    rows = await film.query(
        "SELECT expire_time > now() + interval '34 days' AS is_kept FROM upload"
    )
    assert [row["is_kept"] for row in rows] == [True] * 3


async def test_every_media_that_is_not_there_is_named(film: Harness) -> None:
    mine, gone = await upload(film), f"upload:{uuid4()}"
    found = await complaints(
        film, shots=[SHOT, SHOT | {"image": gone}], images=[mine, f"media:{uuid4()}"]
    )
    assert found.keys() == {"inputs.shots[1].image", "inputs.images[1]"}
    assert "UploadInput" in found["inputs.images[1]"]


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("mime_type", "image/webp", "Must be of the type image/jpeg or image/png, not image/webp."),
        ("size_bytes", 5_000_001, "Must have up to 5000000 bytes, not 5000001."),
    ],
)
async def test_media_that_the_model_cannot_take_is_refused(
    film: Harness, column: str, value: object, complaint: str
) -> None:
    mine = await upload(film)
    await film.query(f"UPDATE upload SET {column} = %s", value)
    assert await complaints(film, prompt="x", images=[mine]) == {"inputs.images[0]": complaint}


async def test_media_of_one_job_is_handed_over_a_few_at_once(film: Harness) -> None:
    images = [await upload(film, b"%d" % number) for number in range(3)]
    last = await upload(film, b"last")
    all_at_it, busy = asyncio.Event(), 0

    async def slow(path: Path, **named: Any) -> str:
        nonlocal busy
        busy += 1
        most.append(busy)
        if busy == provider_upload.MOST_AT_ONCE:
            all_at_it.set()
        await all_at_it.wait()
        busy -= 1
        return f"https://kie.example/{bytes_of(path).decode()}"

    most: list[int] = []
    film.provider.upload = slow  # type: ignore[method-assign]
    await ask(film, prompt="x", images=images, last_frame=last)
    async with asyncio.timeout(10):
        assert await dispatch(film.deps)
    sent = film.provider.inputs[-1]
    assert sent["imageUrls"] == [f"https://kie.example/{number}" for number in range(3)]
    assert sent["tailUrls"] == ["https://kie.example/last"]
    assert max(most) == provider_upload.MOST_AT_ONCE


async def test_one_media_that_cannot_be_handed_over_puts_the_job_back(film: Harness) -> None:
    good, bad = await upload(film, b"good"), await upload(film, b"bad")

    async def picky(path: Path, **named: Any) -> str:
        if bytes_of(path) == b"bad":
            raise ProviderUnreachable
        await asyncio.Event().wait()  # for ever: it is given up when the other fails
        return "never"

    film.provider.upload = picky  # type: ignore[method-assign]
    job = await ask(film, prompt="x", images=[good, bad])
    async with asyncio.timeout(10):
        await dispatch(film.deps)
    assert (await film.job(job)).state is JobState.QUEUED
    assert "upload_failed" in await film.events(job)
    assert film.provider.inputs == []


async def test_media_that_is_gone_before_it_is_handed_over_fails_the_job(film: Harness) -> None:
    job = await ask(film, prompt="x", images=[await upload(film), await upload(film)])
    await film.query("DELETE FROM upload WHERE id = (SELECT max(id::text)::uuid FROM upload)")
    assert await dispatch(film.deps)

    failure = (await film.job(job)).failure
    assert failure is not None
    assert failure.reason is FailureReason.INPUT_UNREADABLE
    assert film.provider.inputs == []


async def test_a_reference_is_told_as_the_provider_knows_it(film: Harness) -> None:
    earlier = await succeeded(film, model_id=MODEL_ID, inputs={"prompt": "the sea"})
    await ask(film, prompt="x", extends=f"job:{earlier.id}", song=f"job:{earlier.id}/2")
    assert await dispatch(film.deps)
    sent = film.provider.inputs[-1]
    assert sent == {"prompt": "x", "mode": "std", "taskId": "task-1", "audioId": "song-2"}


async def test_a_reference_names_the_attempts_that_made_what_it_means(film: Harness) -> None:
    earlier = await succeeded(film, model_id=MODEL_ID, inputs={"prompt": "the sea"})
    inputs = {"prompt": "x", "song": f"job:{earlier.id}"}
    model = film.deps.models.catalog.get(MODEL_ID)
    async with film.transaction() as tx:
        (made,) = await reference.check(tx, CALLER.name, model=model, inputs=inputs)
    assert (made.job_id, made.task_id) == (earlier.id, "task-1")
    assert reference.job_ids(model, inputs | {"extends": f"job:{earlier.id}"}) == (earlier.id,)
    assert reference.job_ids(model, {"prompt": "x"}) == ()


async def test_a_reference_to_nothing_is_refused(film: Harness) -> None:
    job_id = str(uuid4())
    found = await complaints(film, prompt="x", extends=f"job:{job_id}")
    assert found == {"inputs.extends": f"Job {job_id!r} not found."}


async def test_a_reference_to_another_caller_s_job_is_refused(film: Harness) -> None:
    earlier = await succeeded(film, caller=Caller.trusted("somebody"))
    found = await complaints(film, prompt="x", song=f"job:{earlier.id}")
    assert found == {"inputs.song": f"Job {str(earlier.id)!r} not found."}


async def test_a_reference_to_a_job_under_way_is_refused(film: Harness) -> None:
    earlier = await film.run()
    found = await complaints(film, prompt="x", song=f"job:{earlier.id}")
    assert found == {"inputs.song": "Must be a job that succeeded; this one is running."}


async def test_a_reference_to_a_job_of_another_model_is_refused(film: Harness) -> None:
    earlier = await succeeded(film)
    found = await complaints(film, prompt="x", extends=f"job:{earlier.id}")
    assert found == {"inputs.extends": f"Must be a job of {MODEL_ID}, not of z-image."}


async def test_a_reference_beyond_what_was_made_is_refused(film: Harness) -> None:
    earlier = await succeeded(film)
    found = await complaints(film, prompt="x", song=f"job:{earlier.id}/3")
    assert found == {"inputs.song": "This job has no audio 3."}
