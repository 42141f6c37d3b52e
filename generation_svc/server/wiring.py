"""Builds what the settings ask for: the adapters behind the ports, and their limits."""

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from generation_svc.caller import CallerDirectory, CallLimits, parse_callers
from generation_svc.catalog import validate_inputs
from generation_svc.catalog.layer import ShippedCatalog
from generation_svc.catalog.load import OfferRule, load_document
from generation_svc.domain.catalog_layer import CatalogLayers
from generation_svc.domain.epoch import ForeignStore
from generation_svc.domain.error import Unavailable
from generation_svc.domain.port.statement import StatementWriter
from generation_svc.domain.retention import Retention
from generation_svc.domain.storage_limit import DiskLimits, StorageQuota
from generation_svc.domain.timing import Timing
from generation_svc.domain.upload_bound import UploadBounds, bounds_of
from generation_svc.egress.tls import client_tls
from generation_svc.lifecycle.current_catalog import followed_catalog
from generation_svc.lifecycle.dependencies import (
    Dependencies,
    Limits,
    MediaDependencies,
    ModelDependencies,
    StorageDependencies,
)
from generation_svc.lifecycle.epoch import take_store, watch_epoch
from generation_svc.lifecycle.meter import ServiceMeter
from generation_svc.media.content import Examiner, open_examiner
from generation_svc.media.disk import FolderDiskReader
from generation_svc.media.fetch import open_fetcher
from generation_svc.media.link import SignedMediaLinks
from generation_svc.media.meter import MediaMeter
from generation_svc.media.scratch import Scratch, open_scratch
from generation_svc.media.spool import ByteBudget, FileSpool
from generation_svc.media.store import ObjectMediaStore, open_media
from generation_svc.media.upload_link import SignedUploadLinks
from generation_svc.rpc.admission import Caps
from generation_svc.rpc.connection import ConnectionLimits
from generation_svc.rpc.endpoint import guards
from generation_svc.rpc.interceptor import CallInterceptor
from generation_svc.rpc.meter import RpcMeter
from generation_svc.rpc.unread import UnreadAnswers
from generation_svc.rpc.waiting import UnreadLimits
from generation_svc.rpc.webhook import webhook_body
from generation_svc.server.money import money_of
from generation_svc.server.outgoing import Outgoing
from generation_svc.server.statement import open_statement_writer
from generation_svc.settings import GenerationSettings
from generation_svc.storage.database import PostgresDatabase
from runtime.file_limit import connections_within
from runtime.process import StartError
from runtime.redaction import redact

_logger = structlog.get_logger(__name__)

RESERVED_FILES = 250
"""Open files reserved for everything but callers: the provider, media, results, logs."""


@asynccontextmanager
async def open_dependencies(
    settings: GenerationSettings,
    database: PostgresDatabase,
    *,
    callers: CallerDirectory | None = None,
    registry: CollectorRegistry | None = None,
    takes_store: bool = False,
) -> AsyncIterator[Dependencies]:
    """Open what the use cases work with, on this database.

    It may take over a media store that belongs to another one. Raises StartError.
    """
    timing, now, tls = timing_of(settings), database.now, client_tls()
    store, links, meter = _store(settings), links_of(settings, now=now), MediaMeter(registry)
    models, money = models_of(settings), await money_of(settings, database)
    body = partial(webhook_body, links=links, retention=retention_of(settings))
    outgoing = Outgoing(settings=settings, now=now, registry=registry, tls=tls)
    async with (
        _media(
            settings, models=models, store=store, links=links, now=now, meter=meter, tls=tls
        ) as media,
        outgoing.provider(create_timeout=timing.create_timeout) as provider,
        outgoing.webhooks(body, callers=callers) as webhooks,
        _statements(settings, meter=meter) as statements,
    ):
        deps = Dependencies(
            database=database,
            models=models,
            media=media,
            provider=provider,
            webhooks=webhooks,
            count_job=callers.count_job if callers else lambda *_: None,
            uncount_job=callers.uncount_job if callers else lambda *_: None,
            wallet_of=callers.wallet_of if callers else lambda _: None,
            timing=timing,
            limits=limits_of(settings),
            meter=ServiceMeter(registry),
            storage=storage_of(settings, store=store, meter=meter),
            money=money,
            statements=statements,
        )
        await _check_epoch(deps, takes_store=takes_store)
        async with followed_catalog(deps):
            yield deps


