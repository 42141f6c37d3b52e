"""An edge's parts between a sandbox Telegram and a stand-in for the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from atelier.generation.v1 import job_pb2
from atelier.generation.v1.delivery_pb2 import DELIVERY_KIND_OUTCOME, Delivery
from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.media_pb2 import Media
from atelier.wallet.v1.top_up_pb2 import TopUp
from edge_bot.conversation.missed import note_missed
from edge_bot.delivery.render import Renderer
from edge_bot.delivery.spool import MediaSpool
from edge_bot.delivery.worker import DeliveryTiming, DeliveryWorker
from edge_bot.metric import Meter
from edge_bot.pack.pack_cache import PackCache
from edge_bot.pack.seller import Seller
from edge_bot.payment.at_once import AtOnce
from edge_bot.payment.checkout import Checkout
from edge_bot.payment.refund import RefundWorker, Tell
from edge_bot.payment.star_reader import StarReader
from edge_bot.service_clock import ServiceClock
from edge_bot.settings import EdgeSettings
from edge_bot.telegram.bot import EdgeBot, open_bot
from edge_bot.telegram.token_health import TokenHealth
from edge_bot.update.deferred import DeferredUpdates
from edge_bot.update.dispatcher import Dispatcher, Handle
from edge_bot.update.lease import PollingLease
from edge_bot.update.polling import Poller
from edge_bot.view.catalog import CatalogCache
from generation_client import GenerationClient, connect
from runtime.backoff import Backoff
from tests.contract.edge_service import FakeService, serving_edges
from tests.integration.sandbox_telegram import TOKEN, Json, Sandbox, picture, sandbox

BOT_ID = int(TOKEN.partition(":")[0])
CHAT = 7
SELLER = Seller("127.0.0.1")


@dataclass
class Harness:
    bot_id = BOT_ID
    telegram: Sandbox
    service: FakeService
    bot: EdgeBot
    client: GenerationClient
    token_health: TokenHealth = field(default_factory=lambda: TokenHealth(check_s=0.05))
    clock: ServiceClock = field(default_factory=ServiceClock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    told: list[TopUp] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.meter = Meter(self.registry)
        self.spool = MediaSpool(self.client, limit_bytes=2 * 10**9)

    def sender(self, **timing: Any) -> DeliveryWorker:
        return DeliveryWorker(
            bot=self.bot,
            bot_id=BOT_ID,
            client=self.client,
            renderer=self.renderer(),
            note_missed=partial(note_missed, self),
            clock=self.clock,
            token_health=self.token_health,
            meter=self.meter,
            timing=DeliveryTiming(**{"wait_s": 0.2, **timing}),
        )

    def renderer(self) -> Renderer:
        catalog = CatalogCache(self.client.generation, service_clock=self.clock)
        return Renderer(self.spool, catalog=catalog, clock=self.clock, wallet=self.client.wallet)

    def dispatcher(self, handle: Handle) -> Dispatcher:
        return Dispatcher(
            handle,
            acknowledge=AtOnce(self.bot, Checkout(self.bot, self.client, SELLER)),
            apologize=handle,
            meter=self.meter,
            backoff=Backoff(first_s=0.01, cap_s=0.05),
        )

    def poller(self, handle: Handle, *, lease_s: float = 15) -> Poller:
        return Poller(
            bot=self.bot,
            dispatcher=self.dispatcher(handle),
            lease=PollingLease(self.client, bot_id=BOT_ID, clock=self.clock, lease_s=lease_s),
            deferred=DeferredUpdates(self.client, bot=self.bot, bot_id=BOT_ID),
            token_health=self.token_health,
        )

    async def tell(self, top_up: TopUp) -> None:
        """Note which top-up an owner is to be told of."""
        self.told.append(top_up)

    def refund_worker(
        self, *, star_news: asyncio.Event | None = None, tell: Tell | None = None
    ) -> RefundWorker:
        return RefundWorker(
            bot=self.bot,
            bot_id=BOT_ID,
            client=self.client,
            packs=PackCache(self.client.wallet),
            star_news=star_news or asyncio.Event(),
            token_health=self.token_health,
            tell=tell or self.tell,
            look_s=0.02,
        )

    def star_reader(self, **fields: Any) -> StarReader:
        """Return what reads the list of Stars, as of an edge that gets its updates by webhook."""
        given: dict[str, Any] = {"is_polling": False, "heals": True, "news": asyncio.Event()}
        given["lease"] = PollingLease(self.client, bot_id=BOT_ID, clock=self.clock)
        return StarReader(
            bot=self.bot,
            bot_id=BOT_ID,
            client=self.client,
            packs=PackCache(self.client.wallet),
            seller=SELLER,
            token_health=self.token_health,
            **given | fields,
        )

    @asynccontextmanager
    async def running(self, part: RefundWorker | StarReader) -> AsyncIterator[None]:
        """Run one of the edge's loops while the context is open."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(part.run(stop))
            try:
                yield
            finally:
                stop.set()

    @asynccontextmanager
    async def polling(self, handle: Handle, *, lease_s: float = 15) -> AsyncIterator[asyncio.Event]:
        """Run a poller while the context is open; the event stops it earlier."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.poller(handle, lease_s=lease_s).run(stop))
            try:
                yield stop
            finally:
                stop.set()

    @asynccontextmanager
    async def sending(self, **timing: Any) -> AsyncIterator[asyncio.Event]:
        """Run a sender while the context is open; the event stops it earlier."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sender(**timing).run(stop))
            group.create_task(self.token_health.watch(self.bot, stop=stop))
            try:
                yield stop
            finally:
                stop.set()

    async def progress_message(self, text: str = "in the queue") -> int:
        await self.telegram.started(CHAT)
        sent = await self.telegram.result("sendMessage", chat_id=CHAT, text=text)
        return int(sent["message_id"])

    def media(self, data: bytes | None = None, *, width: int = 640, height: int = 480) -> Media:
        """Put a picture into the service."""
        data = picture(width, height) if data is None else data
        number = len(self.service.generation.media) + 1
        media = Media(id=f"media-{number}", mime_type="image/png", width=width, height=height)
        media.size_bytes = len(data)
        self.service.generation.media[media.id] = (media, data)
        return media

    async def pending(self) -> int:
        """Return how many updates are not confirmed."""
        return int((await self.telegram.result("getWebhookInfo"))["pending_update_count"])

    async def has_confirmed(self) -> bool:
        return not await self.pending()

    async def messages(self) -> list[Json]:
        return await self.telegram.messages(CHAT)

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0


