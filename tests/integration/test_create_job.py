import asyncio
import base64
from typing import Any
from uuid import UUID, uuid4

import pytest

from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import Queue
from generation_svc.domain.error import InvalidInputs, RequestIdReused, TooManyActiveJobs
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.media import Upload
from generation_svc.lifecycle.dependencies import Limits
from generation_svc.usecase import cancel_job, upload_input
from tests.lifecycle import CALLER, SUCCESS, Harness, OpenBench, one_piece
from tests.step import dispatch

PNG = b"\x89PNG not looked at"
DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
EDIT = {"model_id": "qwen/image-edit"}


async def upload(harness: Harness, data: bytes = PNG) -> Upload:
    return await upload_input.upload(harness.deps, CALLER, owner="user:1", pieces=one_piece(data))


def edit(reference: str) -> dict[str, Any]:
    return {**EDIT, "inputs": {"prompt": "a hat", "image": reference}}


async def test_a_job_is_durable_with_its_first_event_before_kie_hears_of_it(
    harness: Harness,
) -> None:
    job = await harness.accept()

    assert harness.provider.created == []
    assert await harness.job(job) == job
    assert job.inputs["aspect_ratio"] == "1:1"  # a default that KIE needs is recorded
    assert await harness.events(job) == ["accepted"]
    assert await harness.history(job) == [(1, "queued")]
    assert (await harness.deliveries(job))["progress"]["state"] == "pending"


async def test_fifty_times_the_same_request_at_once_is_one_job(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await open_bench(sharing=harness)

    jobs = await asyncio.gather(
        *(each.accept(request_id="r-1", **edit(DATA)) for each in [harness, other] * 25)
    )
    await harness.dispatch_all()

    assert len({job.id for job in jobs}) == 1
    assert len(await harness.query("SELECT id FROM job")) == 1
    assert len(harness.provider.created) == 1


async def test_a_repeated_request_gives_the_job_as_it_is_now(harness: Harness) -> None:
    job = await harness.accept(request_id="r-1")
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)

    again = await harness.accept(request_id="r-1")

    assert (again.id, again.state) == (job.id, JobState.CANCELLED)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"inputs": {"prompt": "a dog"}}, id="inputs"),
        pytest.param({"model_id": "qwen/text-to-image"}, id="model"),
        pytest.param({"owner": "user:2"}, id="owner"),
        pytest.param({"destination": Queue("feed")}, id="destination"),
        pytest.param({"destination": None}, id="no-destination"),
        pytest.param({"inputs": {"promt": "invalid"}}, id="invalid-inputs"),
    ],
)
async def test_a_request_id_with_other_content_is_refused(
    harness: Harness, other: dict[str, Any]
) -> None:
    job = await harness.accept(request_id="r-1")

    with pytest.raises(RequestIdReused) as reused:
        await harness.accept(request_id="r-1", **other)

    assert reused.value.job_id == str(job.id)


async def test_a_request_id_belongs_to_its_caller(harness: Harness) -> None:
    mine = await harness.accept(request_id="r-1")
    theirs = await harness.accept(request_id="r-1", caller=Caller.trusted("b"), owner="user:2")

    assert mine.id != theirs.id


async def test_what_was_refused_binds_no_request_id(harness: Harness) -> None:
    with pytest.raises(InvalidInputs):
        await harness.accept(request_id="r-1", inputs={"promt": "a cat"})

    assert (await harness.accept(request_id="r-1")).revision == 1


