"""Fetching the files that a request names by link."""

import httpx2

from sandbox.kie.file import FileStore

LARGEST_BYTES = 10 * 1024 * 1024
"""The largest picture that KIE takes, where nothing else is said."""
TIMEOUT_S = 10.0


class FetchError(Exception):
    """The link does not lead to a file that KIE takes."""


async def fetch(
    url: str, *, files: FileStore, client: httpx2.AsyncClient, limit: int = LARGEST_BYTES
) -> bytes:
    """Return the bytes behind an own link or an http(s) one; raises FetchError.

    An own file is returned whatever its size; of a foreign one no more than the limit is read.
    """
    if own := files.find(url):
        if not own.is_served:
            raise FetchError(url)
        return own.content
    try:
        return await _download(url, client, limit)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise FetchError(url) from error


async def _download(url: str, client: httpx2.AsyncClient, limit: int) -> bytes:
    content = bytearray()
    async with client.stream("GET", url, follow_redirects=True, timeout=TIMEOUT_S) as answer:
        answer.raise_for_status()
        async for chunk in answer.aiter_bytes():
            content += chunk
            if len(content) > limit:
                raise FetchError(url)
    return bytes(content)
