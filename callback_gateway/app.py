"""The application: KIE's callback paths, links to media and for uploads, and `/healthz`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from ipaddress import ip_network

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callback_gateway.callback import (
    CALLBACK_ROUTE,
    CallbackEndpoint,
    GrpcReporter,
    Limits,
    Reporter,
    is_callback_path,
)
from callback_gateway.connection import AddressLimit, ConnectionLimiter
from callback_gateway.media import MEDIA_PATH, GrpcMediaSource, MediaEndpoint, MediaSource
from callback_gateway.metric import Meter
from callback_gateway.protocol import CallbackProtocol, Timeouts
from callback_gateway.settings import GatewaySettings
from callback_gateway.upload import UPLOAD_PATH, GrpcUploadReceiver, UploadEndpoint, UploadReceiver
from generation_client import connect
from runtime.address import Address
from runtime.file_limit import connections_within
from runtime.http import serving

RESERVED_FILES = 100
"""Open files reserved for everything but connections from outside."""

_logger = structlog.get_logger(__name__)


class CallbackRoute(BaseRoute):
    """Takes any method on any path that is KIE's.

    Starlette's own routes answer 405 for other methods, 307 for a slash too many and 404 for a
    path that holds a line break.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match by path alone."""
        is_ours = scope["type"] == "http" and is_callback_path(scope["path"])
        return (Match.FULL if is_ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to the endpoint."""
        await self.app(scope, receive, send)


class CountResponses:
    """Counts the status of each answer as it leaves."""

    def __init__(self, app: ASGIApp, *, meter: Meter) -> None:
        self.app = app
        self.meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through and count its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        route = route_of(scope["path"])

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.meter.count_response(route=route, status=message["status"])
            await send(message)

        await self.app(scope, receive, send_counted)


def route_of(path: str) -> str:
    """Return the name under which answers on this path are counted."""
    if is_callback_path(path):
        return CALLBACK_ROUTE
    if path.startswith(UPLOAD_PATH):
        return "upload"
    return "media" if path.startswith(MEDIA_PATH) else "other"


def create_app(
    report: Reporter,
    *,
    media: MediaSource,
    uploads: UploadReceiver,
    meter: Meter,
    limits: Limits | None = None,
) -> Starlette:
    """Build the gateway around whatever takes the callbacks and has the media."""
    limits = limits or Limits()
    callbacks = CallbackEndpoint(report, limits=limits, meter=meter)
    downloads = MediaEndpoint(media, limit=limits.downloads, meter=meter)
    files = UploadEndpoint(uploads, asyncio.Semaphore(limits.uploads), meter)
    app = Starlette(
        routes=[
            CallbackRoute(callbacks),
            Route(MEDIA_PATH + "{token}", downloads, methods=["GET"]),
            Route(UPLOAD_PATH + "{token}", files, methods=["GET", "PUT"]),
            Route("/healthz", healthz),
        ],
        # Outermost, so that answers of the router itself (404, 405) are counted, too.
        middleware=[Middleware(CountResponses, meter=meter)],
    )
    # Starlette would answer a path with one slash too many with a redirect (307).
    app.router.redirect_slashes = False
    return app


async def healthz(_: Request) -> Response:
    """Answer that the process lives; callbacks are taken whether or not the service is there."""
    return Response("ok\n", media_type="text/plain")


@asynccontextmanager
async def gateway(settings: GatewaySettings, *, meter: Meter) -> AsyncIterator[Address]:
    """Run the gateway while the context is open and yield the address it listens on."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            connect(
                settings.generation_address,
                token=settings.generation_token,
                transport=settings.transport,
            )
        )
        report = GrpcReporter(client, timeout_s=settings.gateway_handover_timeout_s)
        media = GrpcMediaSource(client)
        app = create_app(
            report,
            media=media,
            uploads=GrpcUploadReceiver(client),
            meter=meter,
            limits=limits_of(settings),
        )
        connections = limiter_of(settings)
        timeouts = Timeouts(
            head_s=settings.gateway_head_timeout_s, read_s=settings.gateway_read_timeout_s
        )
        protocol = partial(
            CallbackProtocol, meter=meter, connections=connections, timeouts=timeouts
        )
        address = await stack.enter_async_context(serving(app, settings.listen, http=protocol))
        _logger.info("listening", address=str(address), service=settings.generation_address)
        yield address


def limiter_of(settings: GatewaySettings) -> ConnectionLimiter:
    """Return what counts connections, with room kept for the service, logs and metrics."""
    per_address = AddressLimit(
        settings.gateway_address_connection_limit,
        exempt=tuple(map(ip_network, settings.gateway_proxies)),
    )
    limit = connections_within(settings.gateway_connection_limit, reserved=RESERVED_FILES)
    return ConnectionLimiter(limit, per_address=per_address)


def limits_of(settings: GatewaySettings) -> Limits:
    """Return the limits that the settings ask for."""
    return Limits(
        body_bytes=settings.gateway_body_limit_bytes,
        drain_bytes=settings.gateway_drain_limit_bytes,
        held_bytes=settings.gateway_held_limit_bytes,
        body_s=settings.gateway_body_timeout_s,
        downloads=settings.gateway_download_limit,
        uploads=settings.gateway_upload_limit,
    )