def succeeded(*media: Media) -> job_pb2.Job:
    job = job_pb2.Job(
        id="job-1",
        model_id="z-image",
        state=job_pb2.JOB_STATE_SUCCEEDED,
        result=job_pb2.JobResult(media=media),
    )
    job.inputs.update({"prompt": "a <cat> & a dog"})
    return job


def failed() -> job_pb2.Job:
    failure = job_pb2.JobFailure(reason=job_pb2.FAILURE_REASON_CONTENT_REFUSED)
    return job_pb2.Job(id="job-1", state=job_pb2.JOB_STATE_FAILED, failure=failure)


def running() -> job_pb2.Job:
    return job_pb2.Job(id="job-1", model_id="z-image", state=job_pb2.JOB_STATE_RUNNING)


def delivery(
    job: job_pb2.Job,
    *,
    message_id: int = 0,
    kind: Any = DELIVERY_KIND_OUTCOME,
    maybe_sent: bool = False,
    chat_id: int = CHAT,
) -> Delivery:
    to = TelegramDestination(bot_id=BOT_ID, chat_id=chat_id, message_id=message_id)
    return Delivery(id="1", kind=kind, job=job, telegram=to, maybe_sent=maybe_sent, try_number=1)


@asynccontextmanager
async def harness(*, telegram_url: str = "", **telegram: Any) -> AsyncIterator[Harness]:
    """Open a harness; `telegram_url` leads its bot elsewhere than to the sandbox."""
    async with sandbox(**telegram) as running_sandbox, serving_edges() as service:
        settings = EdgeSettings(
            telegram_bot_token=SecretStr(TOKEN),
            telegram_api_url=telegram_url or running_sandbox.url,
            generation_address=f"127.0.0.1:{service.port}",
        )
        async with open_bot(settings) as bot, connect(settings.generation_address) as client:
            yield Harness(running_sandbox, service, bot, client)


async def until(condition: Callable[[], Awaitable[Any]], *, within_s: float = 5) -> Any:
    """Return the condition's first true value."""
    async with asyncio.timeout(within_s):
        while True:
            if value := await condition():
                return value
            await asyncio.sleep(0.005)
