"""Serving an ASGI application in the running loop, beside whatever else the process does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from runtime.address import Address
from runtime.bounded_http import BoundedProtocol
from runtime.process import StartError

_DRAIN_S = 15
"""How long open requests may take to finish after the stop."""


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own, which says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening and say so."""
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def serving(app: ASGIApp, address: Address, **options: Any) -> AsyncIterator[Address]:
    """Serve while the context is open and yield the address in use; raises StartError.

    `options` are uvicorn's. There is no access log, since paths hold tokens.
    """
    # uvicorn writes the access log for whoever put a handler on its logger, asked for or not.
    logging.getLogger("uvicorn.access").disabled = True
    listener = _listen(address)
    server = _Server(_config(app, options))
    task = asyncio.create_task(server.serve(sockets=[listener]), name=f"http {address}")
    try:
        await _first_of(server.listening.wait(), task)
        yield Address(address.host, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await task


def _config(app: ASGIApp, options: dict[str, Any]) -> uvicorn.Config:
    defaults: dict[str, Any] = {
        "http": BoundedProtocol,
        "ws": "none",
        # With `auto` uvicorn takes an application whose start-up fails for one that has none.
        "lifespan": "on",
        # uvicorn's own configuration would send its lines past our handler, and past redaction.
        "log_config": None,
        "access_log": False,
        "server_header": False,
        # From loopback uvicorn would believe any X-Forwarded-For.
        "proxy_headers": False,
        "timeout_graceful_shutdown": _DRAIN_S,
    }
    return uvicorn.Config(app, **(defaults | options))


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart finds the port free although old connections are still in TIME_WAIT.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
    except (OSError, UnicodeError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or "its host is not a valid name"
        raise StartError(f"cannot listen on {address}: {reason}") from error
    return listener


async def _first_of(ready: Any, task: asyncio.Task[None]) -> None:
    waiter = asyncio.ensure_future(ready)
    try:
        await asyncio.wait((waiter, task), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
    if task.done():
        task.result()
