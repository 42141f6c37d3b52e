"""Media over HTTP: what a browser gets for a link, and what a client that misbehaves does not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import httpx2
import pytest
from prometheus_client import CollectorRegistry

from callback_gateway.app import gateway
from callback_gateway.metric import Meter
from callback_gateway.settings import GatewaySettings
from runtime.address import Address
from tests.contract.media_service import GOOD, RecordingMediaService, serving_media
from tests.e2e.program import until


@dataclass
class Running:
    address: Address
    registry: CollectorRegistry
    service: RecordingMediaService

    async def ask(
        self, token: str = GOOD, *, method: str = "GET", **headers: str
    ) -> httpx2.Response:
        async with httpx2.AsyncClient(trust_env=False, verify=False) as http:
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            url = f"http://{self.address}/media/{token}"
            return await http.request(method, url, headers=named, timeout=20)

    async def counts(self, outcome: str, *, times: int) -> None:
        """Wait until an outcome was counted so often: the client may know of it before."""

        async def is_counted() -> bool:
            return self.count(outcome) == times

        await until(is_counted, within_s=10, what=f"{times} {outcome}")

    def count(self, outcome: str) -> float:
        labels = {"outcome": outcome}
        return self.registry.get_sample_value("atelier_gateway_media_total", labels) or 0


@pytest.fixture
async def up() -> AsyncIterator[Running]:
    service = RecordingMediaService()  # type: ignore[abstract] # nothing else is called
    registry = CollectorRegistry()
    async with serving_media(service) as port:
        settings = GatewaySettings(
            gateway_listen=Address("127.0.0.1", 0),
            port=None,
            generation_address=f"127.0.0.1:{port}",
            gateway_download_limit=2,
            gateway_read_timeout_s=0.5,
        )
        async with gateway(settings, meter=Meter(registry)) as address:
            yield Running(address, registry, service)


async def test_a_link_gives_the_picture_and_nothing_a_browser_could_run(up: Running) -> None:
    up.service.expire_seconds = int(time.time()) + 1000
    answer = await up.ask()
    assert (answer.status_code, answer.content) == (200, up.service.data)
    headers = dict(answer.headers)
    assert 990 <= int(headers.pop("cache-control").removeprefix("private, max-age=")) <= 1000
    assert "date" in headers
    assert headers.items() >= {
        ("accept-ranges", "bytes"),
        ("access-control-allow-origin", "*"),
        ("content-disposition", 'inline; filename="0198c0de-0000-7000-8000-000000000001.png"'),
        ("content-length", str(len(up.service.data))),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("content-type", "image/png"),
        ("etag", f'"{"ab" * 32}"'),
        ("x-content-type-options", "nosniff"),
    }
    assert up.service.tokens == [GOOD]


@pytest.mark.parametrize(
    ("mime_type", "extension"),
    [
        ("video/mp4", "mp4"),
        ("video/webm", "webm"),
        ("audio/mpeg", "mp3"),
        ("audio/wav", "wav"),
        ("audio/mp4", "m4a"),
        ("audio/ogg", "ogg"),
    ],
)
async def test_video_and_audio_are_played_where_they_are(
    up: Running, *, mime_type: str, extension: str
) -> None:
    up.service.mime_type = mime_type
    answer = await up.ask()
    assert answer.headers["content-type"] == mime_type
    name = f"0198c0de-0000-7000-8000-000000000001.{extension}"
    assert answer.headers["content-disposition"] == f'inline; filename="{name}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "media-src 'self'", "sandbox"} <= set(policy)


async def test_what_is_neither_shown_nor_played_is_only_to_be_saved(up: Running) -> None:
    up.service.mime_type = "text/html"
    answer = await up.ask()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")


async def test_head_tells_what_get_would_give(up: Running) -> None:
    up.service.expire_seconds = 0  # or a second may pass between two values of max-age
    head, get = await up.ask(method="HEAD"), await up.ask()
    assert (head.status_code, head.content) == (200, b"")
    assert set(head.headers.items()) >= set(get.headers.items()) - {("date", get.headers["date"])}


@pytest.mark.parametrize(
    ("etag", "status"),
    [
        (f'"{"ab" * 32}"', 304),
        (f'W/"{"ab" * 32}"', 304),
        (f'"x", "{"ab" * 32}"', 304),
        ("*", 304),
        ('"other"', 200),
    ],
)
async def test_a_client_that_has_the_picture_gets_304(
    up: Running, *, etag: str, status: int
) -> None:
    answer = await up.ask(if_none_match=etag)
    assert answer.status_code == status
    assert answer.headers["etag"] == f'"{"ab" * 32}"'
    assert "max-age" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=70000-200000", 70_000, 200_000),
        ("bytes=767900-", 767_900, 767_999),
        ("bytes=0-", 0, 767_999),
        ("bytes=-100", 767_900, 767_999),
        ("bytes=-9999999", 0, 767_999),
        ("bytes=767999-99999999999999999999", 767_999, 767_999),
        ("BYTES= 5-9", 5, 9),
    ],
)
async def test_a_range_gives_its_bytes_and_reads_no_others(
    up: Running, *, wanted: str, first: int, last: int
) -> None:
    up.service.expire_seconds = 0  # or a second may pass between two values of max-age
    whole = await up.ask(method="HEAD")
    await until(up.service.is_idle, within_s=10, what="the end of the call for HEAD")
    up.service.given_bytes = 0
    answer = await up.ask(range=wanted)
    assert (answer.status_code, answer.content) == (206, up.service.data[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/768000"
    assert int(answer.headers["content-length"]) == last - first + 1
    same = {"etag", "content-type", "content-disposition", "cache-control", "accept-ranges"}
    assert {answer.headers[name] for name in same} == {whole.headers[name] for name in same}
    size = last - first + 1
    assert size <= up.service.given_bytes <= size + 1  # a byte of the first call, if it came so far


@pytest.mark.parametrize("wanted", ["bytes=768000-", "bytes=768000-768001", "bytes=-0"])
async def test_bytes_that_are_not_there_are_416(up: Running, *, wanted: str) -> None:
    answer = await up.ask(range=wanted)
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */768000")
    await up.counts("no_range", times=1)


@pytest.mark.parametrize(
    "wanted", ["bytes=0-1,5-9", "bytes=9-5", "bytes=-", "bytes=a-b", "pages=1-2", "bytes=1-2-3", ""]
)
async def test_what_is_no_single_range_is_answered_with_the_whole(
    up: Running, *, wanted: str
) -> None:
    answer = await up.ask(range=wanted)
    assert (answer.status_code, answer.content) == (200, up.service.data)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize(
    ("known", "status"),
    [
        (f'"{"ab" * 32}"', 206),
        ('"other"', 200),
        (f'W/"{"ab" * 32}"', 200),
        ("Sat, 28 Nov 2026 12:00:00 GMT", 200),
    ],
    ids=["same", "other", "weak", "date"],
)
async def test_a_range_is_only_given_of_the_file_that_the_client_has(
    up: Running, *, known: str, status: int
) -> None:
    answer = await up.ask(range="bytes=5-9", if_range=known)
    assert answer.status_code == status
    assert len(answer.content) == (5 if status == 206 else 768_000)


async def test_a_service_that_knows_no_parts_yet_gives_the_whole(up: Running) -> None:
    up.service.old_from_call = 1
    answer = await up.ask(range="bytes=5-9")
    assert (answer.status_code, answer.content) == (200, up.service.data)


@pytest.mark.parametrize("wanted", ["bytes=5-9", "bytes=131072-", "bytes=65536-131071"])
async def test_no_range_is_made_of_the_whole_that_the_second_of_two_replicas_gives(
    up: Running, *, wanted: str
) -> None:
    up.service.old_from_call = 2
    answer = await up.ask(range=wanted)
    assert (answer.status_code, answer.content) == (200, up.service.data)
    assert "content-range" not in answer.headers


async def test_head_and_a_client_that_has_it_all_get_no_range(up: Running) -> None:
    head = await up.ask(method="HEAD", range="bytes=5-9")
    assert (head.status_code, head.headers["content-length"]) == (200, "768000")
    known = await up.ask(range="bytes=5-9", if_none_match=f'"{"ab" * 32}"')
    assert known.status_code == 304


@pytest.mark.parametrize(
    ("token", "is_asked_for"),
    [("b" * 56, True), ("b" * 129, False), ("%00", False), ("a%2Fb", False), ("%F0%9F", False)],
    ids=["forged", "long", "NUL", "slash", "not UTF-8"],
)
async def test_a_bad_link_is_404(up: Running, *, token: str, is_asked_for: bool) -> None:
    answer = await up.ask(token)
    assert answer.status_code == 404
    assert bool(up.service.tokens) is is_asked_for


async def test_only_get_and_head_are_known(up: Running) -> None:
    assert (await up.ask(method="POST")).status_code == 405


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (grpc.StatusCode.UNAVAILABLE, "TEMPORARILY_UNAVAILABLE", 503),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", 503),
        (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", 503),
        (grpc.StatusCode.NOT_FOUND, "MEDIA_NOT_FOUND", 404),
        (grpc.StatusCode.NOT_FOUND, "MEDIA_EXPIRED", 410),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
async def test_a_refusal_of_the_service_has_a_status(
    up: Running, *, code: grpc.StatusCode, reason: str, status: int
) -> None:
    up.service.failure = (code, reason)
    answer = await up.ask()
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) is (status == 503)
    assert answer.headers["content-type"].startswith("text/plain")


async def test_a_service_that_breaks_off_first_is_away_and_later_a_cut_connection(
    up: Running,
) -> None:
    up.service.fails_after = 0
    assert (await up.ask()).status_code == 503
    up.service.fails_after = 128 << 10
    with pytest.raises(httpx2.RemoteProtocolError):
        await up.ask()
    await up.counts("away", times=1)
    await up.counts("broken", times=1)


async def test_no_more_than_so_many_are_sent_at_once_and_only_to_who_reads(up: Running) -> None:
    up.service.data = b"x" * (32 << 20)
    readers = [await _asking(up) for _ in range(2)]
    answer = await up.ask()
    assert (answer.status_code, up.count("shed")) == (503, 1)
    readers[0].close()
    await until(up.service.is_idle, within_s=10, what="the end of the downloads")
    await up.counts("disconnected", times=2)
    assert up.registry.get_sample_value("atelier_gateway_slow_readers_total") == 1
    readers[1].close()


async def _asking(up: Running) -> asyncio.StreamWriter:
    """Ask for media, read the head of the answer and nothing more."""
    reader, writer = await asyncio.open_connection(up.address.host, up.address.port, limit=1024)
    writer.write(b"GET /media/%b HTTP/1.1\r\nhost: g\r\n\r\n" % GOOD.encode())
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return writer


async def test_no_log_line_holds_a_link(
    up: Running, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    await up.ask()
    await up.ask("b" * 56)
    up.service.failure = (grpc.StatusCode.UNAVAILABLE, "TEMPORARILY_UNAVAILABLE")
    await up.ask()
    ours = [each for each in caplog.records if not each.name.startswith("http")]
    logged = "".join([*(each.getMessage() for each in ours), *capsys.readouterr()])
    assert "media answered" in logged
    assert GOOD not in logged
    assert "b" * 56 not in logged
