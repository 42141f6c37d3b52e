"""Reads an answer of KIE up to a limit of its decompressed size.

httpx2 unpacks in pieces of 1 MiB at most, so that reading may stop in the middle: a few hundred
kilobytes of gzip that stand for hundreds of megabytes never lie in memory.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass, field

import httpx2

from generation_svc.provider.kie.document import MAX_SIZE, as_task_id

MAX_ANSWER_BYTES = 2 * MAX_SIZE
"""How much is read of an answer; only up to `MAX_SIZE` of it is parsed as JSON."""

_CODE = re.compile(rb'"code"\s*:\s*"?(\d{1,9})\b')
_TASK_ID = re.compile(rb'"(?:taskId|recordId)"\s*:\s*(?:"([!-~]{1,128}?)"|(\d{1,39})\b)')


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of an answer, and what was read of its body."""

    status: int
    content: bytes = field(repr=False)
    is_whole: bool = True
    """Whether the body ended within the limit."""

    @property
    def text(self) -> str:
        """The body as text, whatever bytes it has."""
        return self.content.decode("utf-8", "replace")


async def read_answer(response: httpx2.Response, *, limit_bytes: int = MAX_ANSWER_BYTES) -> Answer:
    """Read a streamed response, and no further than the limit."""
    body = bytearray()
    async with aclosing(response.aiter_bytes()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > limit_bytes:
                return Answer(response.status_code, bytes(body[:limit_bytes]), is_whole=False)
    return Answer(response.status_code, bytes(body))


def task_id_within(answer: Answer) -> str | None:
    """Return the id of a granted task from an answer that is too long to be parsed.

    Whoever drops such an answer pays for a second task. Names inside of strings are escaped, so
    that they are not taken for fields.
    """
    code, found = _CODE.search(answer.content), _TASK_ID.search(answer.content)
    if answer.status >= 300 or code is None or int(code[1]) != 200 or found is None:
        return None
    return as_task_id((found[1] or found[2]).decode("ascii"))
