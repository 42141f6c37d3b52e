"""The client helper of the edges: one channel, deadlines, retries and typed errors.

`connect` opens it, and calls are made inside `translated`:

    async with connect("127.0.0.1:50051", token=token) as client:
        with translated():
            answer = await client.generation.GetJob(pb.GetJobRequest(job_id=job_id))

Every call has a deadline and carries the caller's token and the `correlation_id` that is bound to
the log context. What the contract calls idempotent is tried again when no replica could be reached.
A token travels encrypted or stays on this machine; `Transport` says how.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import grpc
from pydantic import SecretStr

from atelier.generation.v1.callback_service_pb2_grpc import CallbackServiceStub
from atelier.generation.v1.catalog_service_pb2_grpc import CatalogServiceStub
from atelier.generation.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from atelier.generation.v1.edge_service_pb2_grpc import EdgeServiceStub
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from atelier.generation.v1.webhook_service_pb2_grpc import WebhookServiceStub
from atelier.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from generation_client.call import call_interceptors
from generation_client.channel import GenerationAddress, channel_options, channel_target
from generation_client.error import GenerationError, Violation, translated
from generation_client.renewal import RenewedChannel
from generation_client.settings import ClientSettings
from generation_client.transport import Transport, is_local
from runtime.certificate import CertificateReader, Certificates

__all__ = [
    "ClientSettings",
    "GenerationAddress",
    "GenerationClient",
    "GenerationError",
    "Transport",
    "Violation",
    "connect",
    "translated",
]


@dataclass(frozen=True, slots=True)
class GenerationClient:
    """The stubs of the service, all on one channel."""

    callback: CallbackServiceStub
    catalog: CatalogServiceStub
    delivery: DeliveryServiceStub
    edge: EdgeServiceStub
    generation: GenerationServiceStub
    wallet: WalletServiceStub
    webhook: WebhookServiceStub


@asynccontextmanager
async def connect(
    address: str, *, token: SecretStr | None = None, transport: Transport | None = None
) -> AsyncIterator[GenerationClient]:
    """Open a channel to the service; the first call makes the connection, not this.

    Raises ValueError where a token would travel in the clear, CertificateError for bad files.
    """
    transport = transport or Transport()
    transport.check(address, has_token=token is not None)
    secret = token.get_secret_value() if token else ""
    async with _channel(address, transport, secret) as channel:
        yield GenerationClient(
            callback=CallbackServiceStub(channel),
            catalog=CatalogServiceStub(channel),
            delivery=DeliveryServiceStub(channel),
            edge=EdgeServiceStub(channel),
            generation=GenerationServiceStub(channel),
            wallet=WalletServiceStub(channel),
            webhook=WebhookServiceStub(channel),
        )


def _channel(address: str, transport: Transport, token: str) -> grpc.aio.Channel:
    """Return a channel, or what takes its place where certificates may be renewed."""
    options = channel_options(server_name=transport.server_name, is_local=is_local(address))
    interceptors = call_interceptors(token)
    target = channel_target(address)
    if not transport.is_tls:
        return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)

    def open_channel(found: Certificates) -> grpc.aio.Channel:
        trust = grpc.ssl_channel_credentials(found.authorities, found.key, found.chain)
        return grpc.aio.secure_channel(target, trust, options=options, interceptors=interceptors)

    reader = CertificateReader(transport.files)
    return cast(grpc.aio.Channel, RenewedChannel(reader, open_channel=open_channel))
