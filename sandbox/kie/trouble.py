"""What a result's link may give in place of the picture."""

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

PAGE = "<!doctype html><title>One moment</title><p>Checking your browser…"


class BrokenOffResponse(Response):
    """The first half of a body, after which the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise the whole and send half: the server then hangs up."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


def troubled(variant: str, content: bytes, *, url: str) -> Response:
    """Return the answer that a variant of `bad_result` names."""
    match variant:
        case "status":
            return Response("Internal Server Error", 500)
        case "loop":
            return RedirectResponse(url)
        case "cut":
            return BrokenOffResponse(content, media_type="image/png")
        case "html":
            return HTMLResponse(PAGE)
        case "half":
            return Response(content[: len(content) // 2], media_type="image/png")
        case _:
            return Response(b"", media_type="image/png")
