"""What stands before every API call: Cloudflare's taste in clients, outages, the key."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.kie import answer, upload
from sandbox.kie.account import enter
from sandbox.kie.answer import KieResponse
from sandbox.kie.fault import KieFault
from sandbox.kie.state import Kie

REFUSED_AGENTS = ("python-requests/", "python-httpx", "python-urllib", "aiohttp/")
"""The beginnings, in lower case, of the user agents that Cloudflare turns away."""


class GateMiddleware:
    """Lets a request through, or answers it instead of the application."""

    def __init__(self, app: ASGIApp, *, kie: Kie) -> None:
        self._app = app
        self._kie = kie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard HTTP requests; those under /sandbox are never refused."""
        if scope["type"] != "http" or scope["path"].startswith("/sandbox"):
            await self._app(scope, receive, send)
            return
        handler = self._objection(Request(scope)) or self._app
        await handler(scope, receive, send)

    def _objection(self, request: Request) -> Response | None:
        path = request.url.path
        if down := self._kie.faults.take(KieFault.DOWN, path):
            return PlainTextResponse("Service Unavailable", down.status or 503)
        if not path.startswith("/api/"):
            return None
        agent = request.headers.get("user-agent", "").lower()
        if agent.startswith(REFUSED_AGENTS):
            return PlainTextResponse("error code: 1010", 403)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        account = self._kie.account_of(key) if scheme == "Bearer" else None
        if account is None:
            return _unauthorized(path)
        enter(request.scope, account)
        return None


def _unauthorized(path: str) -> Response:
    if path.startswith("/api/file-"):
        return upload.UNAUTHORIZED.response()
    is_read = path.endswith("/recordInfo")
    return KieResponse(answer.READ_UNAUTHORIZED if is_read else answer.UNAUTHORIZED)
