"""Serve a stand-in on a socket of its own, several in one process."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp


def bind(listen: str) -> socket.socket:
    """Return a listening socket for `host:port`; port 0 takes a free one. Raises OSError."""
    host, _, port = listen.rpartition(":")
    sock = socket.create_server((host.strip("[]"), int(port)))
    # asyncio sets this only on sockets that name their protocol; without it a POST takes 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def address(sock: socket.socket) -> str:
    """Return the `host:port` that a socket listens on."""
    host, port = sock.getsockname()[:2]
    return f"{host}:{port}"


@asynccontextmanager
async def running(app: ASGIApp, *, sock: socket.socket) -> AsyncIterator[None]:
    """Serve the app on the socket while the block runs."""
    server = _Server(_config(app))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[sock]), name=f"serve {address(sock)}")
        await server.has_started.wait()
        try:
            yield
        finally:
            server.should_exit = True


def _config(app: ASGIApp) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    return uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=2,
    )


def _is_news(record: logging.LogRecord) -> bool:
    """Drop the complaint about an answer that a fault cut on purpose."""
    return record.msg != "ASGI callable returned without completing response."


class _Server(uvicorn.Server):
    """A server that leaves signals alone and, on its way out, hangs up on clients that still wait.

    Long polls, event streams and hung requests would otherwise hold the shutdown.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.close()
        await super().shutdown(sockets)
