"""Writes a large file into a bucket in one request, read from the disk as it is sent.

An upload in parts would leave its parts behind when the process is killed: they cost money, no
listing shows them, and they stay until somebody makes a rule for them. One request of up to 5 GB is
seen whole or not at all, so there is nothing to be cleaned up. obstore holds what it sends in one
request in memory; therefore it only signs the request, and the bytes are streamed.
"""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import httpx2
from obstore import sign_async
from obstore.store import S3Store

from runtime.file import read_pieces, size_of

MAX_SECONDS = 15 * 60
"""How long a bucket may take for a file: 500 MiB at 0.6 MB a second."""
TRIES = 3
_TIMEOUT = httpx2.Timeout(30, connect=5)
_VALID = timedelta(minutes=30)
_RETRY_SECONDS = 1.0
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")


async def put_large(store: S3Store, key: str, *, path: Path) -> None:
    """Keep the bytes of a file; raises OSError."""
    size = await size_of(path)
    async with asyncio.timeout(MAX_SECONDS), httpx2.AsyncClient(timeout=_TIMEOUT) as http:
        for left in reversed(range(TRIES)):
            url = await sign_async(store, "PUT", key, _VALID)
            problem = await _put(http, url, path=path, size=size)
            if not problem:
                return
            if not left:
                raise OSError(problem)
            await asyncio.sleep(_RETRY_SECONDS)


async def _put(http: httpx2.AsyncClient, url: str, *, path: Path, size: int) -> str:
    """Send the file; return what was wrong, empty if nothing was."""
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    try:
        response = await http.put(url, content=read_pieces(path), headers=headers)
    except httpx2.HTTPError as error:
        return f"the bucket took no file: {type(error).__name__}"
    if response.is_success:
        return ""
    # The rest of what it says may repeat what the request was signed with.
    code = _CODE.search(response.text)
    return f"the bucket took no file: HTTP {response.status_code} {code[1] if code else ''}".strip()