async def test_a_repeated_request_is_answered_though_it_would_be_refused_today(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench(limits=Limits(active_jobs_per_owner=1))
    kept = await upload(harness)
    job = await harness.accept(request_id="r-1", **edit(f"upload:{kept.id}"))
    await harness.query("DELETE FROM upload")

    assert (await harness.accept(request_id="r-1", **edit(f"upload:{kept.id}"))).id == job.id


async def test_a_quota_is_exact_however_many_come_at_once(open_bench: OpenBench) -> None:
    benches = [await open_bench(limits=Limits(active_jobs_per_owner=5)) for _ in range(2)]

    outcomes = await asyncio.gather(
        *(each.accept(request_id=f"r-{n}") for n in range(15) for each in benches),
        return_exceptions=True,
    )

    refused = [each for each in outcomes if isinstance(each, TooManyActiveJobs)]
    jobs = {each.id for each in outcomes if isinstance(each, Job)}
    assert len(jobs) == 5
    assert len(jobs) + len(refused) <= len(outcomes)
    assert all(isinstance(each, Job | TooManyActiveJobs) for each in outcomes)
    assert len(await benches[0].query("SELECT * FROM request_key")) == 5
    await benches[0].accept(owner="user:2")


async def test_a_place_is_free_again_once_a_job_is_over(open_bench: OpenBench) -> None:
    harness = await open_bench(limits=Limits(active_jobs_per_owner=1))
    job = await harness.run()
    with pytest.raises(TooManyActiveJobs) as busy:
        await harness.accept()
    assert busy.value.retry_after

    await harness.callback(SUCCESS)
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED
    await harness.accept()


async def test_a_data_picture_becomes_an_upload_that_lives_as_long_as_the_job(
    harness: Harness,
) -> None:
    job = await harness.accept(**edit(DATA))

    kind, _, upload_id = job.inputs["image"].partition(":")
    assert kind == "upload"
    assert harness.store.kept[f"upload/{UUID(upload_id)}"] == PNG
    await harness.later(days=31)
    again = await harness.accept(**edit(job.inputs["image"]))
    await dispatch(harness.deps)
    assert again.inputs["image"] == job.inputs["image"]
    assert harness.provider.uploads == [PNG]


async def test_an_upload_or_a_result_serves_as_a_picture(harness: Harness) -> None:
    kept = await upload(harness)
    first = await harness.run(**edit(f"upload:{kept.id}"))
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    result = (await harness.job(first)).result
    assert result is not None

    await harness.run(**edit(f"media:{result.media[0].id}"))

    assert harness.provider.uploads == [PNG, b"picture"]
    assert all(each["image_url"].startswith("https://kie") for each in harness.provider.inputs)
    assert not any("image" in each for each in harness.provider.inputs)


async def test_an_upload_of_an_earlier_release_is_cleaned_on_its_way(harness: Harness) -> None:
    kept = await upload(harness)
    harness.store.kept[f"upload/{kept.id}"] = PNG + b"|the place where it was taken"

    await harness.run(**edit(f"upload:{kept.id}"))

    assert harness.provider.uploads == [PNG]


async def test_a_link_goes_to_kie_as_it_is_and_we_never_fetch_it(harness: Harness) -> None:
    await harness.run(**edit("https://example.org/cat.png"))

    assert harness.provider.uploads == []
    assert harness.provider.inputs[0]["image_url"] == "https://example.org/cat.png"
    assert harness.fetcher.fetched == []


@pytest.mark.parametrize("kind", ["upload", "media"])
async def test_a_picture_that_is_not_the_callers_is_a_violation(
    harness: Harness, kind: str
) -> None:
    kept = await upload(harness)
    for reference, caller in [
        (f"{kind}:{uuid4()}", CALLER),
        (f"upload:{kept.id}", Caller.trusted("b")),
    ]:
        with pytest.raises(InvalidInputs) as invalid:
            await harness.accept(caller=caller, **edit(reference))
        assert [each.field for each in invalid.value.violations] == ["inputs.image"]
    assert await harness.query("SELECT * FROM job") == []


async def test_uploads_that_no_job_uses_are_forgotten_with_their_bytes(harness: Harness) -> None:
    unused, used, refused = [await upload(harness, bytes([n])) for n in range(3)]
    await harness.accept(**edit(f"upload:{used.id}"))
    with pytest.raises(InvalidInputs):
        await harness.accept(model_id="qwen/image-edit", inputs={"image": f"upload:{refused.id}"})

    await harness.later(hours=25)
    await harness.sweep()

    assert list(harness.store.kept) == [f"upload/{used.id}"]
    kept = await harness.query("SELECT id FROM upload WHERE remove_time IS NULL")
    assert [row["id"] for row in kept] == [used.id]
    with pytest.raises(InvalidInputs):
        await harness.accept(**edit(f"upload:{unused.id}"))
