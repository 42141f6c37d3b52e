"""A stand-in for the service's side of an edge: deliveries, sessions, the polling lease, media."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import grpc

from atelier.generation.v1 import delivery_service_pb2 as delivery_pb
from atelier.generation.v1 import edge_service_pb2 as edge_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.delivery_pb2 import Delivery
from atelier.generation.v1.delivery_service_pb2_grpc import (
    DeliveryServiceServicer,
    add_DeliveryServiceServicer_to_server,
)
from atelier.generation.v1.edge_service_pb2_grpc import (
    EdgeServiceServicer,
    add_EdgeServiceServicer_to_server,
)
from atelier.generation.v1.generation_service_pb2_grpc import (
    GenerationServiceServicer,
    add_GenerationServiceServicer_to_server,
)
from atelier.generation.v1.media_pb2 import Media
from atelier.generation.v1.model_pb2 import MODEL_KIND_TEXT_TO_IMAGE, Model, Pricing
from atelier.generation.v1.session_pb2 import Session
from atelier.generation.v1.upload_link_pb2 import UploadLink
from atelier.wallet.v1.wallet_service_pb2_grpc import add_WalletServiceServicer_to_server
from tests.contract.edge_wallet import WalletDesk
from tests.contract.media_service import Bytes
from tests.contract.stand_in import listening, refuse

Report = delivery_pb.ReportDeliveryRequest

Z_IMAGE = Model(
    pricing=Pricing(is_free=True),
    id="z-image",
    kind=MODEL_KIND_TEXT_TO_IMAGE,
    titles={"en": "Z-Image", "ru": "Z-Image"},
    descriptions={"en": "Draws.", "ru": "Рисует."},
    prompt_max_length=800,
)


class DeliveryDesk(DeliveryServiceServicer):
    """Leases what was put on it, as the contract says, and keeps every report."""

    def __init__(self) -> None:
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.begun: set[str] = set()
        self.begun_for_s: list[float] = []
        """How long each delivery that was begun is leased for."""
        self.stale: set[str] = set()
        self.unavailable = 0
        self.leases = 0
        self.waiting = 0
        """How many calls wait for a delivery now."""
        self.skew = timedelta(0)
        self.links: dict[str, UploadLink] = {}
        self.has_links = False
        """By how much the clock of the service is ahead of the edge's."""
        self._due: asyncio.Queue[Delivery] = asyncio.Queue()
        self._leased: dict[str, Delivery] = {}
        self._tokens = itertools.count(1)

    def offer(self, delivery: Delivery) -> str:
        """Put a delivery up for lease under a new token and return the token."""
        delivery.lease_token = f"lease-{next(self._tokens)}"
        self._due.put_nowait(delivery)
        return delivery.lease_token

    async def LeaseDeliveries(self, request: Any, context: Any) -> Any:
        self.leases += 1
        self.waiting += 1
        try:
            async with asyncio.timeout(request.wait.ToTimedelta().total_seconds()):
                delivery = await self._due.get()
        except TimeoutError:
            return delivery_pb.LeaseDeliveriesResponse()
        finally:
            self.waiting -= 1
        lease_s = request.lease_duration.ToTimedelta().total_seconds()
        delivery.lease_expire_time.FromDatetime(
            datetime.now(UTC) + self.skew + timedelta(seconds=lease_s)
        )
        self._leased[delivery.lease_token] = delivery
        return delivery_pb.LeaseDeliveriesResponse(deliveries=[delivery])

    async def BeginDelivery(self, request: Any, context: Any) -> Any:
        await self._check(request.lease_token, context)
        self.begun.add(request.lease_token)
        self.begun_for_s.append(request.lease_duration.ToTimedelta().total_seconds())
        return delivery_pb.BeginDeliveryResponse()

    async def ReportDelivery(self, request: Any, context: Any) -> Any:
        await self._check(request.lease_token, context)
        self.reports.put_nowait(request)
        return delivery_pb.ReportDeliveryResponse()

    async def outcome(self, *, within_s: float = 5) -> Report:
        """Return the next report."""
        async with asyncio.timeout(within_s):
            return await self.reports.get()

    async def _check(self, token: str, context: Any) -> None:
        if self.unavailable:
            self.unavailable -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if token in self.stale or token not in self._leased:
            await refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "STALE_LEASE")


