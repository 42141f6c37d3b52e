import asyncio
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from typing import Any

import httpx2
import pytest
from PIL import Image

from generation_svc.domain.error import (
    AtelierError,
    FetchFailed,
    HostUnreachable,
    LinkDead,
    ResultRejected,
    ResultTooLarge,
)
from generation_svc.domain.media import Content
from generation_svc.egress.host import HostList, HostRule, is_public
from generation_svc.egress.resolver import NameResolver
from generation_svc.media.content import MAX_RESULT_BYTES
from generation_svc.media.examination.examine import examine_result
from generation_svc.media.examination.layout import Refused
from generation_svc.media.fetch import HttpResultFetcher, open_fetcher

HOST = "tempfile.aiquickdraw.com"
LINK = f"https://{HOST}/a.png"
ADDRESSES = {HOST: "104.16.0.1", "file.aiquickdraw.com": "104.16.0.1", "inside.example": "10.0.0.5"}

Handler = Callable[[httpx2.Request], Any]


def picture() -> bytes:
    out = BytesIO()
    Image.new("RGB", (4, 3)).save(out, "PNG")
    return out.getvalue()


PICTURE = picture()


async def known_addresses(host: str, _port: int) -> list[str]:
    if host in ADDRESSES:
        return [ADDRESSES[host]]
    if host.replace(".", "").isdecimal():
        return [host]
    raise OSError("no such name")


async def examine(data: bytes) -> Content:
    """Examine in this process, which is none of a stranger's here."""
    try:
        found = examine_result(data)
    except Refused as error:
        raise ResultRejected(error.text) from error
    digest = sha256(found.data).hexdigest()
    return Content(found.data, found.mime_type, found.width, found.height, digest)


async def fetch(handler: Handler, url: str = LINK, **options: Any) -> Any:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as http:
        fetcher = HttpResultFetcher(http, examine=examine, resolver=known_addresses, **options)
        return await fetcher.fetch(url)


def answering(status: int = 200, body: Any = PICTURE, **headers: str) -> Handler:
    return lambda _: httpx2.Response(status, content=body, headers=headers)


def redirecting(targets: dict[str, str]) -> Handler:
    def answer(request: httpx2.Request) -> httpx2.Response:
        target = targets.get(request.url.path)
        if target is None:
            return httpx2.Response(200, content=PICTURE)
        return httpx2.Response(302, headers={"location": target})

    return answer


async def test_picture_is_fetched() -> None:
    content = await fetch(answering())
    assert (content.mime_type, content.width, content.height) == ("image/png", 4, 3)
    assert content.data == PICTURE


async def test_checked_address_is_asked_under_the_hosts_name() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, content=PICTURE)

    await fetch(answer)
    (request,) = seen
    assert str(request.url) == "https://104.16.0.1/a.png"
    assert request.headers["host"] == HOST
    assert request.extensions["sni_hostname"] == HOST
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, LinkDead),
        (404, LinkDead),
        (410, LinkDead),
        (206, FetchFailed),
        (304, FetchFailed),
        (429, HostUnreachable),
        (500, FetchFailed),
        (502, FetchFailed),
        (503, HostUnreachable),
    ],
)
async def test_status_says_whether_the_link_is_dead(status: int, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        await fetch(answering(status))
    assert caught.type is error


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/a.png",
        f"https://{HOST}.evil.example/a.png",
        f"https://evil.example/{HOST}",
        f"https://{HOST}@evil.example/a.png",
        f"https://user@{HOST}/a.png",
        f"http://{HOST}/a.png",
        f"https://{HOST}:8443/a.png",
        f"ftp://{HOST}/a.png",
        "file:///etc/passwd",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "https://",
        "https://x:y/",
        "a.png",
        "",
    ],
)
async def test_link_to_another_place_is_rejected(url: str) -> None:
    with pytest.raises(ResultRejected):
        await fetch(answering(), url)


