"""One process of the service: opens what its parts need, runs them, and ends them in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from generation_svc.caller import CallerDirectory, renewed
from generation_svc.caller.meter import CallerMeter
from generation_svc.engine.supervisor import Supervisor, working
from generation_svc.exposure import check_exposure
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.part import BOTH, Part
from generation_svc.rpc.endpoint import Endpoint
from generation_svc.rpc.interceptor import CallInterceptor
from generation_svc.rpc.meter import RpcMeter
from generation_svc.server.wiring import (
    callers_of,
    connection_limits_of,
    interceptor_of,
    open_dependencies,
)
from generation_svc.settings import GenerationSettings
from generation_svc.storage.database import PostgresDatabase
from generation_svc.storage.start import started_database
from runtime.certificate import CertificateReader
from runtime.process import StartError
from runtime.readiness import Readiness

_logger = structlog.get_logger(__name__)


async def serve(
    settings: GenerationSettings,
    *,
    stop: asyncio.Event,
    registry: CollectorRegistry | None = None,
    parts: frozenset[Part] = BOTH,
    readiness: Readiness | None = None,
) -> None:
    """Run the parts until asked to stop: streams end first, then calls, then work.

    `readiness` follows the database, whichever parts run. Raises StartError.
    """
    callers = callers_of(settings)
    _check(settings, parts=parts, has_callers=callers is not None)
    certificates = _certificates(settings) if Part.RPC in parts else None
    readiness = readiness or Readiness()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_database(settings, stop=stop))
        deps = await stack.enter_async_context(
            _dependencies(settings, database, callers=callers, registry=registry)
        )
        endpoint = supervisor = None
        if Part.RPC in parts:  # bound before any work begins: a port in use ends the start
            interceptor = interceptor_of(settings, callers, meter=RpcMeter(registry))
            endpoint = _bound(settings, deps, interceptor=interceptor, certificates=certificates)
        if Part.ENGINE in parts:
            supervisor = await stack.enter_async_context(_engine(settings, deps))
        if endpoint is None:
            await readiness.follow(database.is_ready, stop=stop)
        else:
            await endpoint.start()
            _logger.info("serving", address=str(settings.generation_listen))
            await endpoint.follow_readiness(database.is_ready, stop=stop, readiness=readiness)
        await _finish(endpoint, supervisor, grace_seconds=settings.stop_grace_s)


def _check(settings: GenerationSettings, *, parts: frozenset[Part], has_callers: bool) -> None:
    """Raise StartError for settings with which these parts may not start."""
    if parts != BOTH and settings.database_url is None:
        raise StartError(
            "DATABASE_URL is missing: with --only, the processes of the service share a database."
        )
    if Part.RPC in parts:
        check_exposure(settings, has_callers=has_callers)


def _certificates(settings: GenerationSettings) -> CertificateReader | None:
    return CertificateReader(settings.tls_files) if settings.tls_files else None


def _database(
    settings: GenerationSettings, *, stop: asyncio.Event
) -> AbstractAsyncContextManager[PostgresDatabase]:
    return started_database(
        settings.database_url,
        folder=Path(settings.data_folder) / "postgres",
        max_connections=settings.database_pool_size,
        stop=stop,
    )


@asynccontextmanager
async def _dependencies(
    settings: GenerationSettings,
    database: PostgresDatabase,
    *,
    callers: CallerDirectory | None,
    registry: CollectorRegistry | None,
) -> AsyncIterator[Dependencies]:
    async with AsyncExitStack() as stack:
        if callers and settings.generation_callers_file:
            file, meter = settings.generation_callers_file, CallerMeter(registry)
            await stack.enter_async_context(renewed(callers, file, meter=meter))
        yield await stack.enter_async_context(
            open_dependencies(settings, database, callers=callers, registry=registry)
        )


def _bound(
    settings: GenerationSettings,
    deps: Dependencies,
    *,
    interceptor: CallInterceptor,
    certificates: CertificateReader | None,
) -> Endpoint:
    """Make the endpoint and take its address. Raises StartError."""
    endpoint = Endpoint(
        deps,
        interceptor=interceptor,
        connection_limits=connection_limits_of(settings),
        has_reflection=settings.generation_reflection == "on",
    )
    address = settings.generation_listen
    try:
        endpoint.bind(str(address), certificates=certificates)
    except RuntimeError as error:
        raise StartError(
            f"Cannot listen on {address}, which is in use or not an address of this machine:"
            " set GENERATION_LISTEN to another one."
        ) from error
    return endpoint


@asynccontextmanager
async def _engine(settings: GenerationSettings, deps: Dependencies) -> AsyncIterator[Supervisor]:
    grace = settings.stop_grace_s
    async with working(deps, time_scale=settings.time_scale, grace_seconds=grace) as supervisor:
        _logger.info("the engine is running")
        yield supervisor


async def _finish(
    endpoint: Endpoint | None, supervisor: Supervisor | None, *, grace_seconds: float
) -> None:
    """Give calls and work the same time to finish, side by side."""
    ends = [endpoint.stop(grace_seconds=grace_seconds)] if endpoint else []
    if supervisor:
        ends.append(supervisor.finish(grace_seconds=grace_seconds))
    # Side by side: one after the other they would need twice the grace that the platform gives.
    await asyncio.gather(*ends)