async def _check_epoch(deps: Dependencies, *, takes_store: bool) -> None:
    """Close sales before anything is sold if the database is a restored one."""
    if deps.money.mode is None:
        return
    try:
        if takes_store:
            await take_store(deps.database, deps.media.store)
        await watch_epoch(deps.database, deps.media.store)
    except ForeignStore as error:
        raise StartError(str(error)) from error
    except Unavailable as error:  # the maintenance looks again
        deps.money.unread.add("epoch")
        _logger.warning("the epoch of the money could not be read", error=str(error))


@asynccontextmanager
async def _media(
    settings: GenerationSettings,
    *,
    models: ModelDependencies,
    store: ObjectMediaStore,
    links: SignedMediaLinks | None,
    now: Callable[[], datetime],
    meter: MediaMeter,
    tls: ssl.SSLContext,
) -> AsyncIterator[MediaDependencies]:
    async with (
        _examiner(settings, models=models, meter=meter) as examiner,
        open_fetcher(
            examiner.scratch,
            examine=examiner.result,
            allowed_hosts=settings.kie_result_hosts,
            meter=meter,
            tls=tls,
        ) as fetcher,
    ):
        spool = FileSpool(examiner, budget_of(settings, meter=meter))
        yield MediaDependencies(
            store=store,
            spool=spool,
            fetcher=fetcher,
            links=links,
            upload_links=upload_links_of(settings, now=now),
        )


def _store(settings: GenerationSettings) -> ObjectMediaStore:
    try:
        return open_media(settings.media_url or str(Path(settings.data_folder) / "media"))
    except ValueError as error:
        name = "MEDIA_URL" if settings.media_url else "DATA_FOLDER"
        raise StartError(f"{name} is wrong: {error}") from error


def models_of(settings: GenerationSettings) -> ModelDependencies:
    """Return the shipped models, of which those are on offer that the settings allow."""
    rule = OfferRule(
        has_unpaid=settings.unpaid_models == "allow",
        is_selling=settings.money is not None,
        has_callbacks=bool(settings.callback_base_url),
    )
    shipped = ShippedCatalog(load_document(), rule=rule)
    return ModelDependencies(
        shipped.catalog(CatalogLayers()),
        validate_inputs,
        format=shipped,
        has_unpaid=settings.unpaid_models == "allow",
    )


def retention_of(settings: GenerationSettings) -> Retention:
    """Return for how long the settings keep what."""
    return Retention(
        jobs=timedelta(days=settings.job_retention_days),
        callbacks=timedelta(days=settings.callback_retention_days),
        videos=timedelta(days=settings.video_retention_days),
        media=timedelta(days=settings.media_retention_days),
        uploads=timedelta(days=settings.upload_retention_days),
    )


def storage_of(
    settings: GenerationSettings, *, store: ObjectMediaStore, meter: MediaMeter | None = None
) -> StorageDependencies:
    """Return how long and how much the settings keep, and what reads the disks for it."""
    folders = {"scratch": Path(settings.data_folder) / "scratch"}
    if store.folder:
        folders["media"] = store.folder
    limits = DiskLimits(
        filling=settings.disk_filling_percent / 100, full=settings.disk_full_percent / 100
    )
    return StorageDependencies(
        retention=retention_of(settings),
        quota=StorageQuota(
            overall_bytes=settings.max_stored_mb << 20,
            owner_bytes=settings.owner_max_stored_mb << 20,
        ),
        disk=FolderDiskReader(folders, limits=limits, meter=meter),
    )


def timing_of(settings: GenerationSettings) -> Timing:
    """Return the waits that the settings ask for."""
    timing = Timing(
        start_deadline=timedelta(seconds=settings.start_deadline_s),
        fetch_timeout=timedelta(seconds=settings.result_fetch_timeout_s),
        model_rest=timedelta(seconds=settings.model_rest_s),
    )
    return timing.scaled(settings.time_scale)


def callers_of(settings: GenerationSettings) -> CallerDirectory | None:
    """Return the configured callers; None means that no token is required."""
    if settings.generation_callers is None:
        return None
    limits = CallLimits(
        calls_per_second=settings.caller_calls_per_s, jobs_per_minute=settings.owner_jobs_per_min
    )
    return CallerDirectory(
        parse_callers(settings.generation_callers.get_secret_value()), limits=limits
    )


