"""The application: KIE's paths, links to media, `/healthz`, and nothing else."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from callback_gateway.callback import CallbackEndpoint, Limits, Reporter
from callback_gateway.media import MediaEndpoint, MediaSource
from callback_gateway.metric import CountResponses, Meter
from callback_gateway.path import MEDIA_PATH, is_callback_path


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


def create_app(
    report: Reporter, *, media: MediaSource, meter: Meter, limits: Limits | None = None
) -> Starlette:
    """Build the gateway around whatever takes the callbacks and has the media."""
    limits = limits or Limits()
    callbacks = CallbackEndpoint(report, limits=limits, meter=meter)
    downloads = MediaEndpoint(media, limit=limits.downloads, meter=meter)
    app = Starlette(
        routes=[
            CallbackRoute(callbacks),
            Route(MEDIA_PATH + "{token}", downloads, methods=["GET"]),
            Route("/healthz", healthz),
        ],
        middleware=[Middleware(CountResponses, meter=meter)],
    )
    app.router.redirect_slashes = False
    return app


async def healthz(_: Request) -> Response:
    """Answer that the process lives; callbacks are taken whether or not the service is there."""
    return Response("ok\n", media_type="text/plain")
