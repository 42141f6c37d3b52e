"""The sandbox Telegram as one ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.telegram import api, inspection, payer, star_inspection, user
from sandbox.telegram.error import ApiError
from sandbox.telegram.payment import resume_payments
from sandbox.telegram.server import TelegramServer
from sandbox.telegram.settings import TelegramSettings

STATIC = Path(__file__).parent / "static"
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:",
}
"""The page runs its own scripts only, and shows files that are chosen but not yet sent."""


def create_app(settings: TelegramSettings | None = None) -> Starlette:
    """Make the application; `app.state.telegram.stop()` ends its streams before a shutdown."""
    server = TelegramServer(settings or TelegramSettings())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with server:
            resume_payments(server)
            yield

    app = Starlette(
        routes=_routes(),
        lifespan=lifespan,
        exception_handlers={
            ApiError: user.refuse,
            HTTPException: user.refuse,
            ValidationError: star_inspection.refuse,
        },
    )
    app.state.telegram = server
    return app


async def page(request: Request) -> Response:
    """Show the chat page."""
    return FileResponse(STATIC / "index.html", headers=PAGE_HEADERS)


def _routes() -> list[Route | Mount]:
    methods = ["GET", "POST"]
    return [
        Route("/", page),
        Route("/bot{token}/{method}", api.call_method, methods=methods),
        Route("/file/bot{token}/{path:path}", api.download),
        *user.ROUTES,
        *payer.ROUTES,
        *inspection.ROUTES,
        *star_inspection.ROUTES,
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
