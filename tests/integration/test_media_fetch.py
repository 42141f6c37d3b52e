import asyncio
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest
from mido import MidiFile
from PIL import Image

from generation_svc.domain.error import (
    AtelierError,
    FetchFailed,
    HostUnreachable,
    LinkDead,
    ResultRejected,
    ResultTooLarge,
)
from generation_svc.domain.media import MediaKind
from generation_svc.domain.model import ResultForm, ResultShape
from generation_svc.domain.port.media import Examined
from generation_svc.egress.host import HostList, HostRule, is_public
from generation_svc.egress.resolver import NameResolver
from generation_svc.media.examination.layout import Refused
from generation_svc.media.examination.result import digest_of, examine_file
from generation_svc.media.fetch import (
    MAX_RESULT_BYTES,
    FetchLimits,
    HttpResultFetcher,
    open_fetcher,
)
from generation_svc.media.scratch import open_scratch

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


async def examine(path: Path, *, is_media_promised: bool) -> Examined:
    """Examine in this process, which is none of a stranger's here."""
    try:
        found = examine_file(path, is_media_promised=is_media_promised)
    except Refused as error:
        raise ResultRejected(error.text) from error
    return Examined(
        path=path,
        mime_type=found.mime_type,
        width=found.width,
        height=found.height,
        size_bytes=path.stat().st_size,  # noqa: ASYNC240 -- a few bytes
        sha256=digest_of(path),
    )


@dataclass(frozen=True)
class Fetched:
    """What was fetched, and its bytes."""

    found: Examined
    data: bytes

    @property
    def width(self) -> int:
        return self.found.width


async def fetched(
    fetcher: HttpResultFetcher,
    url: str,
    *,
    is_proved: bool = False,
    form: ResultForm | None = None,
) -> Fetched:
    async with fetcher.fetch(url, is_proved=is_proved, form=form) as found:
        return Fetched(found, found.path.read_bytes())


async def fetch(
    handler: Handler,
    url: str = LINK,
    *,
    is_proved: bool = False,
    form: ResultForm | None = None,
    **options: Any,
) -> Fetched:
    options = {"resolver": known_addresses, **options}
    with TemporaryDirectory() as folder, open_scratch(Path(folder)) as scratch:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as http:
            fetcher = HttpResultFetcher(http, scratch, examine=examine, **options)
            try:
                return await fetched(fetcher, url, is_proved=is_proved, form=form)
            finally:
                assert files_in(scratch.folder) == ["lock"], "a fetch leaves nothing behind"


def files_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


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
    found = content.found
    assert (found.mime_type, found.width, found.height) == ("image/png", 4, 3)
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

    with pytest.raises(ResultTooLarge, match="3 MiB"):
        await fetch(answering(body=endless()), limits=SMALL)
    assert given <= SMALL.max_bytes + 2**21


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
        await fetch(answering(body=drip()), limits=FetchLimits(first_seconds=0.02))


async def test_real_connection_is_used(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(PICTURE)}\r\n\r\n"
        writer.write(head.encode() + PICTURE)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        hosts = [f"127.0.0.1:{port}"]
        with open_scratch(tmp_path) as scratch:
            async with open_fetcher(scratch, examine=examine, allowed_hosts=hosts) as fetcher:
                assert (await fetched(fetcher, f"http://127.0.0.1:{port}/a.png")).width == 4


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


async def fetch_proved(handler: Handler, url: str) -> Fetched:
    return await fetch(handler, url, is_proved=True, resolver=addresses_with_r2)


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


SMALL = FetchLimits(max_bytes=3 * 2**20)


async def test_result_that_says_that_it_is_too_large_is_not_read() -> None:
    given = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 2**20
            yield bytes(2**20)

    headers = {"content-length": str(MAX_RESULT_BYTES + 1)}
    with pytest.raises(ResultTooLarge, match="500 MiB"):
        await fetch(lambda _: httpx2.Response(200, content=pieces(), headers=headers))
    assert given <= 2**20


def promised(*kinds: MediaKind, max_bytes: int = 10**6) -> ResultForm:
    return ResultForm(kinds, ResultShape.URLS, max_bytes)


async def test_a_result_is_as_large_as_its_model_may_make_it() -> None:
    data = bytes(4 * 2**20)
    form = promised(MediaKind.FILE, max_bytes=len(data))
    kept = await fetch(answering(body=data), form=form, limits=SMALL)
    assert len(kept.data) == len(data)
    with pytest.raises(ResultTooLarge, match="3 MiB"):
        await fetch(
            answering(body=data),
            form=promised(MediaKind.FILE, max_bytes=len(data) - 1),
            limits=SMALL,
        )


@pytest.mark.parametrize("kind", [MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO])
async def test_words_are_no_result_of_a_model_that_makes_media(kind: MediaKind) -> None:
    """Whatever their link is called: this one has no ending."""
    with pytest.raises(ResultRejected, match="words"):
        await fetch(
            answering(body=b"not found"), "https://file.aiquickdraw.com/x", form=promised(kind)
        )


