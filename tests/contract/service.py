"""The real service in this process: its servicers on a port of its own, its parts at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.struct_pb2 import Struct
from prometheus_client import CollectorRegistry

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.catalog_service_pb2_grpc import CatalogServiceStub
from atelier.generation.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from atelier.generation.v1.edge_service_pb2_grpc import EdgeServiceStub
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from atelier.generation.v1.job_pb2 import Job
from atelier.generation.v1.webhook_service_pb2_grpc import WebhookServiceStub
from generation_svc.caller import CallerDirectory
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.job import DelayReason, JobState, Result
from generation_svc.engine.supervisor import working
from generation_svc.lifecycle.dependencies import Dependencies, ModelDependencies
from generation_svc.lifecycle.record import revise, settle
from generation_svc.rpc.call import Guard
from generation_svc.rpc.connection import ConnectionLife, ConnectionLimits
from generation_svc.rpc.endpoint import Endpoint, guards
from generation_svc.rpc.interceptor import CallInterceptor
from generation_svc.rpc.meter import RpcMeter
from generation_svc.rpc.stream import StreamTiming
from generation_svc.rpc.unread import UnreadAnswers
from generation_svc.server import open_dependencies
from generation_svc.settings import GenerationSettings
from generation_svc.storage.database import PostgresDatabase, open_database
from generation_svc.storage.notifier import Notifier
from sandbox.kie.app import create_app
from sandbox.kie.settings import KieSettings
from sandbox.server import address, bind, running

NOWHERE = "http://127.0.0.1:9"
KIE_KEY = "kie-key-that-never-leaves"


@dataclass
class Service:
    """A service that answers, and a channel to it."""

    address: str
    deps: Dependencies
    database: PostgresDatabase
    endpoint: Endpoint
    channel: grpc.aio.Channel
    stop: asyncio.Event
    registry: CollectorRegistry
    """What it counts."""

    @cached_property
    def generation(self) -> GenerationServiceStub:
        return GenerationServiceStub(self.channel)

    @cached_property
    def catalog(self) -> CatalogServiceStub:
        return CatalogServiceStub(self.channel)

    @cached_property
    def delivery(self) -> DeliveryServiceStub:
        return DeliveryServiceStub(self.channel)

    @cached_property
    def edge(self) -> EdgeServiceStub:
        return EdgeServiceStub(self.channel)

    @cached_property
    def webhook(self) -> WebhookServiceStub:
        return WebhookServiceStub(self.channel)

    async def create(self, **fields: Any) -> Job:
        """Make a job, by default one that is valid."""
        inputs = fields.pop("inputs", {"prompt": "a lighthouse in a storm"})
        request = pb.CreateJobRequest(**{"model_id": "z-image", **fields}, inputs=struct(inputs))
        return (await self.generation.CreateJob(request)).job

    async def delay(self, job_id: str, *, times: int = 1) -> None:
        """Write revisions of a job, as the breaker does."""
        for _ in range(times):
            async with self.deps.database.transaction() as tx:
                job = await tx.jobs.lock(UUID(job_id))
                reason = None if job.delay_reason else DelayReason.PROVIDER_BUSY
                await revise(tx, job, event=JobEventKind.DELAYED, delay_reason=reason)

    async def take(self, job_id: str) -> None:
        """Let a job run, as if the provider had taken it."""
        async with self.deps.database.transaction() as tx:
            job = await tx.jobs.lock(UUID(job_id))
            await revise(tx, job, event=JobEventKind.TAKEN, state=JobState.RUNNING)

    async def fail(self, job_id: str) -> None:
        """End a job."""
        failure = Failure(FailureReason.GENERATION_FAILED, "The provider could not do it.")
        async with self.deps.database.transaction() as tx:
            await settle(tx, await tx.jobs.lock(UUID(job_id)), failure, event=JobEventKind.SETTLED)

    async def succeed(self, job_id: str, *, text: str) -> None:
        """End a job with a text."""
        async with self.deps.database.transaction() as tx:
            job = await tx.jobs.lock(UUID(job_id))
            await settle(tx, job, Result(text=text), event=JobEventKind.SETTLED)


def struct(values: dict[str, Any]) -> Struct:
    message = Struct()
    message.update(values)
    return message


@asynccontextmanager
async def serving(
    database_url: str,
    media: Path,
    *,
    kie_url: str = "",
    timing: StreamTiming | None = None,
    connections: int = 20,
    callers: CallerDirectory | None = None,
    around: Sequence[Guard] | None = None,
    connection_life: ConnectionLife | None = None,
    connection_limits: ConnectionLimits | None = None,
    unread: UnreadAnswers | None = None,
    has_reflection: bool = True,
    listen: str = "127.0.0.1:0",
    webhook_hosts: Sequence[str] = (),
    models: ModelDependencies | None = None,
    more_settings: Mapping[str, Any] = MappingProxyType({}),
) -> AsyncIterator[Service]:
    """Serve a database; with the address of a KIE the workers work, too."""
    settings = _settings(media, kie_url=kie_url, webhook_hosts=webhook_hosts, more=more_settings)
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(database_url, notifier=Notifier(), max_connections=connections)
        )
        deps = await stack.enter_async_context(
            open_dependencies(settings, database, callers=callers, registry=registry)
        )
        deps = replace(deps, models=models) if models else deps
        if kie_url:
            await stack.enter_async_context(
                working(deps, time_scale=settings.time_scale, grace_seconds=5)
            )
        around = guards() if around is None else around
        interceptor = CallInterceptor(
            callers, guards=around, unread=unread, meter=RpcMeter(registry)
        )
        endpoint = Endpoint(
            deps,
            stream_timing=timing,
            interceptor=interceptor,
            connection_life=connection_life,
            connection_limits=connection_limits,
            has_reflection=has_reflection,
        )
        target = f"127.0.0.1:{endpoint.bind(listen)}"
        await endpoint.start()
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(target))
        stop = asyncio.Event()
        readiness = asyncio.create_task(
            endpoint.follow_readiness(database.is_ready, stop=stop, interval_seconds=0.1)
        )
        try:
            yield Service(target, deps, database, endpoint, channel, stop, registry)
        finally:
            stop.set()
            await readiness
            await endpoint.stop(grace_seconds=1)


@asynccontextmanager
async def engine(
    database_url: str, media: Path, *, kie_url: str, time_scale: float | None = None
) -> AsyncIterator[Dependencies]:
    """Work on a database without serving it, as another process would."""
    settings = _settings(media, kie_url=kie_url, webhook_hosts=())
    async with (
        open_database(database_url, notifier=Notifier(), max_connections=20) as database,
        open_dependencies(settings, database) as deps,
        working(deps, time_scale=time_scale or settings.time_scale, grace_seconds=5),
    ):
        yield deps


@asynccontextmanager
async def sandbox_kie() -> AsyncIterator[str]:
    """Run a KIE that is quick and without limits, and give its address."""
    sock = bind("127.0.0.1:0")
    url = f"http://{address(sock)}"
    settings = KieSettings(
        base_url=url, duration_s=0.05, visible_after_s=0, create_limit=1000, read_limit=1000
    )
    async with running(create_app(settings), sock=sock):
        yield url


def _settings(
    media: Path,
    *,
    kie_url: str,
    webhook_hosts: Sequence[str],
    more: Mapping[str, Any] = MappingProxyType({}),
) -> GenerationSettings:
    return GenerationSettings(
        kie_api_key=KIE_KEY,
        kie_api_url=kie_url or NOWHERE,
        kie_upload_url=kie_url or NOWHERE,
        kie_result_hosts=(kie_url.removeprefix("http://"),) if kie_url else (),
        kie_webhook_hmac_key=None,
        callback_base_url="",
        webhook_allowed_hosts=tuple(webhook_hosts),
        **more,
        media_url=media.as_uri(),
        data_folder=str(media.parent / "data"),
        owner_max_active_jobs=100_000,
        time_scale=0.05,
    )
