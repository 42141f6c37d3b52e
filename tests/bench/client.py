"""The caller of every gRPC server here: the same stub and the same message for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import grpc
from google.protobuf.struct_pb2 import Struct

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from atelier.generation.v1.job_pb2 import JobState
from tests.e2e.caller import TOKENS
from tests.e2e.stack import BOT_ID

Updates: TypeAlias = (
    "grpc.aio.UnaryStreamCall[pb.StreamJobUpdatesRequest, pb.StreamJobUpdatesResponse]"
)
MAX_LIFE_S = 60
"""No job here takes so long, unless something is lost."""
_numbers = count(1)
_METADATA = (("authorization", f"Bearer {TOKENS['caller']}"),)
_PROMPT = "a lighthouse on a cliff in a storm, oil painting"


def owners(count: int) -> list[str]:
    """Return who the next orders are for."""
    first = next(_numbers) + 1
    return [f"bench:{number}" for number in range(first, first + count)]


@dataclass(frozen=True)
class Client:
    """A caller of one server."""

    stub: GenerationServiceStub
    chat_id: int = 0
    """The chat on Telegram to which results go; 0 is none."""
    message_id: int = 0
    """The message there that shows how a job stands; 0 is none."""
    model_id: str = "z-image"

    async def create(self, *, owner: str = "") -> pb.CreateJobResponse:
        """Make a job, for somebody new unless the owner is named."""
        return await self.stub.CreateJob(self.request(owner=owner), metadata=_METADATA)

    def request(self, *, owner: str = "") -> pb.CreateJobRequest:
        """Return an order that no other one is like."""
        number = next(_numbers)
        inputs = Struct()
        inputs.update({"prompt": f"{_PROMPT} {number}", "aspect_ratio": "16:9"})
        owner = owner or f"bench:{number}"
        request = pb.CreateJobRequest(model_id=self.model_id, inputs=inputs, owner=owner)
        if self.chat_id:
            chat = TelegramDestination(
                bot_id=BOT_ID, chat_id=self.chat_id, message_id=self.message_id
            )
            request.telegram.CopyFrom(chat)
        return request

    async def get(self, job_id: str) -> pb.GetJobResponse:
        """Read a job."""
        return await self.stub.GetJob(pb.GetJobRequest(job_id=job_id), metadata=_METADATA)

    async def live(self, *, owner: str = "", within_s: float = MAX_LIFE_S) -> str:
        """Make a job, follow it to its end, and return its prompt."""
        request = self.request(owner=owner)
        answer = await self.stub.CreateJob(request, metadata=_METADATA)
        async with asyncio.timeout(within_s), self.following(answer.job.id) as updates:
            async for update in updates:
                if update.job.state >= JobState.JOB_STATE_SUCCEEDED:
                    break
        assert update.job.state == JobState.JOB_STATE_SUCCEEDED, update
        return str(request.inputs["prompt"])

    async def cancel(self, job_id: str) -> pb.CancelJobResponse:
        """End a job."""
        return await self.stub.CancelJob(pb.CancelJobRequest(job_id=job_id), metadata=_METADATA)

    async def page(self, *, size: int) -> pb.ListJobsResponse:
        """List the newest jobs."""
        return await self.stub.ListJobs(pb.ListJobsRequest(page_size=size), metadata=_METADATA)

    @asynccontextmanager
    async def following(self, job_id: str) -> AsyncIterator[Updates]:
        """Open a stream of a job's updates."""
        updates = self.follow(job_id)
        try:
            yield updates
        finally:
            updates.cancel()

    def follow(self, job_id: str) -> Updates:
        """Open a stream that its server ends."""
        request = pb.StreamJobUpdatesRequest(job_id=job_id)
        return self.stub.StreamJobUpdates(request, metadata=_METADATA)


@asynccontextmanager
async def client(
    address: str, *, chat_id: int = 0, model_id: str = "z-image"
) -> AsyncIterator[Client]:
    """Open a channel to a server; channels to the same one do not share a connection."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield Client(GenerationServiceStub(channel), chat_id, model_id=model_id)
