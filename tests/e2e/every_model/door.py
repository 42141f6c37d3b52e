"""The doors through which a whole job is asked for and what it made is received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from google.protobuf.struct_pb2 import Struct

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import Job
from atelier.generation.v1.media_pb2 import Media
from generation_client import GenerationClient, GenerationError, translated
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject


@dataclass(frozen=True)
class Received:
    """A file of a result as it came out of a door."""

    data: bytes
    cover: bytes = b""
    """The picture that came with it; empty if none did."""
    is_original: bool = True
    """Whether these are the bytes of the service: Telegram makes photos anew."""


class Door(Protocol):
    """How a whole job is asked for: over gRPC, or by a person in the chat."""

    name: str

    def askable(self, model: Model, inputs: JsonObject) -> JsonObject:
        """Return the inputs that a job will have that is asked for with these."""

    async def create(self, model: Model, inputs: JsonObject, *, way: str) -> str:
        """Have a job made of inputs whose media and references are given, and return its id."""

    async def received(self, model: Model, job: Job) -> list[Received]:
        """Return the files of a result in the order of its media."""


class GrpcDoor:
    """The contract: the door of those who have no chat."""

    name = "gRPC"

    def __init__(self, client: GenerationClient) -> None:
        self._client = client

    def askable(self, model: Model, inputs: JsonObject) -> JsonObject:
        """Return the inputs as they are."""
        return inputs

    async def create(self, model: Model, inputs: JsonObject, *, way: str) -> str:
        """Have the price told, and make a job."""
        await self._is_quoted(model, inputs)
        return await self.make(model, inputs)

    async def make(self, model: Model, inputs: JsonObject) -> str:
        """Make a job and return its id."""
        request = pb.CreateJobRequest(model_id=model.id, inputs=_struct(inputs))
        with translated():
            return (await self._client.generation.CreateJob(request)).job.id

    async def received(self, model: Model, job: Job) -> list[Received]:
        """Download the files of a result and their covers."""
        return [await self._fetched(each) for each in job.result.media]

    async def _fetched(self, media: Media) -> Received:
        cover = await self._bytes(media.cover_media_id) if media.cover_media_id else b""
        return Received(await self._bytes(media.id), cover)

    async def _bytes(self, media_id: str) -> bytes:
        call = self._client.generation.DownloadMedia(pb.DownloadMediaRequest(media_id=media_id))
        with translated():
            return b"".join([part.data async for part in call])

    async def _is_quoted(self, model: Model, inputs: JsonObject) -> None:
        """Have the price told, as a person would see it; without a price that is what is told."""
        request = pb.QuoteJobRequest(model_id=model.id, inputs=_struct(inputs))
        try:
            with translated():
                price = (await self._client.generation.QuoteJob(request)).price
        except GenerationError as error:
            if model.offer.price.unknown and error.reason == "PRICE_UNKNOWN":
                return
            raise
        assert price.is_free == model.is_free, "free and not free"
        assert model.is_free or int(price.credits) > 0, "costs nothing"


def _struct(inputs: JsonObject) -> Struct:
    struct = Struct()
    struct.update(inputs)
    return struct