async def test_allowed_name_with_a_private_address_is_rejected() -> None:
    with pytest.raises(ResultRejected):
        await fetch(answering(), "https://inside.example/a", allowed_hosts=["inside.example"])


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("127.0.0.1:8091", "http://127.0.0.1:8091/a.png"),
        ("inside.example:9000", "http://inside.example:9000/a.png"),
        ("inside.example:443", "https://inside.example/a.png"),
        ("10.0.0.5", "https://10.0.0.5/a.png"),
    ],
)
async def test_private_address_is_fetched_from_if_it_is_named(entry: str, url: str) -> None:
    assert (await fetch(answering(), url, allowed_hosts=[entry])).width == 4


async def test_redirects_are_followed_and_relative_to_the_name() -> None:
    targets = {"/a.png": "/b.png", "/b.png": "https://file.aiquickdraw.com/c.png"}
    assert (await fetch(redirecting(targets))).width == 4


@pytest.mark.parametrize(
    ("targets", "error"),
    [
        pytest.param({"/a.png": "https://evil.example/"}, ResultRejected, id="elsewhere"),
        pytest.param({"/a.png": "http://169.254.169.254/"}, ResultRejected, id="metadata"),
        pytest.param({"/a.png": f"http://{HOST}/b.png"}, ResultRejected, id="without TLS"),
        pytest.param({"/a.png": "https://x:y/"}, ResultRejected, id="no URL"),
        pytest.param({"/a.png": "/a.png"}, FetchFailed, id="in a circle"),
        pytest.param({"/a.png": ""}, FetchFailed, id="nowhere"),
    ],
)
async def test_each_redirect_is_checked(targets: dict[str, str], error: type[AtelierError]) -> None:
    with pytest.raises(error):
        await fetch(redirecting(targets))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(b"", FetchFailed, id="nothing"),
        pytest.param(b"<html>", ResultRejected, id="a page"),
        pytest.param(bytes(MAX_RESULT_BYTES + 1), ResultRejected, id="too large"),
    ],
)
async def test_body_that_is_no_result(body: bytes, error: type[AtelierError]) -> None:
    with pytest.raises(error):
        await fetch(answering(body=body))


async def test_body_without_an_end_is_not_read_to_it() -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 2**20
            yield bytes(2**20)

    with pytest.raises(ResultRejected):
        await fetch(answering(body=endless()))
    assert given <= MAX_RESULT_BYTES + 2**21


@pytest.mark.parametrize(
    "error", [httpx2.ConnectError, httpx2.ReadTimeout, httpx2.RemoteProtocolError]
)
async def test_transport_error_may_pass(error: type[Exception]) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise error("as asked")

    with pytest.raises(FetchFailed):
        await fetch(fail)


async def test_name_that_does_not_resolve_may_pass() -> None:
    with pytest.raises(FetchFailed):
        await fetch(answering(), "https://gone.example/a", allowed_hosts=["*.example"])


async def test_fetch_has_an_end() -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield PICTURE[:10]
        await asyncio.Event().wait()

    with pytest.raises(FetchFailed):
        await fetch(answering(body=drip()), deadline=timedelta(milliseconds=20))


async def test_real_connection_is_used() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(PICTURE)}\r\n\r\n"
        writer.write(head.encode() + PICTURE)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with open_fetcher(examine=examine, allowed_hosts=[f"127.0.0.1:{port}"]) as fetcher:
            assert (await fetcher.fetch(f"http://127.0.0.1:{port}/a.png")).width == 4


async def test_resolver_gives_addresses() -> None:
    assert await NameResolver()("127.0.0.1", 443) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("Host.Example", HostRule("host.example")),
        ("*.host.example", HostRule("*.host.example")),
        ("127.0.0.1:8091", HostRule("127.0.0.1", 8091)),
        ("[::1]:8091", HostRule("::1", 8091)),
        ("sandbox:80", HostRule("sandbox", 80)),
    ],
)
def test_entry_of_the_list_is_read(entry: str, rule: HostRule) -> None:
    assert HostRule.parse(entry) == rule


