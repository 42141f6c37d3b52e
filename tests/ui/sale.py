"""A bot that sells credits in the chat page, before stand-ins that keep what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from atelier.generation.v1.delivery_service_pb2_grpc import add_DeliveryServiceServicer_to_server
from atelier.generation.v1.edge_service_pb2_grpc import add_EdgeServiceServicer_to_server
from atelier.generation.v1.generation_service_pb2_grpc import (
    add_GenerationServiceServicer_to_server,
)
from atelier.generation.v1.job_pb2 import Price
from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.transfer_pb2 import TRANSFER_KIND_HOLD
from atelier.wallet.v1.wallet_service_pb2_grpc import add_WalletServiceServicer_to_server
from edge_bot.app import serve
from edge_bot.metric import Meter
from edge_bot.settings import EdgeSettings
from generation_svc.catalog.load import load_catalog
from generation_svc.rpc.convert_model import model_to_proto
from runtime.address import Address
from tests.contract.edge_job import JobDesk, JobService
from tests.contract.edge_service import DeliveryDesk
from tests.contract.edge_wallet import WalletDesk
from tests.contract.stand_in import listening
from tests.edge_model import catalog
from tests.integration.sandbox_telegram import TOKEN, sandbox

MODEL = "gpt-image-2-text-to-image"
SELLER = "Atelier Example Ltd\nhello@example.org"


class NumberedDesk(WalletDesk):
    """Gives a receipt its number at once, and takes what a job costs."""

    def _credit(self, request: pb.RecordTopUpRequest) -> None:
        super()._credit(request)
        top_up = self.top_ups[-1]
        top_up.receipt_number = f"A-{len(self.top_ups):06}"
        self.balances[top_up.owner] -= 12
        self.move(-12, kind=TRANSFER_KIND_HOLD, owner=top_up.owner, model_id=MODEL)


@asynccontextmanager
async def selling() -> AsyncIterator[str]:
    """Run the bot and yield the address of its chat page."""
    async with (
        sandbox() as telegram,
        _services() as port,
        asyncio.TaskGroup() as group,
    ):
        settings = EdgeSettings(
            telegram_bot_token=SecretStr(TOKEN),
            telegram_api_url=telegram.url,
            generation_address=f"127.0.0.1:{port}",
            edge_listen=Address("127.0.0.1", 0),
            edge_support="@example_help",
        )
        stop = asyncio.Event()
        group.create_task(serve(settings, stop=stop, meter=Meter(CollectorRegistry())))
        await telegram.until_called("setMyCommands")
        try:
            yield telegram.url
        finally:
            stop.set()


@asynccontextmanager
async def _services() -> AsyncIterator[int]:
    service = JobService(generation=_jobs(), wallet=NumberedDesk(seller_text=SELLER))
    async with listening(
        partial(add_DeliveryServiceServicer_to_server, DeliveryDesk()),
        partial(add_EdgeServiceServicer_to_server, service.edge),
        partial(add_GenerationServiceServicer_to_server, service.generation),
        partial(add_WalletServiceServicer_to_server, service.wallet),
    ) as port:
        yield port


def _jobs() -> JobDesk:
    jobs = JobService().generation
    jobs.models = (*catalog().models, model_to_proto(load_catalog().models[MODEL]))
    jobs.quote.price.CopyFrom(Price(credits="12"))
    return jobs
