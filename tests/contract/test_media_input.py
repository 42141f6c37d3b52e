"""What the contract tells of a model's inputs, and what it says of wrong ones in deep places."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1 import media_pb2, model_pb2
from generation_svc.catalog import validate_inputs
from generation_svc.lifecycle.dependencies import ModelDependencies
from generation_svc.rpc.convert_model import model_to_proto
from tests.contract.failure import refused
from tests.contract.service import Service, serving, struct
from tests.invented_model import ENTRY, MODEL_ID, invented_catalog


async def model(service: Service, model_id: str) -> model_pb2.Model:
    return (await service.generation.GetModel(pb.GetModelRequest(model_id=model_id))).model


@pytest.fixture
async def film(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service that offers the invented model."""
    models = ModelDependencies(invented_catalog(), validate_inputs)
    async with serving(database_url, tmp_path, models=models) as service:
        yield service


async def test_the_four_models_tell_their_media_in_both_ways(idle_service: Service) -> None:
    models = (await idle_service.generation.ListModels(pb.ListModelsRequest())).models
    assert {each.id: each.picture_field for each in models} == {
        each.id: "".join(one.name for one in each.media_inputs) for each in models
    }
    assert all([*each.result_kinds] == [media_pb2.MEDIA_KIND_IMAGE] for each in models)
    (image,) = (await model(idle_service, "qwen/image-edit")).media_inputs
    assert image == model_pb2.MediaInput(
        name="image",
        kind=media_pb2.MEDIA_KIND_IMAGE,
        role=model_pb2.MEDIA_ROLE_SOURCE,
        min_count=1,
        max_count=1,
        mime_types=["image/jpeg", "image/png", "image/webp"],
        max_size_bytes=10_000_000,
        labels={"en": "Source picture", "ru": "Исходная картинка"},
    )


async def test_a_model_tells_every_media_input_by_name(film: Service) -> None:
    told = await model(film, MODEL_ID)
    found = {each.name: each for each in told.media_inputs}
    assert [*found] == ["images", "last_frame", "shots[].image", "sound"]
    images, deep, sound = found["images"], found["shots[].image"], found["sound"]
    assert (images.is_list, images.min_count, images.max_count) == (True, 0, 3)
    assert images.role == model_pb2.MEDIA_ROLE_FIRST_FRAME
    assert (deep.is_list, deep.max_count, dict(deep.labels)) == (
        False,
        1,
        {"en": "Field", "ru": "Поле"},
    )
    assert (sound.kind, sound.max_duration) == (media_pb2.MEDIA_KIND_AUDIO, Duration(seconds=30))
    assert [*told.result_kinds] == [media_pb2.MEDIA_KIND_VIDEO, media_pb2.MEDIA_KIND_IMAGE]
    assert told.picture_field == ""  # an edge of 0.1 could not give what it needs


async def test_a_model_tells_what_references_mean(film: Service) -> None:
    task, song = (await model(film, MODEL_ID)).reference_inputs
    assert (task.name, task.part) == ("extends", model_pb2.REFERENCE_PART_TASK)
    assert ([*task.model_ids], task.is_required) == ([MODEL_ID], False)
    assert (song.name, song.part, [*song.model_ids]) == (
        "song",
        model_pb2.REFERENCE_PART_AUDIO,
        [],
    )


def test_a_model_without_a_prompt_tells_of_none() -> None:
    schema = ENTRY["input_schema"]
    fields = {name: rule for name, rule in schema["properties"].items() if name != "prompt"}
    options = {name: texts for name, texts in ENTRY["options"].items() if name != "prompt"}
    kept = {key: schema[key] for key in ("$schema", "type", "additionalProperties")}
    bare = {**kept, "properties": fields, "required": ["shots"]}
    catalog = invented_catalog(input_schema=bare, options=options, prompt_examples=[])
    told = model_to_proto(catalog.get(MODEL_ID))
    assert (told.prompt_max_length, dict(told.prompt_examples)) == (0, {})


async def test_a_wrong_place_deep_inside_is_named(film: Service) -> None:
    shots = [{"prompt": "a wave", "seconds": 3}, {"prompt": "", "seconds": 99, "image": "x"}]
    request = pb.CreateJobRequest(model_id=MODEL_ID, inputs=struct({"shots": shots}))
    refusal = await refused(film.generation.CreateJob(request))
    assert refusal.reason == "INVALID_INPUTS"
    assert refusal.violations.keys() == {
        "inputs.shots[1].prompt",
        "inputs.shots[1].seconds",
        "inputs.shots[1].image",
    }


async def test_structured_inputs_are_told_as_they_were_taken(film: Service) -> None:
    inputs = {
        "shots": [{"prompt": "a wave", "seconds": 3}],
        "images": ["https://example.org/a.png"],
    }
    job = await film.create(model_id=MODEL_ID, inputs=inputs)
    assert job.inputs == struct(inputs | {"mode": "std"})
    listed = (await film.generation.ListJobs(pb.ListJobsRequest())).jobs
    assert [each.inputs for each in listed] == [job.inputs]
