"""A stand-in for the service's jobs: it makes them once per request id, and can lose an answer."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Any

import grpc
from PIL import Image

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1 import job_pb2, model_pb2
from atelier.generation.v1.edge_service_pb2_grpc import add_EdgeServiceServicer_to_server
from atelier.generation.v1.generation_service_pb2_grpc import (
    add_GenerationServiceServicer_to_server,
)
from atelier.wallet.v1.wallet_service_pb2_grpc import add_WalletServiceServicer_to_server
from tests.contract.edge_service import EdgeDesk, GenerationDesk
from tests.contract.edge_wallet import WalletDesk
from tests.contract.stand_in import Refusal as Refusal
from tests.contract.stand_in import listening, refuse
from tests.edge_model import catalog

ONLY_FULL = (
    "input_schema",
    "picture_field",
    "longest_duration",
    "options",
    "prompt_examples",
    "prompt_max_length",
    "hints",
    "media_inputs",
    "reference_inputs",
    "fields",
)
"""What the contract says of these fields of a model: only in FULL."""
CLIP = b"\0\0\0\x18ftypmp42"
"""How a video begins."""


class JobDesk(GenerationDesk):
    """Makes jobs and takes pictures, as the contract says."""

    __abstractmethods__: frozenset[str] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, job_pb2.Job] = {}
        self.requests: dict[str, pb.CreateJobRequest] = {}
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self.refusal: Refusal | None = None
        self.is_picture = True
        self.models = catalog().models
        self.version = ""
        self.quote = pb.QuoteJobResponse(price=job_pb2.Price(credits="12"))
        self.quotes: list[pb.QuoteJobRequest] = []
        self.quote_refusal: Refusal | None = None
        self.upload_refusal: Refusal | None = None
        self.consents: list[pb.RecordConsentRequest] = []
        self.lists: list[pb.ListModelsRequest] = []
        self.opened: list[str] = []
        self.correlation_ids: set[str] = set()
        self._made: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def refuse_with(
        self, reason: str, *, code: int, fields: Sequence[str] = (), **metadata: str
    ) -> None:
        """Refuse the jobs that are asked for from now on."""
        status = next(each for each in grpc.StatusCode if each.value[0] == code)
        self.refusal = Refusal(status, reason, tuple(fields), metadata)

    def put(self, job: job_pb2.Job) -> job_pb2.Job:
        """Have a job that was made before."""
        self.jobs[job.id] = job
        return job

    async def ListModels(self, request: Any, context: Any) -> Any:
        is_full = request.view == model_pb2.MODEL_VIEW_FULL
        models = [each if is_full else brief(each) for each in self.models]
        self.lists.append(request)
        if self.version and request.if_catalog_version == self.version:
            return pb.ListModelsResponse(catalog_version=self.version)
        half = len(models) // 2
        if request.page_token:
            return pb.ListModelsResponse(models=models[half:], catalog_version=self.version)
        return pb.ListModelsResponse(
            models=models[:half], next_page_token="more", catalog_version=self.version
        )

    async def GetModel(self, request: Any, context: Any) -> Any:
        self.opened.append(request.model_id)
        found = [each for each in self.models if each.id == request.model_id]
        if not found:
            await refuse(context, grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
        return pb.GetModelResponse(model=found[0])

    async def QuoteJob(self, request: Any, context: Any) -> Any:
        self.quotes.append(request)
        if self.quote_refusal:
            await self.quote_refusal.given(context)
        return self.quote

    async def RecordConsent(self, request: Any, context: Any) -> Any:
        self.consents.append(request)
        self.quote.ClearField("missing_consent")
        return pb.RecordConsentResponse()

    async def CreateJob(self, request: Any, context: Any) -> Any:
        metadata = dict(context.invocation_metadata())
        self.correlation_ids.add(str(metadata["x-correlation-id"]))
        if self.refusal:
            await self.refusal.given(context)
        job_id = self._made.setdefault(request.request_id, _uuid(next(self._numbers)))
        first = self.requests.setdefault(job_id, request)
        if first != request:
            reused = Refusal(
                grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED", metadata={"job_id": job_id}
            )
            await reused.given(context)
        made = self.jobs.setdefault(job_id, _job(job_id, request))
        return pb.CreateJobResponse(job=made)

    async def GetJob(self, request: Any, context: Any) -> Any:
        if request.job_id not in self.jobs:
            await refuse(context, grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
        return pb.GetJobResponse(job=self.jobs[request.job_id])

    async def ListJobs(self, request: Any, context: Any) -> Any:
        jobs = [each for each in self.jobs.values() if each.owner == request.owner]
        named = request.filter.replace("state = ", "").split(" OR ")
        done = [each for each in jobs if job_pb2.JobState.Name(each.state) in named]
        return pb.ListJobsResponse(jobs=reversed(done))

    async def CancelJob(self, request: Any, context: Any) -> Any:
        job = self.jobs[request.job_id]
        if job.state in (job_pb2.JOB_STATE_QUEUED, job_pb2.JOB_STATE_RUNNING):
            job.state = job_pb2.JOB_STATE_CANCELLED
            job.revision += 1
        return pb.CancelJobResponse(job=job)

    async def UploadInput(self, request_iterator: Any, context: Any) -> Any:
        parts = [part async for part in request_iterator]
        if self.upload_refusal:
            await self.upload_refusal.given(context)
        if not self.is_picture:
            await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "UPLOAD_REJECTED")
        number = _uuid(next(self._numbers))
        data = b"".join(part.data for part in parts)
        self.uploads[number] = (parts[0].owner, data)
        response = pb.UploadInputResponse()
        response.upload.id = number
        if data.startswith(CLIP):
            return response
        with Image.open(BytesIO(data)) as image:
            response.upload.width, response.upload.height = image.size
        return response


class AnswerLoss(grpc.aio.ServerInterceptor):
    """Does what one call asks for, and loses the answer: to the caller it is as if killed."""

    def __init__(self) -> None:
        self.calls = 0
        self.lost_call = 0

    def after(self, calls: int) -> None:
        """Lose the answer of the call with this number, counted from now, from 1; 0 is none."""
        self.calls, self.lost_call = 0, calls

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler.unary_unary is None:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            self._losing(handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _losing(self, method: Any) -> Any:
        async def call(request: Any, context: Any) -> Any:
            self.calls += 1
            is_lost = self.calls == self.lost_call
            answer = await method(request, context)
            if is_lost:
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "lost")
            return answer

        return call


@dataclass
class JobService:
    """The desks a conversation needs, and the port they are reached at."""

    port: int = 0
    edge: EdgeDesk = field(default_factory=EdgeDesk)
    generation: JobDesk = field(default_factory=JobDesk)
    wallet: WalletDesk = field(default_factory=partial(WalletDesk, is_off=True))
    loss: AnswerLoss = field(default_factory=AnswerLoss)


@asynccontextmanager
async def serving_jobs() -> AsyncIterator[JobService]:
    service = JobService()
    async with listening(
        partial(add_EdgeServiceServicer_to_server, service.edge),
        partial(add_GenerationServiceServicer_to_server, service.generation),
        partial(add_WalletServiceServicer_to_server, service.wallet),
        interceptors=[service.loss],
    ) as service.port:
        yield service


def brief(model: model_pb2.Model) -> model_pb2.Model:
    """Return a model as the view BASIC tells it: one that is free is in full."""
    if model.pricing.is_free:
        return model
    told = model_pb2.Model()
    told.CopyFrom(model)
    for name in ONLY_FULL:
        told.ClearField(name)  # type: ignore[arg-type] # the names of its fields
    return told


def _job(job_id: str, request: pb.CreateJobRequest) -> job_pb2.Job:
    job = job_pb2.Job(id=job_id, model_id=request.model_id, owner=request.owner, revision=1)
    job.inputs.CopyFrom(request.inputs)
    job.state = job_pb2.JOB_STATE_QUEUED
    return job


def _uuid(number: int) -> str:
    return f"01990000-0000-7000-8000-{number:012}"
