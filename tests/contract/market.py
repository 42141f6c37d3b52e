"""A service that offers every model, as a sandbox does, and inputs for each of them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from atelier.generation.v1 import consent_pb2
from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.caller import CallerDirectory
from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.catalog.example import example
from generation_svc.domain.media import Upload
from generation_svc.domain.media_input import (
    InputValue,
    MediaInput,
    ReferenceInput,
    given_in,
    with_texts,
)
from generation_svc.domain.model import Model
from generation_svc.lifecycle.dependencies import ModelDependencies
from tests.contract.service import Service, serving, struct

CATALOG = load_catalog(has_unpaid=True)
MODELS = ModelDependencies(CATALOG, validate_inputs, has_unpaid=True)
OWN = "local"
"""The caller of a service without callers, and the owner that it stands for."""
CLIP_SECONDS = 4
SIDE = 512


def market(
    database_url: str, media: Path, *, callers: CallerDirectory | None = None
) -> AbstractAsyncContextManager[Service]:
    return serving(database_url, media, models=MODELS, callers=callers)


async def quoted(service: Service, model_id: str, **fields: Any) -> pb.QuoteJobResponse:
    inputs = struct(fields.pop("inputs"))
    request = pb.QuoteJobRequest(model_id=model_id, inputs=inputs, **fields)
    answer: pb.QuoteJobResponse = await service.generation.QuoteJob(request)
    return answer


async def agree(service: Service, model: Model, *, owner: str = "") -> None:
    """Record what a model needs of an owner."""
    if model.consent:
        kind = consent_pb2.ConsentKind.Value(f"CONSENT_KIND_{model.consent.name}")
        request = pb.RecordConsentRequest(owner=owner, kind=kind, wording_version="1")
        await service.generation.RecordConsent(request)


async def possible_inputs(
    service: Service, model: Model, *, share: float = 0.0, caller: str = OWN
) -> dict[str, Any]:
    """Return inputs that a model takes, with uploads and earlier jobs that are there."""
    made = example(model, Random(7), share=share)
    assert made is not None
    inputs = {name: value for name, value in made.items() if name not in model.operator_fields}
    makers: dict[str, str] = {}
    for one in model.special_inputs:
        texts = {}
        for given in given_in(inputs, one):
            if isinstance(one, MediaInput):
                texts[given.steps] = f"upload:{await uploaded(service, one, caller=caller)}"
            else:
                maker_id = _maker_of(one)
                if maker_id not in makers:
                    makers[maker_id] = await made_earlier(service, maker_id)
                texts[given.steps] = _reference(given, makers[maker_id])
        inputs = with_texts(inputs, one, texts=texts)
    return inputs


def _reference(given: InputValue, maker: str) -> str:
    _, slash, number = given.text.partition("/")
    return f"job:{maker}{slash}{number}"


async def uploaded(
    service: Service, one: MediaInput, *, caller: str = OWN, seconds: float | None = None
) -> UUID:
    """Write an upload that an input takes; nobody asks for its bytes here."""
    side = max(SIDE, int((one.min_pixels or 0) ** 0.5) + 1)
    plays = one.kind in ("video", "audio")
    upload = Upload(
        id=uuid4(),
        mime_type=one.mime_types[0],
        size_bytes=1000,
        width=side if one.kind != "audio" else 0,
        height=side if one.kind != "audio" else 0,
        sha256="0" * 64,
        duration=_length(one, seconds) if plays else None,
    )
    async with service.database.transaction() as tx:
        await tx.media.insert_upload(
            upload, caller=caller, owner=caller, key=str(upload.id), lifetime=timedelta(hours=1)
        )
    return upload.id


def _length(one: MediaInput, seconds: float | None) -> timedelta:
    if seconds is not None:
        return timedelta(seconds=seconds)
    least = one.min_duration or timedelta(seconds=CLIP_SECONDS)
    most = one.max_duration or timedelta(hours=1)
    return min(max(least, timedelta(seconds=CLIP_SECONDS)), most)


def _maker_of(one: ReferenceInput) -> str:
    return one.model_ids[0] if one.model_ids else "z-image"


async def made_earlier(service: Service, model_id: str) -> str:
    """Make a job that a reference may mean, and say that it is done."""
    job_id = UUID((await service.create()).id)
    account = service.deps.provider.accounts[0]
    values = {
        "id": job_id,
        "model_id": model_id,
        "attempt": uuid4(),
        "account": account.name,
        "provider": account.provider,
        "result": Jsonb({"media": [], "text": "done"}),
        "items": Jsonb([f"item-{number}" for number in range(9)]),
    }
    async with service.database.pool.connection() as connection:
        await connection.execute(_DONE, values)
        await connection.execute(_SETTLED, values)
    return str(job_id)


_DONE = """
UPDATE job SET model_id = %(model_id)s, state = 'succeeded', dispatch_time = NULL,
    result = %(result)s WHERE id = %(id)s
"""
_SETTLED = """
INSERT INTO attempt (id, job_id, number, state, token_hash, task_id, submit_time, read_tries,
    fetch_tries, error, provider, account, item_ids, observation)
VALUES (%(attempt)s, %(id)s, 1, 'settled', uuid_send(%(attempt)s), 'task', now(), 0, 0, '',
    %(provider)s, %(account)s, %(items)s, jsonb_build_object('state', 'succeeded', 'task_id',
    'task', 'word', 'success', 'result_urls', '[]'::jsonb, 'result_text', '', 'fail_code', '',
    'fail_message', ''))
"""
