"""The client helper of the edges: one channel, deadlines, retries and typed errors.

`connect` opens it, and calls are made inside `translated`:

    async with connect("127.0.0.1:50051", token=token) as client:
        with translated():
            answer = await client.generation.GetJob(pb.GetJobRequest(job_id=job_id))

Every call has a deadline and carries the caller's token and the `correlation_id` that is bound to
the log context. What the contract calls idempotent is tried again when no replica could be reached.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from pydantic import SecretStr

from atelier.generation.v1.callback_service_pb2_grpc import CallbackServiceStub
from atelier.generation.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from atelier.generation.v1.edge_service_pb2_grpc import EdgeServiceStub
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from generation_svc.client.call import call_interceptors
from generation_svc.client.channel import GenerationAddress, channel_options, channel_target
from generation_svc.client.error import GenerationError, Violation, translated

__all__ = [
    "GenerationAddress",
    "GenerationClient",
    "GenerationError",
    "Violation",
    "connect",
    "translated",
]


@dataclass(frozen=True, slots=True)
class GenerationClient:
    """The stubs of the service, all on one channel."""

    callback: CallbackServiceStub
    delivery: DeliveryServiceStub
    edge: EdgeServiceStub
    generation: GenerationServiceStub


@asynccontextmanager
async def connect(
    address: str, *, token: SecretStr | None = None
) -> AsyncIterator[GenerationClient]:
    """Open a channel to the service; the first call makes the connection, not this."""
    async with grpc.aio.insecure_channel(
        channel_target(address),
        options=channel_options(),
        interceptors=call_interceptors(token.get_secret_value() if token else ""),
    ) as channel:
        yield GenerationClient(
            callback=CallbackServiceStub(channel),
            delivery=DeliveryServiceStub(channel),
            edge=EdgeServiceStub(channel),
            generation=GenerationServiceStub(channel),
        )