def interceptor_of(
    settings: GenerationSettings,
    callers: CallerDirectory | None,
    *,
    meter: RpcMeter | None = None,
) -> CallInterceptor:
    """Return what every call passes: these callers, and the caps of the settings."""
    calls = replace(Caps().calls, overall=settings.max_calls, per_caller=settings.caller_max_calls)
    waits = replace(Caps().waits, overall=settings.max_waits, per_caller=settings.caller_max_waits)
    meter = meter or RpcMeter()
    unread = UnreadLimits(
        overall_bytes=settings.max_unread_mb << 20, caller_bytes=settings.caller_max_unread_mb << 20
    )
    return CallInterceptor(
        callers,
        guards=guards(Caps(calls=calls, waits=waits), meter=meter),
        unread=UnreadAnswers(unread, meter=meter),
        meter=meter,
    )


def connection_limits_of(settings: GenerationSettings) -> ConnectionLimits:
    """Return the limits of connections, with room kept for the database, files and the provider."""
    reserved = settings.database_pool_size + RESERVED_FILES
    connections = connections_within(settings.max_connections, reserved=reserved)
    return ConnectionLimits(connections=connections, streams=settings.connection_max_streams)


def links_of(
    settings: GenerationSettings, *, now: Callable[[], datetime]
) -> SignedMediaLinks | None:
    """Return what makes links to media, if the settings ask for links."""
    if not settings.media_base_url or settings.media_link_key is None:
        return None
    redact(settings.media_link_key)
    return SignedMediaLinks(
        settings.media_link_key.get_secret_value(),
        base_url=settings.media_base_url,
        lifetime=timedelta(seconds=settings.media_link_lifetime_s),
        now=now,
    )


def upload_links_of(
    settings: GenerationSettings, *, now: Callable[[], datetime]
) -> SignedUploadLinks | None:
    """Return what makes links for uploads, if the settings ask for links."""
    if not settings.media_base_url or settings.media_link_key is None:
        return None
    key = settings.media_link_key.get_secret_value()
    return SignedUploadLinks(key, base_url=settings.media_base_url, now=now)


def limits_of(settings: GenerationSettings) -> Limits:
    """Return the limits that the settings ask for."""
    return Limits(
        creates_per_window=settings.kie_create_limit,
        reads_per_window=settings.kie_read_limit,
        active_tasks=settings.kie_max_concurrent,
        active_jobs_per_owner=settings.owner_max_active_jobs,
        daily_free_jobs_per_owner=settings.free_jobs_per_day,
        queued_jobs=settings.max_queued_jobs,
        queued_jobs_per_caller=settings.caller_max_queued_jobs,
    )


def budget_of(settings: GenerationSettings, *, meter: MediaMeter | None = None) -> ByteBudget:
    """Return what counts the bytes of uploads."""
    return ByteBudget(
        settings.upload_budget_mb << 20,
        settings.caller_upload_budget_mb << 20,
        meter=meter or MediaMeter(),
    )


@asynccontextmanager
async def _examiner(
    settings: GenerationSettings, *, models: ModelDependencies, meter: MediaMeter
) -> AsyncIterator[Examiner]:
    def bounds() -> UploadBounds:
        """Return what the models of this moment take."""
        every = models.catalog.models.values()
        return bounds_of(every, ceiling_bytes=settings.max_upload_mb * 2**20)

    with _scratch(settings) as scratch:
        processes = settings.upload_processes
        async with open_examiner(
            scratch, upload_processes=processes, bounds=bounds, meter=meter
        ) as examiner:
            yield examiner


@asynccontextmanager
async def _statements(
    settings: GenerationSettings, *, meter: MediaMeter
) -> AsyncIterator[StatementWriter]:
    with _scratch(settings) as scratch:
        async with open_statement_writer(scratch, meter=meter) as writer:
            yield writer


@contextmanager
def _scratch(settings: GenerationSettings) -> Iterator[Scratch]:
    folder = Path(settings.data_folder) / "scratch"
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(open_scratch(folder))
        except OSError as error:
            reason = f"Uploads cannot be held in {folder}: {error.strerror}."
            raise StartError(f"{reason} Set DATA_FOLDER to another place.") from error
        yield scratch