@pytest.mark.parametrize(
    "entry", ["", "*", "*.a:80", "https://a", "a/b", "a:b", "a b", "u@a", "a.*.b", "::1", "a:"]
)
def test_entry_that_means_nothing_is_said(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        HostRule.parse(entry)


@pytest.mark.parametrize("entry", ["a:0", "a:65536", "[::1]:99999"])
def test_port_of_no_server_is_said(entry: str) -> None:
    with pytest.raises(ValueError, match="a port from 1 to 65535"):
        HostRule.parse(entry)


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://a.host.example/x", True),
        ("https://A.Host.Example./x", True),
        ("https://a.b.host.example:443/x", True),
        ("https://host.example/x", False),
        ("https://evilhost.example/x", False),
        ("http://a.host.example/x", False),
        ("https://a.host.example:80/x", False),
        ("http://[::1]:8091/x", True),
        ("https://[::1]:8091/x", True),
        ("http://[::1]/x", False),
    ],
)
def test_list_allows_what_it_names(url: str, is_allowed: bool) -> None:
    hosts = HostList(["*.host.example", "[::1]:8091"])
    assert (hosts.rule_for(httpx2.URL(url)) is not None) is is_allowed


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("104.16.0.1", True),
        ("2606:4700::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:104.16.0.1", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::6810:1", True),
        ("2002:a00:1::1", False),
        ("2002:6810:1::1", True),
        ("fec0::1", False),
        ("::10.0.0.1", False),
        ("no address", False),
    ],
)
def test_public_address(address: str, expected: bool) -> None:
    assert is_public(address) is expected


R2 = "tempfile.1f6c00000000000000000000000000bd98.r2.cloudflarestorage.com"


async def addresses_with_r2(host: str, port: int) -> list[str]:
    if ":" in host:
        return [host]
    return ["172.64.66.1"] if host == R2 else await known_addresses(host, port)


async def fetch_proved(handler: Handler, url: str) -> Any:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as http:
        fetcher = HttpResultFetcher(http, examine=examine, resolver=addresses_with_r2)
        return await fetcher.fetch(url, is_proved=True)


async def test_link_that_kies_api_made_is_fetched_from_a_host_on_no_list() -> None:
    content = await fetch_proved(answering(), f"https://{R2}/s/a.png?X-Amz-Signature=0")
    assert content.data == PICTURE


async def test_redirect_within_the_host_of_a_proved_link_is_followed() -> None:
    handler = redirecting({"/a.png": "/b.png"})
    assert (await fetch_proved(handler, f"https://{R2}/a.png")).data == PICTURE


@pytest.mark.parametrize(
    "url",
    [
        f"http://{R2}/a.png",
        f"https://{R2}:8443/a.png",
        f"https://user@{R2}/a.png",
        "https://inside.example/a.png",
        "https://10.0.0.5/a.png",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "https://169.254.169.254/latest/meta-data",
        f"ftp://{R2}/a.png",
    ],
)
async def test_proved_link_leads_to_the_internet_over_tls_alone(url: str) -> None:
    with pytest.raises(ResultRejected):
        await fetch_proved(answering(), url)


@pytest.mark.parametrize(
    "target", ["https://evil.example/a.png", f"http://{R2}/b.png", "https://10.0.0.5/a.png"]
)
async def test_proved_link_proves_no_other_host(target: str) -> None:
    with pytest.raises(ResultRejected):
        await fetch_proved(redirecting({"/a.png": target}), f"https://{R2}/a.png")


async def test_host_to_which_no_connection_is_made_is_an_outage() -> None:
    def refuse(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with pytest.raises(HostUnreachable):
        await fetch(refuse)


async def test_result_that_is_too_large_says_so() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_RESULT_BYTES // 2**20 + 2):
            yield bytes(2**20)

    with pytest.raises(ResultTooLarge):
        await fetch(lambda _: httpx2.Response(200, content=endless()))


async def test_result_that_unpacks_to_too_much_is_read_up_to_a_limit() -> None:
    """It was asked for unpacked; a host may send it packed all the same."""
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(400)) + packer.flush()

    async def pieces() -> AsyncIterator[bytes]:
        yield bomb

    def answering_packed(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-encoding": "gzip"}
        return httpx2.Response(200, content=pieces(), headers=headers)

    tracemalloc.start()
    try:
        with pytest.raises(ResultTooLarge):
            await fetch(answering_packed)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MAX_RESULT_BYTES
