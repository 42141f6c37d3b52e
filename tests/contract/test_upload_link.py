"""Upload links: what a token proves, the page that it opens, and the file that comes by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx2
import pytest

from atelier.generation.v1 import edge_service_pb2 as edge
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_QUEUED
from atelier.generation.v1.media_pb2 import MEDIA_KIND_AUDIO, MEDIA_KIND_IMAGE, MEDIA_KIND_VIDEO
from atelier.generation.v1.upload_link_pb2 import UploadLink
from atelier.wallet.v1 import wallet_service_pb2 as wallet_pb
from generation_client import connect
from generation_svc.caller import CallerDirectory, Grant
from generation_svc.domain.caller import Caller
from generation_svc.domain.link_error import UploadLinkInvalid
from generation_svc.domain.media import MediaKind
from generation_svc.domain.money_error import OwnerBlocked
from generation_svc.domain.upload_link import UploadTicket
from generation_svc.media.upload_link import SignedUploadLinks
from generation_svc.usecase import upload_link
from sandbox.kie.app import create_app
from sandbox.kie.settings import KieSettings
from sandbox.kie.state import Kie
from sandbox.server import address, bind
from sandbox.server import running as running_app
from tests.contract.caller_harness import LINKED
from tests.contract.failure import refused
from tests.contract.gateway_harness import running
from tests.contract.service import Service, serving
from tests.e2e.program import until
from tests.told_clip import SECRETS, film

KEY = "a key of our own that is long enough"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FILM = film()


def signer(key: str = KEY, *, now: datetime = NOON) -> SignedUploadLinks:
    return SignedUploadLinks(key, base_url="https://files.example/", now=lambda: now)


def ticket(**changes: Any) -> UploadTicket:
    fields: dict[str, Any] = {
        "upload_id": uuid4(),
        "caller": "edge",
        "owner": "telegram:7",
        "expire_time": NOON + timedelta(minutes=30),
        "kinds": (MediaKind.VIDEO,),
        "language": "ru",
        "return_uri": "https://t.me/atelier_bot",
    }
    return UploadTicket(**{**fields, **changes})


def token_of(uri: str) -> str:
    return uri.rpartition("/")[2]


def test_a_token_says_what_the_link_is_for() -> None:
    given = ticket()
    uri = signer().make(given)
    assert uri.startswith("https://files.example/upload/")
    assert signer().read(token_of(uri)) == given


def test_the_longest_link_fits() -> None:
    given = ticket(caller="c" * 128, owner="о" * 128, return_uri="https://" + "r" * 248)
    uri = signer().make(given)
    assert len(uri) <= 2048
    assert signer().read(token_of(uri)) == given


def test_a_link_ends_after_its_time_and_with_its_key() -> None:
    token = token_of(signer().make(ticket()))
    signer(now=NOON + timedelta(minutes=29)).read(token)
    for other in (signer(now=NOON + timedelta(minutes=31)), signer("another key, as long as that")):
        with pytest.raises(UploadLinkInvalid):
            other.read(token)


def test_no_other_text_is_a_token() -> None:
    token = token_of(signer().make(ticket()))
    for at in range(0, len(token), 7):
        other = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(UploadLinkInvalid):
            signer().read(other)
    for text in ("", "x", "ä" * 60, token + "=", "A" * 5000):
        with pytest.raises(UploadLinkInvalid):
            signer().read(text)


@dataclass(frozen=True)
class Bench:
    """A service that serves links, and a gateway before it."""

    service: Service
    gateway: str

    async def link(self, draft: str = "draft-1", **fields: Any) -> UploadLink:
        request = edge.CreateUploadLinkRequest(owner="telegram:7", draft=draft, **fields)
        return (await self.service.edge.CreateUploadLink(request)).link

    def url(self, link: UploadLink) -> str:
        return f"{self.gateway}/upload/{token_of(link.uri)}"

    async def put(self, link: UploadLink, content: Any, **options: Any) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=30) as http:
            return await http.put(self.url(link), content=content, **options)


@asynccontextmanager
async def serving_links(
    database_url: str, media: Path, *, kie_url: str = "", money: str | None = None, **gateway: Any
) -> AsyncIterator[Bench]:
    more = {**LINKED, **({"money": money} if money else {"unpaid_models": "allow"})}
    async with serving(database_url, media, kie_url=kie_url, more_settings=more) as service:
        port = int(service.address.rpartition(":")[2])
        async with running(port, **gateway) as front:
            yield Bench(service, f"http://{front.address}")


@pytest.fixture
async def bench(database_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    async with serving_links(database_url, tmp_path) as opened:
        yield opened


async def test_a_file_that_is_sent_by_the_page_is_in_the_draft(bench: Bench) -> None:
    link = await bench.link(kinds=[MEDIA_KIND_VIDEO], language_code="ru")
    assert not link.HasField("upload")
    answer = await bench.put(link, FILM)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "sent")
    again = await bench.link(kinds=[MEDIA_KIND_VIDEO])
    assert again.upload.id == link.upload_id
    assert (again.upload.mime_type, again.upload.duration.seconds) == ("video/mp4", 2)


async def test_a_blocked_owner_sends_nothing_by_its_link(database_url: str, tmp_path: Path) -> None:
    async with serving_links(database_url, tmp_path, money="test") as bench:
        link = await bench.link()
        async with connect(bench.service.address) as client:
            wish = wallet_pb.BlockOwnerRequest(owner="telegram:7", is_blocked=True, reason="spam")
            await client.wallet.BlockOwner(wish)
        answer = await bench.put(link, FILM)
        assert (answer.status_code, answer.json()["outcome"]) == (404, "no_link")
        requests = [pb.UploadInputRequest(owner="telegram:7", data=FILM)]
        refusal = await refused(bench.service.generation.UploadInput(iter(requests)))
        assert refusal.reason == "OWNER_BLOCKED"
        assert [each async for each in _stored(bench.service)] == []


async def test_whoever_has_a_blocked_payer_sends_nothing_by_a_link(
    database_url: str, tmp_path: Path
) -> None:
    async with serving_links(database_url, tmp_path, money="test") as bench:
        link = await bench.link()
        grants = [Grant(Caller("local", wallet="acme"), token_hashes=frozenset())]
        deps = replace(bench.service.deps, wallet_of=CallerDirectory(grants).wallet_of)
        async with connect(bench.service.address) as client:
            wish = wallet_pb.BlockOwnerRequest(owner="acme", is_blocked=True, reason="unpaid")
            await client.wallet.BlockOwner(wish)
        with pytest.raises(OwnerBlocked):
            await upload_link.upload(
                deps, token=token_of(link.uri), pieces=_pieces(FILM), turns=upload_link.LinkTurns()
            )
        assert [each async for each in _stored(bench.service)] == []


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_a_link_takes_one_file(bench: Bench) -> None:
    link = await bench.link()
    assert (await bench.put(link, FILM)).status_code == 200
    assert (await bench.put(link, FILM)).status_code == 409
    requests = [pb.UploadInputRequest(link_token=token_of(link.uri), data=FILM)]
    refusal = await refused(bench.service.generation.UploadInput(iter(requests)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "UPLOAD_LINK_INVALID")


async def test_of_two_files_that_come_at_once_one_is_kept_and_whole(bench: Bench) -> None:
    link = await bench.link()
    other = film(codec="mpeg4")
    answers = await asyncio.gather(*(bench.put(link, each) for each in (FILM, other)))
    assert sorted(answer.status_code for answer in answers) in ([200, 404], [200, 409])
    (kept,) = [each async for each in _stored(bench.service)]
    assert (await bench.link()).upload.sha256 == kept


async def _stored(service: Service) -> AsyncIterator[str]:
    """Give the digest of each upload whose bytes are in the store."""
    from hashlib import sha256

    async for piece in service.deps.media.store.list("upload/"):
        for each in piece:
            stream = service.deps.media.store.stream(each.key)
            yield sha256(b"".join([part async for part in stream])).hexdigest()


@pytest.mark.parametrize(("language", "words"), [("ru", "Выбрать файл"), ("en", "Choose a file")])
async def test_the_page_says_what_it_takes(bench: Bench, language: str, words: str) -> None:
    kinds = [MEDIA_KIND_VIDEO, MEDIA_KIND_AUDIO]
    link = await bench.link(
        kinds=kinds, language_code=language, return_uri="https://t.me/atelier_bot"
    )
    async with httpx2.AsyncClient() as http:
        answer = await http.get(bench.url(link))
    assert answer.status_code == 200
    assert words in answer.text
    assert 'accept="video/*,audio/*"' in answer.text
    assert f"{link.max_bytes / 1e6:.0f}" in answer.text
    assert 'href="https://t.me/atelier_bot"' in answer.text
    assert "src=" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_page_is_safe_from_what_its_link_says(bench: Bench) -> None:
    link = await bench.link(return_uri='https://t.me/"><script>alert(1)</script>')
    async with httpx2.AsyncClient() as http:
        answer = await http.get(bench.url(link))
    assert "<script>alert" not in answer.text


async def test_a_link_that_is_none_has_a_page_in_the_readers_language(bench: Bench) -> None:
    async with httpx2.AsyncClient(headers={"accept-language": "ru-RU"}) as http:
        answer = await http.get(f"{bench.gateway}/upload/{'x' * 60}")
        put = await http.put(f"{bench.gateway}/upload/{'x' * 60}", content=b"x")
    assert (answer.status_code, put.status_code) == (404, 404)
    assert "Ссылка недействительна" in answer.text


async def test_what_is_no_media_is_refused_in_words_and_may_be_tried_again(bench: Bench) -> None:
    link = await bench.link()
    answer = await bench.put(link, b"<svg/>")
    assert answer.status_code == 422
    assert "not an image, a video" in answer.json()["text"]
    assert (await bench.put(link, FILM)).status_code == 200


async def test_another_kind_than_was_asked_for_is_refused(bench: Bench) -> None:
    link = await bench.link(kinds=[MEDIA_KIND_IMAGE])
    answer = await bench.put(link, FILM)
    assert (answer.status_code, answer.json()["text"]) == (422, "The file is not an image.")


async def test_a_file_that_is_too_large_is_refused_before_it_comes(bench: Bench) -> None:
    link = await bench.link(kinds=[MEDIA_KIND_IMAGE])
    host, _, port = bench.gateway.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"PUT /upload/{token_of(link.uri)} HTTP/1.1\r\nhost: x\r\n"
    writer.write(f"{head}content-length: {link.max_bytes + 1}\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == b"413"
    writer.close()


async def test_half_a_file_is_none(bench: Bench) -> None:
    link = await bench.link()
    host, _, port = bench.gateway.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"PUT /upload/{token_of(link.uri)} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(FILM)}"
    writer.write(head.encode() + b"\r\n\r\n" + FILM[:-10])
    await writer.drain()
    spool: Any = bench.service.deps.media.spool

    async def is_begun() -> bool:
        return bool(spool.budget.held)

    async def is_over() -> bool:
        return not spool.budget.held

    await until(is_begun, within_s=20, what="the upload is begun")
    writer.close()
    await until(is_over, within_s=20, what="the upload is given up")
    assert not (await bench.link()).HasField("upload")
    assert (await bench.put(link, FILM)).status_code == 200


async def test_there_are_no_links_where_none_are_configured(service: Service) -> None:
    request = edge.CreateUploadLinkRequest(owner="telegram:7", draft="1")
    refusal = await refused(service.edge.CreateUploadLink(request))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "UPLOAD_LINKS_OFF"


async def test_a_link_is_for_its_owner_and_its_draft(bench: Bench) -> None:
    first, second = await bench.link("draft-1"), await bench.link("draft-2")
    assert first.upload_id != second.upload_id
    request = edge.CreateUploadLinkRequest(owner="telegram:8", draft="draft-1")
    other = (await bench.service.edge.CreateUploadLink(request)).link
    assert other.upload_id != first.upload_id


async def test_what_the_provider_gets_tells_of_no_person(database_url: str, tmp_path: Path) -> None:
    sock = bind("127.0.0.1:0")
    url = f"http://{address(sock)}"
    app = create_app(KieSettings(base_url=url, duration_s=0.05, visible_after_s=0))
    assert [secret for secret in SECRETS if secret in FILM]
    async with (
        running_app(app, sock=sock),
        serving_links(database_url, tmp_path, kie_url=url) as bench,
    ):
        link = await bench.link()
        assert (await bench.put(link, FILM)).status_code == 200
        inputs = {"prompt": "snow falls", "video": f"upload:{link.upload_id}"}
        job = await bench.service.create(
            model_id="runway/gen4-aleph", inputs=inputs, owner="telegram:7"
        )
        assert job.state == JOB_STATE_QUEUED
        kie: Kie = app.state.kie

        async def is_there() -> bool:
            return bool(_films(kie))

        await until(is_there, within_s=20, what="the film is at KIE")
        (data,) = _films(kie)
    assert not [secret for secret in SECRETS if secret in data]


def _films(kie: Kie) -> list[bytes]:
    return [each.content for each in kie.files._files.values() if each.mime_type == "video/mp4"]
