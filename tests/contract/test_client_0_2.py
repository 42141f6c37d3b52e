"""A client that knows only the contract of 0.2.0 makes a picture with what ListModels tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from tests.contract.market import MODELS
from tests.contract.service import Service, sandbox_kie, serving
from tests.integration.sandbox_telegram import picture

RELEASED = Path("proto/released.binpb")
PACKAGE = "atelier.generation.v1"
FREE = ["z-image", "qwen/text-to-image", "qwen/image-to-image", "qwen/image-edit"]
READ = {
    "kind",
    "titles",
    "descriptions",
    "input_schema",
    "pricing",
    "usual_duration",
    "longest_duration",
    "prompt_examples",
    "prompt_max_length",
    "hints",
    "result_kinds",
}
"""What an edge of 0.2.0 reads of each model that it offers."""


@cache
def released() -> DescriptorPool:
    """Return the contract as it was released, apart from the one that this process knows."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(RELEASED.read_bytes()).file:
        pool.Add(file)
    return pool


def message(name: str, **fields: Any) -> Any:
    return GetMessageClass(released().FindMessageTypeByName(f"{PACKAGE}.{name}"))(**fields)


async def call(service: Service, rpc: str, **fields: Any) -> Any:
    """Call an RPC that takes and gives one message."""
    method: Any = service.channel.unary_unary(
        f"/{PACKAGE}.GenerationService/{rpc}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=type(message(f"{rpc}Response")).FromString,
    )
    return await method(message(f"{rpc}Request", **fields))


async def upload(service: Service, data: bytes) -> Any:
    method: Any = service.channel.stream_unary(
        f"/{PACKAGE}.GenerationService/UploadInput",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=type(message("UploadInputResponse")).FromString,
    )
    return (await method(iter([message("UploadInputRequest", data=data)]))).upload


@pytest.fixture(params=["free alone", "every model"])
async def at_work(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> AsyncIterator[Service]:
    models = MODELS if request.param == "every model" else None
    async with (
        sandbox_kie() as url,
        serving(database_url, tmp_path, kie_url=url, models=models) as service,
    ):
        yield service


def test_the_released_contract_knows_no_views() -> None:
    fields = released().FindMessageTypeByName(f"{PACKAGE}.ListModelsRequest").fields_by_name
    assert "view" not in fields


async def test_the_list_tells_an_old_edge_what_it_reads(at_work: Service) -> None:
    models = {each.id: each for each in (await call(at_work, "ListModels")).models}

    for model_id in FREE:
        told = {field.name for field, _ in models[model_id].ListFields()}
        assert told >= READ
        # The form of this one follows from its picture.
        assert ("options" in told) is (model_id != "qwen/image-to-image")
        assert bool(models[model_id].media_inputs) is model_id.startswith("qwen/image-")


async def test_an_old_client_makes_a_picture(at_work: Service) -> None:
    models = {each.id: each for each in (await call(at_work, "ListModels")).models}
    editor = models["qwen/image-edit"]
    source = f"upload:{(await upload(at_work, picture(96, 64))).id}"
    option = next(each for each in editor.options if each.choices)
    request = message("CreateJobRequest", model_id=editor.id)
    request.inputs.update({"prompt": editor.prompt_examples["en"].prompts[0]})
    request.inputs.update({editor.media_inputs[0].name: source})
    request.inputs.fields[option.field].CopyFrom(option.choices[-1].value)
    made = (await call(at_work, "CreateJob", model_id=request.model_id, inputs=request.inputs)).job
    done = (await call(at_work, "WaitJob", job_id=made.id)).job

    state = released().FindEnumTypeByName(f"{PACKAGE}.JobState").values_by_number[done.state].name
    assert state == "JOB_STATE_SUCCEEDED"
    assert (done.price.is_free, done.price.credits) == (True, "0")
    assert done.result.media[0].size_bytes > 0