@pytest.mark.parametrize("kinds", [(MediaKind.TEXT,), (MediaKind.AUDIO, MediaKind.FILE)])
async def test_words_are_a_result_of_a_model_that_makes_them(kinds: Any) -> None:
    url = "https://file.aiquickdraw.com/x"
    assert (await fetch(answering(body=b"la"), url, form=promised(*kinds))).data == b"la"


async def test_what_came_without_a_link_is_a_file_for_a_while() -> None:
    with TemporaryDirectory() as folder, open_scratch(Path(folder)) as scratch:
        async with httpx2.AsyncClient() as http:
            fetcher = HttpResultFetcher(http, scratch, examine=examine)
            async with fetcher.write("ля", mime_type="text/plain") as found:
                data = found.path.read_bytes()
                assert (found.size_bytes, found.mime_type) == (len(data), "text/plain")
                assert found.sha256 == digest_of(found.path)
            assert data.decode() == "ля"
            assert files_in(scratch.folder) == ["lock"]


async def test_notes_become_a_score_that_plays_them(tmp_path: Path) -> None:
    notes = json.dumps({"tracks": [{"name": "Bass", "notes": [[40, 0.5, 1.0, 64]]}]})
    with open_scratch(tmp_path) as scratch:
        async with httpx2.AsyncClient() as http:
            fetcher = HttpResultFetcher(http, scratch, examine=examine)
            async with fetcher.write(notes, mime_type="audio/midi") as found:
                file = MidiFile(found.path)
                assert (found.mime_type, found.size_bytes) == (
                    "audio/midi",
                    found.path.stat().st_size,
                )
                assert found.sha256 == digest_of(found.path)
    struck = [(each.type, each.note) for each in file if each.type.startswith("note")]
    assert struck == [("note_on", 40), ("note_off", 40)]
    assert file.length == 1.0


async def test_result_that_unpacks_to_too_much_is_read_up_to_a_limit() -> None:
    """It was asked for unpacked; a host may send it packed all the same."""
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(100)) + packer.flush()

    async def pieces() -> AsyncIterator[bytes]:
        yield bomb

    def answering_packed(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-encoding": "gzip"}
        return httpx2.Response(200, content=pieces(), headers=headers)

    with memory_peak() as peak, pytest.raises(ResultTooLarge):
        await fetch(answering_packed, limits=SMALL)
    assert peak() < 8 * 2**20


@contextmanager
def memory_peak() -> Iterator[Callable[[], int]]:
    """Say how much memory Python held at most since the block began."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_a_large_result_is_never_in_memory() -> None:
    count = 100

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"\xfe" * 2**20

    async def counted(path: Path, *, is_media_promised: bool) -> Examined:
        size = path.stat().st_size  # noqa: ASYNC240 -- it is there
        return Examined(path=path, mime_type="video/mp4", size_bytes=size, sha256="")

    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=pieces()))
    ) as http:
        with TemporaryDirectory() as folder, open_scratch(Path(folder)) as scratch:
            fetcher = HttpResultFetcher(http, scratch, examine=counted, resolver=known_addresses)
            with memory_peak() as peak:
                async with fetcher.fetch(LINK) as found:
                    assert found.size_bytes == count * 2**20
                held = peak()
    assert held < 8 * 2**20


async def test_a_fetch_goes_on_for_as_long_as_it_gets_somewhere() -> None:
    """Each piece comes in less time than it earns; all of them take ten times the first one's."""
    pieces = 20
    size = len(PICTURE) // pieces + 1

    async def slowly() -> AsyncIterator[bytes]:
        for at in range(0, len(PICTURE), size):
            await asyncio.sleep(0.05)
            yield PICTURE[at : at + size]

    limits = FetchLimits(first_seconds=0.25, bytes_per_second=size)
    assert (await fetch(answering(body=slowly()), limits=limits)).data == PICTURE


async def test_a_fetch_that_goes_on_steadily_has_an_end_all_the_same() -> None:
    async def forever() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b"x"

    limits = FetchLimits(first_seconds=0.1, bytes_per_second=1, max_seconds=0.3)
    with pytest.raises(FetchFailed, match="TimeoutError"):
        await fetch(answering(body=forever()), limits=limits)


@pytest.mark.parametrize(
    ("received", "seconds"),
    [(0, 60), (2**20, 76), (300 * 2**20, 1800), (500 * 2**20, 1800)],
)
def test_what_was_received_earns_time_up_to_a_bound(received: int, seconds: float) -> None:
    assert FetchLimits().seconds(received) == seconds


@pytest.mark.parametrize("name", ["a", "a.txt", "a.json", "png"])
async def test_words_are_a_result_where_no_media_was_promised(name: str) -> None:
    content = await fetch(answering(body=b"some words"), f"https://{HOST}/{name}")
    assert content.found.mime_type == "text/plain"


@pytest.mark.parametrize("name", ["a.png", "a.MP4", "a.mp3?x=1", "a.webm"])
async def test_words_in_the_place_of_media_are_no_result(name: str) -> None:
    with pytest.raises(ResultRejected, match="words"):
        await fetch(answering(body=b"404 not found"), f"https://{HOST}/{name}")
