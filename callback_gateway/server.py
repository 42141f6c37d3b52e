"""The gateway, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from ipaddress import ip_network

import structlog

from callback_gateway.app import create_app
from callback_gateway.callback import Limits
from callback_gateway.connection_limiter import AddressLimit, ConnectionLimiter
from callback_gateway.download import GrpcMediaSource
from callback_gateway.handover import GrpcReporter
from callback_gateway.metric import Meter
from callback_gateway.protocol import CallbackProtocol, Timeouts
from callback_gateway.settings import GatewaySettings
from generation_client import connect
from runtime.address import Address
from runtime.file_limit import connections_within
from runtime.http import serving

RESERVED_FILES = 100
"""Open files kept for what is no connection from outside."""
_logger = structlog.get_logger(__name__)


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
        app = create_app(report, media=media, meter=meter, limits=limits_of(settings))
        connections = crowd_of(settings)
        timeouts = Timeouts(
            head_s=settings.gateway_head_timeout_s, read_s=settings.gateway_read_timeout_s
        )
        protocol = partial(
            CallbackProtocol, meter=meter, connections=connections, timeouts=timeouts
        )
        address = await stack.enter_async_context(serving(app, settings.listen, http=protocol))
        _logger.info("listening", address=str(address), service=settings.generation_address)
        yield address


def crowd_of(settings: GatewaySettings) -> ConnectionLimiter:
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
    )
