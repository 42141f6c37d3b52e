"""The latest pages of what the service tells of a user's money."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

from generation_client import translated

PAGE_SIZE = 100
MAX_PAGES = 5
"""How many pages the chat shows; statements have all of it."""


class _Request(Protocol):
    page_size: int
    page_token: str


class _Answer(Protocol):
    next_page_token: str


_RequestT = TypeVar("_RequestT", bound=_Request)
_AnswerT = TypeVar("_AnswerT", bound=_Answer)


async def latest_pages(
    call: Callable[[_RequestT], Awaitable[_AnswerT]], request: _RequestT
) -> AsyncIterator[_AnswerT]:
    """Yield the answers to a request for a list, page after page; raises GenerationError."""
    request.page_size = PAGE_SIZE
    for _ in range(MAX_PAGES):
        with translated():
            answer = await call(request)
        yield answer
        request.page_token = answer.next_page_token
        if not request.page_token:
            return
