import asyncio
import base64
from typing import Any
from uuid import UUID, uuid4

import pytest

from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import Queue
from generation_svc.domain.error import InvalidInputs, RequestIdReused, TooManyActiveJobs
from generation_svc.domain.job import Job, JobState, Upload
from generation_svc.lifecycle import cancel, picture
from generation_svc.lifecycle.context import Limits
from generation_svc.lifecycle.dispatch import dispatch
from tests.lifecycle import CALLER, SUCCESS, Bench, OpenBench, one_piece

PNG = b"\x89PNG not looked at"
DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
EDIT = {"model_id": "qwen/image-edit"}


async def upload(bench: Bench, data: bytes = PNG) -> Upload:
    return await picture.upload(bench.context, CALLER, owner="user:1", pieces=one_piece(data))


def edit(reference: str) -> dict[str, Any]:
    return {**EDIT, "inputs": {"prompt": "a hat", "image": reference}}


async def test_a_job_is_durable_with_its_first_event_before_kie_hears_of_it(bench: Bench) -> None:
    job = await bench.accept()

    assert bench.provider.created == []
    assert await bench.job(job) == job
    assert job.inputs["aspect_ratio"] == "1:1"  # a default that KIE needs is recorded
    assert await bench.events(job) == ["accepted"]
    assert await bench.history(job) == [(1, "queued")]
    assert (await bench.deliveries(job))["progress"]["state"] == "pending"


async def test_fifty_times_the_same_request_at_once_is_one_job(
    bench: Bench, open_bench: OpenBench
) -> None:
    other = await open_bench(sharing=bench)

    jobs = await asyncio.gather(
        *(each.accept(request_id="r-1", **edit(DATA)) for each in [bench, other] * 25)
    )
    await bench.dispatch_all()

    assert len({job.id for job in jobs}) == 1
    assert len(await bench.query("SELECT id FROM job")) == 1
    assert len(bench.provider.created) == 1


async def test_a_repeated_request_gives_the_job_as_it_is_now(bench: Bench) -> None:
    job = await bench.accept(request_id="r-1")
    await cancel.cancel(bench.context, CALLER, job_id=job.id)

    again = await bench.accept(request_id="r-1")

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
    bench: Bench, other: dict[str, Any]
) -> None:
    job = await bench.accept(request_id="r-1")

    with pytest.raises(RequestIdReused) as reused:
        await bench.accept(request_id="r-1", **other)

    assert reused.value.job_id == str(job.id)


async def test_a_request_id_belongs_to_its_caller(bench: Bench) -> None:
    mine = await bench.accept(request_id="r-1")
    theirs = await bench.accept(request_id="r-1", caller=Caller.trusted("b"), owner="user:2")

    assert mine.id != theirs.id


async def test_what_was_refused_binds_no_request_id(bench: Bench) -> None:
    with pytest.raises(InvalidInputs):
        await bench.accept(request_id="r-1", inputs={"promt": "a cat"})

    assert (await bench.accept(request_id="r-1")).revision == 1


async def test_a_repeated_request_is_answered_though_it_would_be_refused_today(
    open_bench: OpenBench,
) -> None:
    bench = await open_bench(limits=Limits(active_jobs_per_owner=1))
    kept = await upload(bench)
    job = await bench.accept(request_id="r-1", **edit(f"upload:{kept.id}"))
    await bench.query("DELETE FROM upload")

    assert (await bench.accept(request_id="r-1", **edit(f"upload:{kept.id}"))).id == job.id


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
    bench = await open_bench(limits=Limits(active_jobs_per_owner=1))
    job = await bench.run()
    with pytest.raises(TooManyActiveJobs) as busy:
        await bench.accept()
    assert busy.value.retry_after

    await bench.callback(SUCCESS)
    await bench.fetch_all()

    assert (await bench.job(job)).state is JobState.SUCCEEDED
    await bench.accept()


async def test_a_data_picture_becomes_an_upload_that_lives_as_long_as_the_job(
    bench: Bench,
) -> None:
    job = await bench.accept(**edit(DATA))

    kind, _, upload_id = job.inputs["image"].partition(":")
    assert kind == "upload"
    assert bench.store.kept[f"upload/{UUID(upload_id)}"] == PNG
    await bench.later(days=31)
    again = await bench.accept(**edit(job.inputs["image"]))
    await dispatch(bench.context)
    assert again.inputs["image"] == job.inputs["image"]
    assert bench.provider.uploads == [PNG]


async def test_an_upload_or_a_result_serves_as_a_picture(bench: Bench) -> None:
    kept = await upload(bench)
    first = await bench.run(**edit(f"upload:{kept.id}"))
    await bench.callback(SUCCESS)
    await bench.fetch_all()
    result = (await bench.job(first)).result
    assert result is not None

    await bench.run(**edit(f"media:{result.media[0].id}"))

    assert bench.provider.uploads == [PNG, b"picture"]
    assert all(each["image_url"].startswith("https://kie") for each in bench.provider.inputs)
    assert not any("image" in each for each in bench.provider.inputs)


async def test_an_upload_of_an_earlier_release_is_cleaned_on_its_way(bench: Bench) -> None:
    kept = await upload(bench)
    bench.store.kept[f"upload/{kept.id}"] = PNG + b"|the place where it was taken"

    await bench.run(**edit(f"upload:{kept.id}"))

    assert bench.provider.uploads == [PNG]


async def test_a_link_goes_to_kie_as_it_is_and_we_never_fetch_it(bench: Bench) -> None:
    await bench.run(**edit("https://example.org/cat.png"))

    assert bench.provider.uploads == []
    assert bench.provider.inputs[0]["image_url"] == "https://example.org/cat.png"
    assert bench.fetcher.fetched == []


@pytest.mark.parametrize("kind", ["upload", "media"])
async def test_a_picture_that_is_not_the_callers_is_a_violation(bench: Bench, kind: str) -> None:
    kept = await upload(bench)
    for reference, caller in [
        (f"{kind}:{uuid4()}", CALLER),
        (f"upload:{kept.id}", Caller.trusted("b")),
    ]:
        with pytest.raises(InvalidInputs) as invalid:
            await bench.accept(caller=caller, **edit(reference))
        assert [each.field for each in invalid.value.violations] == ["inputs.image"]
    assert await bench.query("SELECT * FROM job") == []


async def test_uploads_that_no_job_uses_are_forgotten_with_their_bytes(bench: Bench) -> None:
    unused, used, refused = [await upload(bench, bytes([n])) for n in range(3)]
    await bench.accept(**edit(f"upload:{used.id}"))
    with pytest.raises(InvalidInputs):
        await bench.accept(model_id="qwen/image-edit", inputs={"image": f"upload:{refused.id}"})

    await bench.later(hours=25)
    await bench.sweep()

    assert list(bench.store.kept) == [f"upload/{used.id}"]
    assert [row["id"] for row in await bench.query("SELECT id FROM upload")] == [used.id]
    with pytest.raises(InvalidInputs):
        await bench.accept(**edit(f"upload:{unused.id}"))
