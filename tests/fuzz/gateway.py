"""The first door: bytes sent to the gateway's port."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from tests.e2e.stack import Stack
from tests.fuzz.door import Tally, attack
from tests.fuzz.known import Known
from tests.fuzz.odd import Odd

STATES = ("waiting", "success", "fail", "SUCCESS", "done", "generating", "", "paused", None, 7)
METHODS = ("POST",) * 8 + ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "QUERY", "", "p ost")
HEADERS = (
    "content-type: application/json",
    "content-type: text/plain; charset=utf-16",
    "content-encoding: gzip",
    "x-webhook-timestamp: 1769670760",
    "x-webhook-signature: bm9uZQ==",
    "x-webhook-timestamp: NaN",
    "expect: 100-continue",
    "connection: upgrade",
    "upgrade: websocket",
    "transfer-encoding: chunked",
    "content-length: 7",
    "content-length: -1",
    "if-none-match: *",
    "range: bytes=0-",
    "host: \x00",
)
MEDIA_STATUS = {"200", "206", "304", "404", "405", "503"}
MAX_WAIT_S = 30.0


@dataclass(frozen=True)
class Sent:
    """Bytes, and which statuses are an answer to them."""

    raw: bytes
    statuses: frozenset[str]


class Requests:
    """Draws requests."""

    def __init__(self, odd: Odd, known: Known) -> None:
        self._odd, self._known = odd, known

    def __call__(self) -> Sent:
        if self._odd.chance(0.15):
            method = self._odd.pick(("GET", "GET", "GET", "HEAD", "POST"))
            raw = self._request(method, self._media_path(), b"")
            return Sent(raw, frozenset(MEDIA_STATUS))
        method = self._odd.pick(METHODS)
        raw = self._request(method, self._callback_path(), self._body())
        if self._odd.chance(0.1):
            # Not the path: it might become one that is not KIE's.
            line, end, rest = raw.partition(b"\r\n")
            raw = line + end + self._odd.damaged(rest)
        return Sent(raw, frozenset({"200"}))

    def _request(self, method: str, path: str, body: bytes) -> bytes:
        odd = self._odd
        lines = [f"{method} {path} HTTP/1.{odd.pick('1110')}", "host: g"]
        lines += odd.random.sample(HEADERS, k=odd.pick((0, 0, 1, 2, 4)))
        if odd.chance(0.02):
            lines.append("x: " + "y" * odd.random.randrange(300_000))
        if odd.chance(0.85):
            lines.append(f"content-length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body

    def _callback_path(self) -> str:
        odd = self._odd
        segments = ("", "forged", ".", "..", "%00", "%2e%2e", "x" * 9000, *self._known.done_tokens)
        parts = [
            odd.pick(segments) if odd.chance(0.6) else quote(odd.text(), safe="", errors="replace")
            for _ in range(odd.random.randrange(4))
        ]
        return "/callbacks/kie" + "".join(f"/{part}" for part in parts)

    def _media_path(self) -> str:
        odd, token = self._odd, self._odd.pick([*self._known.links, "x" * 56])
        if odd.chance(0.7):
            place = odd.random.randrange(len(token))
            token = f"{token[:place]}{odd.pick('aZ0-_%')}{token[place + 1 :]}"
        return f"/media/{token}" if odd.chance(0.9) else f"/media/{quote(odd.text(), safe='')}"

    def _body(self) -> bytes:
        odd = self._odd
        match odd.random.randrange(6):
            case 0:
                return odd.data()
            case 1:
                return b"x" * odd.random.randrange(20_000 if odd.chance(0.9) else 2_000_000)
            case 2:
                return _json(odd.tree())
            case _:
                whole = _json(self._news())
                return odd.damaged(whole) if odd.chance(0.2) else whole

    def _news(self) -> Any:
        """Return a callback that speaks of real tasks, with what nobody promised."""
        odd = self._odd
        data = {
            "taskId": odd.pick(self._known.tasks) if odd.chance(0.8) else odd.scalar(),
            "state": odd.pick(STATES) if odd.chance(0.8) else odd.tree(),
            "resultJson": odd.pick(
                ['{"resultUrls":["https://forged.example/p.png"]}', "{", "null", odd.tree()]
            ),
            "failCode": odd.scalar(),
            "failMsg": odd.scalar(),
            "costTime": odd.scalar(),
            "param": odd.scalar(),
        }
        kept = {name: value for name, value in data.items() if odd.chance(0.8)}
        return {"code": odd.pick((200, 501, "200", None, 1e400)), "msg": odd.scalar(), "data": kept}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


async def storm(stack: Stack, known: Known, odd: Odd, *, inputs: int) -> Tally:
    """Send requests to the gateway; return what came of them."""
    tally, address = Tally("gateway"), urlsplit(stack.gateway_url)
    before = await _victims(stack, known)
    target = (str(address.hostname), int(address.port or 0))
    await attack(tally, Requests(odd, known), partial(_ask, tally, target), inputs=inputs)
    if await _victims(stack, known) != before:
        tally.find("a forged callback changed a job")
    return tally


async def _ask(tally: Tally, target: tuple[str, int], sent: Sent) -> str:
    try:
        async with asyncio.timeout(MAX_WAIT_S):
            line = await _exchange(target, sent.raw)
    except TimeoutError:
        line = b"HTTP/1.1 none"
    status = line[9:12].decode("latin-1")
    if status not in sent.statuses and not (status == "200" and line):
        tally.find(f"{status!r} for {sent.raw[:300]!r}")
    return status


async def _exchange(target: tuple[str, int], raw: bytes) -> bytes:
    """Send everything, then read to the end; return the first line of the answer."""
    reader, writer = await asyncio.open_connection(*target, limit=1 << 25)
    try:
        writer.write(raw)
        with suppress(OSError):  # it may have answered and closed already
            writer.write_eof()
        line = await reader.readline()
        if line.startswith(b"HTTP/1.1 100"):
            await reader.readline()
            line = await reader.readline()
        return line
    except ConnectionError as error:
        return f"HTTP/1.1 {type(error).__name__}".encode()
    finally:
        writer.close()


async def _victims(stack: Stack, known: Known) -> list[Any]:
    query = (
        "SELECT id, state, revision, result, failure, delay_reason FROM job"
        " WHERE id::text = ANY(%(ids)s) ORDER BY id"
    )
    return await stack.history.rows(query, ids=known.victims)
