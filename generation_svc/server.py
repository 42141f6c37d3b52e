"""Opens everything in order, serves, and closes it in the opposite order."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import sqlalchemy.exc
import structlog

from generation_svc.caller import CallerDirectory, CallLimits, parse_callers, renewed
from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.domain.timing import Timing
from generation_svc.engine.supervisor import working
from generation_svc.exposure import check_exposure
from generation_svc.lifecycle.dependencies import (
    Dependencies,
    Limits,
    MediaDependencies,
    ModelDependencies,
    ProviderDependencies,
    WebhookDependencies,
)
from generation_svc.media.content import Examiner, open_examiner
from generation_svc.media.fetch import open_fetcher
from generation_svc.media.link import SignedMediaLinks
from generation_svc.media.scratch import Scratch, open_scratch
from generation_svc.media.spool import ByteBudget, FileSpool
from generation_svc.media.store import ObjectMediaStore, open_media
from generation_svc.provider.kie.callback import KieCallbackReader
from generation_svc.provider.kie.client import open_kie
from generation_svc.rpc.admission import Caps
from generation_svc.rpc.connection import ConnectionLimits
from generation_svc.rpc.endpoint import Endpoint, guards
from generation_svc.rpc.interceptor import CallInterceptor
from generation_svc.rpc.unread import UnreadAnswers
from generation_svc.rpc.waiting import UnreadLimits
from generation_svc.rpc.webhook import webhook_body
from generation_svc.settings import GenerationSettings
from generation_svc.storage.database import PostgresDatabase, open_database
from generation_svc.storage.embedded.server import embedded_postgres
from generation_svc.storage.migrate import MigrationStopped, migrate
from generation_svc.storage.notifier import Notifier
from generation_svc.webhook.sender import open_sender
from runtime.address import Address
from runtime.certificate import CertificateReader
from runtime.file_limit import connections_within
from runtime.process import StartError
from runtime.redaction import redact

DATABASE_MAX_WAIT_SECONDS = 60.0
"""How long a start waits for a database that does not answer yet."""
RESERVED_FILES = 250
"""Open files kept for what is no connection of a caller: the provider, media, results, logs."""

_FINAL = ("authentication failed", "does not exist", "no pg_hba.conf entry")
"""What a server says whose address is right and whose other settings are not: of an answer to a
connection libpq gives the words alone, not the code."""
_UNTRIED = "connection is bad: invalid"
"""What libpq says before it tries, and then quotes what may be a password."""
_logger = structlog.get_logger(__name__)


async def serve(settings: GenerationSettings, *, stop: asyncio.Event) -> None:
    """Serve until asked to stop: streams end first, then calls, then work."""
    callers = callers_of(settings)
    check_exposure(settings, has_callers=callers is not None)
    certificates = CertificateReader(settings.tls_files) if settings.tls_files else None
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_database(settings, stop=stop))
        if callers and settings.generation_callers_file:
            await stack.enter_async_context(renewed(callers, settings.generation_callers_file))
        deps = await stack.enter_async_context(
            open_dependencies(settings, database, callers=callers)
        )
        endpoint = Endpoint(
            deps,
            interceptor=interceptor_of(settings, callers),
            connection_limits=connection_limits_of(settings),
            has_reflection=settings.generation_reflection == "on",
        )
        _bind(endpoint, settings.generation_listen, certificates=certificates)
        grace = settings.stop_grace_s
        supervisor = await stack.enter_async_context(
            working(deps, time_scale=settings.time_scale, grace_seconds=grace)
        )
        await endpoint.start()
        _logger.info("serving", address=str(settings.generation_listen))
        await endpoint.follow_readiness(database.is_ready, stop=stop)
        await asyncio.gather(
            endpoint.stop(grace_seconds=grace), supervisor.finish(grace_seconds=grace)
        )


@asynccontextmanager
async def open_dependencies(
    settings: GenerationSettings,
    database: PostgresDatabase,
    *,
    callers: CallerDirectory | None = None,
) -> AsyncIterator[Dependencies]:
    """Open what the use cases work with, on this database."""
    key, hmac_key = settings.kie_api_key, settings.kie_webhook_hmac_key
    redact(key, hmac_key)
    timing, links = timing_of(settings), links_of(settings, now=database.now)
    async with (
        _examiner(settings) as examiner,
        open_kie(
            key.get_secret_value(),
            api_url=settings.kie_api_url,
            upload_url=settings.kie_upload_url,
            create_timeout=timing.create_timeout,
        ) as provider,
        open_fetcher(
            examiner.scratch, examine=examiner.result, allowed_hosts=settings.kie_result_hosts
        ) as fetcher,
        open_sender(allowed_hosts=settings.webhook_allowed_hosts, now=database.now) as webhooks,
    ):
        yield Dependencies(
            database=database,
            models=ModelDependencies(load_catalog(), validate_inputs),
            media=MediaDependencies(
                store=_store(settings),
                spool=FileSpool(examiner, budget_of(settings)),
                fetcher=fetcher,
                links=links,
            ),
            provider=ProviderDependencies(
                client=provider,
                callbacks=KieCallbackReader(
                    hmac_key.get_secret_value() if hmac_key else None, now=database.now
                ),
                callback_base_url=settings.callback_base_url.rstrip("/") or None,
            ),
            webhooks=WebhookDependencies(
                sender=webhooks,
                body=partial(webhook_body, links=links),
                secrets_of=callers.secrets_of if callers else lambda _: (),
            ),
            count_job=callers.count_job if callers else lambda *_: None,
            timing=timing,
            limits=limits_of(settings),
        )


def _store(settings: GenerationSettings) -> ObjectMediaStore:
    try:
        return open_media(settings.media_url or str(Path(settings.data_folder) / "media"))
    except ValueError as error:
        name = "MEDIA_URL" if settings.media_url else "DATA_FOLDER"
        raise StartError(f"{name} is wrong: {error}") from error


def timing_of(settings: GenerationSettings) -> Timing:
    """Return the waits that the settings ask for."""
    timing = Timing(
        start_deadline=timedelta(seconds=settings.start_deadline_s),
        fetch_timeout=timedelta(seconds=settings.result_fetch_timeout_s),
        model_rest=timedelta(seconds=settings.model_rest_s),
    )
    return timing.scaled(settings.time_scale)


def callers_of(settings: GenerationSettings) -> CallerDirectory | None:
    """Return the callers that the settings name; None means that nobody is asked for a token."""
    if settings.generation_callers is None:
        return None
    limits = CallLimits(
        calls_per_second=settings.caller_calls_per_s, jobs_per_minute=settings.owner_jobs_per_min
    )
    return CallerDirectory(
        parse_callers(settings.generation_callers.get_secret_value()), limits=limits
    )


def interceptor_of(
    settings: GenerationSettings, callers: CallerDirectory | None
) -> CallInterceptor:
    """Return what every call passes: these callers, and the caps of the settings."""
    calls = replace(Caps().calls, overall=settings.max_calls, per_caller=settings.caller_max_calls)
    waits = replace(Caps().waits, overall=settings.max_waits, per_caller=settings.caller_max_waits)
    unread = UnreadLimits(
        overall_bytes=settings.max_unread_mb << 20, caller_bytes=settings.caller_max_unread_mb << 20
    )
    return CallInterceptor(
        callers,
        guards=guards(Caps(calls=calls, waits=waits)),
        unread=UnreadAnswers(unread),
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


def limits_of(settings: GenerationSettings) -> Limits:
    """Return the limits that the settings ask for."""
    return Limits(
        creates_per_window=settings.kie_create_limit,
        reads_per_window=settings.kie_read_limit,
        active_tasks=settings.kie_max_concurrent,
        active_jobs_per_owner=settings.owner_max_active_jobs,
        queued_jobs=settings.max_queued_jobs,
        queued_jobs_per_caller=settings.caller_max_queued_jobs,
    )


def budget_of(settings: GenerationSettings) -> ByteBudget:
    """Return what counts the bytes of uploads."""
    return ByteBudget(settings.upload_budget_mb << 20, settings.caller_upload_budget_mb << 20)


@asynccontextmanager
async def _examiner(settings: GenerationSettings) -> AsyncIterator[Examiner]:
    with _scratch(Path(settings.data_folder) / "scratch") as scratch:
        processes = settings.upload_processes
        async with open_examiner(scratch, upload_processes=processes) as examiner:
            yield examiner


@contextmanager
def _scratch(folder: Path) -> Iterator[Scratch]:
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(open_scratch(folder))
        except OSError as error:
            reason = f"Uploads cannot be held in {folder}: {error.strerror}."
            raise StartError(f"{reason} Set DATA_FOLDER to another place.") from error
        yield scratch


@asynccontextmanager
async def _database(
    settings: GenerationSettings, *, stop: asyncio.Event
) -> AsyncIterator[PostgresDatabase]:
    """Open the database, ours if none was named, with its schema up to date."""
    async with AsyncExitStack() as stack:
        if settings.database_url:
            url = settings.database_url.get_secret_value()
        else:
            folder = Path(settings.data_folder) / "postgres"
            url = await stack.enter_async_context(embedded_postgres(folder))
        redact(url)
        await _migrate(url, stop=stop)
        database = await stack.enter_async_context(
            open_database(url, notifier=Notifier(), max_connections=settings.database_pool_size)
        )
        yield database


async def _migrate(url: str, *, stop: asyncio.Event) -> None:
    deadline = asyncio.get_running_loop().time() + DATABASE_MAX_WAIT_SECONDS
    while True:
        try:
            return await _stoppable(url, stop=stop)
        except sqlalchemy.exc.OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            if _UNTRIED in reason:
                raise StartError("DATABASE_URL is wrong: libpq refuses an option of it.") from error
            if any(words in reason for words in _FINAL):
                raise StartError(f"The database cannot be used: {reason}") from error
            _logger.warning("the database is away", reason=reason)
            if asyncio.get_running_loop().time() > deadline:
                raise StartError(f"The database cannot be used: {reason}") from error
        except MigrationStopped as error:
            raise StartError("It was asked to stop before the schema was up to date.") from error
        await asyncio.sleep(0.5)
        if stop.is_set():
            raise StartError("It was asked to stop before the database answered.")


async def _stoppable(url: str, *, stop: asyncio.Event) -> None:
    """Migrate in a thread, which nothing but its own end stops, until a signal asks for that."""
    stopping = threading.Event()
    asked = asyncio.create_task(stop.wait(), name="stop of the migration")
    asked.add_done_callback(lambda _: stopping.set())
    try:
        await asyncio.to_thread(migrate, url, stopping=stopping)
    finally:
        asked.cancel()


def _bind(endpoint: Endpoint, address: Address, *, certificates: CertificateReader | None) -> None:
    try:
        endpoint.bind(str(address), certificates=certificates)
    except RuntimeError as error:
        raise StartError(
            f"{address} is in use or not ours: set GENERATION_LISTEN to another address."
        ) from error
