"""What the service answers keeps the bounds that the comments of the contract promise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from atelier.generation.v1 import delivery_service_pb2 as delivery_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1 import model_pb2
from generation_svc.catalog import validate_inputs
from generation_svc.lifecycle.dependencies import ModelDependencies
from tests.contract.comment import Bound, bound_in, comments, says_what_nothing_means
from tests.contract.service import Service, sandbox_kie, serving
from tests.invented_model import invented_catalog

OURS = "atelier.generation.v1."


@pytest.fixture
async def film(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service at work, with a model that has everything that a model can have."""
    models = ModelDependencies(invented_catalog(), validate_inputs)
    async with (
        sandbox_kie() as url,
        serving(database_url, tmp_path, kie_url=url, models=models) as service,
    ):
        yield service


def excesses(message: Message) -> Iterator[str]:
    """Name each field of a message, however deep, that holds more or less than its comment says."""
    for field in message.DESCRIPTOR.fields:
        comment = comments()[field.full_name]
        bound = bound_in(comment)
        may_be_empty = bound is None or bound.least == 0 or _says_nothing(comment)
        if bound is not None and not _holds(message, field, bound, may_be_empty=may_be_empty):
            yield field.full_name
        for inner in _inner(message, field):
            yield from excesses(inner)


def _says_nothing(comment: str) -> bool:
    return any(word in comment for word in ("Empty means", "Zero means", "Absent means"))


def _holds(message: Message, field: Any, bound: Bound, *, may_be_empty: bool) -> bool:
    value = getattr(message, field.name)
    if field.has_presence and not message.HasField(field.name):
        return True
    if not value and may_be_empty and not isinstance(value, Message):
        return True
    amounts = _amounts(value, field, bound)
    most = float("inf") if bound.most is None else bound.size
    return all(bound.least <= amount <= most for amount in amounts)


def _amounts(value: Any, field: Any, bound: Bound) -> list[float]:
    """Return how much a field holds, in the unit of its bound."""
    if isinstance(value, Duration):
        return [value.ToTimedelta().total_seconds()]
    if field.is_repeated:  # a map is, too
        each_of = value.values() if _is_map(field) else value
        return [len(each) for each in each_of] if bound.unit == "characters" else [len(value)]
    return [len(value) if isinstance(value, str | bytes) else value]


def _is_map(field: Any) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def _inner(message: Message, field: Any) -> Iterator[Message]:
    if field.message_type is None or not _kind_within(field).startswith(OURS):
        return
    value = getattr(message, field.name)
    if _is_map(field):
        yield from value.values()
    elif field.is_repeated:
        yield from value
    elif message.HasField(field.name):
        yield value


def _kind_within(field: Any) -> str:
    kind = field.message_type
    if not _is_map(field):
        return str(kind.full_name)
    inner = kind.fields_by_name["value"].message_type
    return str(inner.full_name) if inner else ""


async def test_models_are_told_within_bounds(film: Service) -> None:
    page = await film.generation.ListModels(pb.ListModelsRequest())
    assert len(page.models) == 5
    assert [*excesses(page)] == []


async def test_jobs_are_told_within_bounds(film: Service) -> None:
    job = await film.create(queue={"queue": "bounds"})
    request = pb.StreamJobUpdatesRequest(job_id=job.id)
    updates = [update async for update in film.generation.StreamJobUpdates(request)]
    lease = delivery_pb.LeaseDeliveriesRequest(queue="bounds")
    lease.wait.FromSeconds(20)
    leased = await film.delivery.LeaseDeliveries(lease)
    listed = await film.generation.ListJobs(pb.ListJobsRequest())
    assert updates
    assert leased.deliveries
    assert [name for each in (*updates, leased, listed) for name in excesses(each)] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"max_count": 101}, "max_count"),
        ({"max_count": 0}, "max_count"),
        ({"name": "x" * 201}, "name"),
        ({"mime_types": ["a/b"] * 33}, "mime_types"),
        ({"labels": {"en": "x" * 301}}, "labels"),
        ({"max_duration": Duration(seconds=86401)}, "max_duration"),
    ],
    ids=str,
)
def test_an_excess_is_seen(changes: dict[str, Any], field: str) -> None:
    right: dict[str, Any] = {
        "name": "image",
        "max_count": 1,
        "mime_types": ["a/b"],
        "max_size_bytes": 1,
    }
    message = model_pb2.MediaInput(**{**right, **changes})
    model = model_pb2.Model(media_inputs=[message])
    assert f"{OURS}MediaInput.{field}" in [*excesses(model)]
    assert says_what_nothing_means(comments()[f"{OURS}MediaInput.{field}"])