class EdgeDesk(EdgeServiceServicer):
    """Keeps sessions, and gives the right to poll to one holder at a time."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.holder = ""
        self.asked: list[tuple[str, float]] = []
        self.is_refusing = False
        self.writes_left: int | None = None
        """How many sessions are still taken before the service is away."""
        self.skew = timedelta(0)
        self.links: dict[str, UploadLink] = {}
        self.has_links = False
        """By how much the clock of the service is ahead of the edge's."""

    async def GetSession(self, request: Any, context: Any) -> Any:
        empty = Session(bot_id=request.bot_id, key=request.key)
        return edge_pb.GetSessionResponse(session=self.sessions.get(request.key, empty))

    async def PutSession(self, request: Any, context: Any) -> Any:
        if self.writes_left is not None:
            if not self.writes_left:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
            self.writes_left -= 1
        old = self.sessions.get(request.key, Session())
        if old.version != request.version:
            await refuse(context, grpc.StatusCode.ABORTED, "SESSION_CONFLICT")
        session = Session(
            bot_id=request.bot_id, key=request.key, data=request.data, version=old.version + 1
        )
        self.sessions[request.key] = session
        return edge_pb.PutSessionResponse(session=session)

    async def CreateUploadLink(self, request: Any, context: Any) -> Any:
        if not self.has_links:
            await refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "UPLOAD_LINKS_OFF")
        new = UploadLink(
            upload_id=f"01990000-0000-7000-8000-{len(self.links):012}",
            uri=f"https://files.example/upload/{len(self.links)}",
            kinds=request.kinds,
            max_bytes=500_000_000,
        )
        link = self.links.setdefault(request.draft, new)
        return edge_pb.CreateUploadLinkResponse(link=link)

    async def LeaseUpdates(self, request: Any, context: Any) -> Any:
        lease_s = request.lease_duration.ToTimedelta().total_seconds()
        self.asked.append((request.holder, lease_s))
        if not lease_s:
            self.holder = "" if self.holder == request.holder else self.holder
            return edge_pb.LeaseUpdatesResponse()
        if self.is_refusing or self.holder not in ("", request.holder):
            return edge_pb.LeaseUpdatesResponse(is_granted=False)
        self.holder = request.holder
        granted = edge_pb.LeaseUpdatesResponse(is_granted=True)
        granted.expire_time.FromDatetime(datetime.now(UTC) + self.skew + timedelta(seconds=lease_s))
        return granted


class GenerationDesk(GenerationServiceServicer):
    """Hands out media; has one model."""

    __abstractmethods__: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.media: dict[str, tuple[Media, Bytes]] = {}
        self.downloads: list[str] = []
        self.missing_reason = "MEDIA_NOT_FOUND"
        self.delay_s = 0.0
        """How long it takes until the bytes of media come."""

    async def ListModels(self, request: Any, context: Any) -> Any:
        return pb.ListModelsResponse(models=[Z_IMAGE])

    async def DownloadMedia(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.downloads.append(request.media_id)
        if request.media_id not in self.media:
            await refuse(context, grpc.StatusCode.NOT_FOUND, self.missing_reason)
        media, data = self.media[request.media_id]
        yield pb.DownloadMediaResponse(media=media)
        await asyncio.sleep(self.delay_s)
        for start in range(0, len(data), 64 * 1024):
            yield pb.DownloadMediaResponse(data=data[start : start + 64 * 1024])


@dataclass
class FakeService:
    """The three desks and the port they are reached at."""

    port: int = 0
    delivery: DeliveryDesk = field(default_factory=DeliveryDesk)
    edge: EdgeDesk = field(default_factory=EdgeDesk)
    generation: GenerationDesk = field(default_factory=GenerationDesk)
    wallet: WalletDesk = field(default_factory=WalletDesk)


@asynccontextmanager
async def serving_edges() -> AsyncIterator[FakeService]:
    service = FakeService()
    async with listening(
        partial(add_DeliveryServiceServicer_to_server, service.delivery),
        partial(add_EdgeServiceServicer_to_server, service.edge),
        partial(add_GenerationServiceServicer_to_server, service.generation),
        partial(add_WalletServiceServicer_to_server, service.wallet),
    ) as service.port:
        yield service
