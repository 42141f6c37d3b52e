"""Serving files, and POST /api/v1/common/download-url."""

import json
import secrets

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sandbox.kie import answer
from sandbox.kie.file import File
from sandbox.kie.refusal import RefusedError
from sandbox.kie.state import Kie, kie_of

FOREIGN_LINK = "http://elsewhere.example/picture.png"
"""A link that no client may follow."""


async def serve_file(request: Request) -> Response:
    """Send the file under the path, without asking for a key."""
    kie = kie_of(request)
    kie.journal.counters.downloads += 1
    file = kie.files.get(request.path_params["path"])
    if file is None or not file.is_served:
        raise HTTPException(404)
    return file.response(url=str(request.url), wanted=request.headers.get("range"))


async def download_url(request: Request) -> Response:
    """Answer a fresh link to a file that was made here; other links are wrong."""
    kie = kie_of(request)
    kie.journal.counters.download_urls += 1
    file = _made_here(kie, await request.body())
    if file is None or file.bad_fresh == "refused":
        raise RefusedError(answer.WRONG_URL)
    if file.bad_fresh == "foreign":
        return answer.granted(FOREIGN_LINK)
    path = f"fresh/{secrets.token_hex(16)}"
    return answer.granted(kie.files.refresh(file, path=path, ttl_s=kie.settings.fresh_ttl_s))


def _made_here(kie: Kie, body: bytes) -> File | None:
    try:
        content = json.loads(body)
    except ValueError:
        return None
    url = content.get("url") if isinstance(content, dict) else None
    file = kie.files.find(str(url))
    return file if file and file.is_result else None
