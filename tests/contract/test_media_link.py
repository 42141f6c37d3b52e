"""Links to media: what a token proves, and what the service gives for one."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.domain.error import MediaNotFound
from generation_svc.domain.link_error import MediaLinkInvalid
from generation_svc.domain.media import Media, MediaLinks
from generation_svc.media.link import SignedMediaLinks
from generation_svc.rpc.convert import media_to_proto
from generation_svc.settings import GenerationSettings
from generation_svc.usecase.download_media import download_by_link
from tests.contract.failure import refused
from tests.contract.service import Service

KEY = "a key of our own that is long enough"
MEDIA = UUID("0198c0de-0000-7000-8000-000000000001")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def links(key: str = KEY, *, now: datetime = NOON, hours: float = 1) -> SignedMediaLinks:
    lifetime = timedelta(hours=hours)
    return SignedMediaLinks(
        key, base_url="https://media.example/", lifetime=lifetime, now=lambda: now
    )


def token_of(made: MediaLinks | None) -> str:
    assert made is not None
    return made.make(MEDIA).uri.rpartition("/")[2]


def test_a_link_says_which_media_it_is_for() -> None:
    made = links().make(MEDIA)
    assert made.uri.startswith("https://media.example/media/")
    assert links().read(token_of(links())) == made
    assert made.media_id == MEDIA


def test_a_link_is_the_same_for_a_while_and_holds_its_lifetime() -> None:
    made = [links(now=NOON + timedelta(minutes=each)).make(MEDIA) for each in (1, 14, 16)]
    assert made[0] == made[1]
    assert made[2] != made[0]
    assert made[0].expire_time == NOON + timedelta(minutes=75)


def test_a_link_ends() -> None:
    token = token_of(links())
    links(now=NOON + timedelta(minutes=59)).read(token)
    with pytest.raises(MediaLinkInvalid):
        links(now=NOON + timedelta(minutes=75)).read(token)


def test_every_changed_bit_breaks_a_token() -> None:
    raw = bytearray(base64.urlsafe_b64decode(token_of(links())))
    for position in range(len(raw) * 8):
        raw[position // 8] ^= 1 << position % 8
        with pytest.raises(MediaLinkInvalid):
            links().read(base64.urlsafe_b64encode(raw).decode())
        raw[position // 8] ^= 1 << position % 8


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda token: "", id="nothing"),
        pytest.param(lambda token: token[:-1], id="cut"),
        pytest.param(lambda token: token + "A", id="longer"),
        pytest.param(lambda token: token + "\n", id="line break"),
        pytest.param(lambda token: token + "====", id="padding"),
        pytest.param(lambda token: "+" + token[1:], id="other alphabet"),
        pytest.param(lambda token: "é" + token[1:], id="not ASCII"),
        pytest.param(lambda token: "\ud800" + token[1:], id="surrogate"),
        pytest.param(
            lambda token: token_of(links("another key that is long enough too")), id="key"
        ),
    ],
)
def test_what_is_no_token_of_ours_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(MediaLinkInvalid):
        links().read(change(token_of(links())))


async def test_a_link_is_only_for_media_that_are_here_and_where_there_are_links(
    idle_service: Service,
) -> None:
    deps = idle_service.deps
    deps = replace(deps, media=replace(deps.media, links=links(now=datetime.now(UTC))))
    token = token_of(deps.media.links)
    with pytest.raises(MediaNotFound):
        await download_by_link(deps, token=token)
    with pytest.raises(MediaLinkInvalid):
        await download_by_link(idle_service.deps, token=token)


def test_media_say_where_they_are() -> None:
    media = Media(MEDIA, "image/png", size_bytes=1, width=1, height=1, sha256="")
    shown = media_to_proto(media, link=links().make(MEDIA))
    assert shown.download_uri == links().make(MEDIA).uri
    assert shown.download_expire_time.ToDatetime(UTC) == NOON + timedelta(hours=1)
    assert not media_to_proto(media).download_uri


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (pb.DownloadMediaRequest(link_token="A" * 56), "MEDIA_LINK_INVALID"),
        (pb.DownloadMediaRequest(link_token="A", media_id=str(MEDIA)), "INVALID_INPUTS"),
        (pb.DownloadMediaRequest(), "INVALID_INPUTS"),
        (pb.DownloadMediaRequest(link_token="A" * 56, read_limit=-1), "INVALID_INPUTS"),
    ],
    ids=["no link", "both", "neither", "negative limit"],
)
async def test_other_requests_for_media_are_refused(
    idle_service: Service, *, request_: pb.DownloadMediaRequest, reason: str
) -> None:
    assert (await refused(idle_service.generation.DownloadMedia(request_).read())).reason == reason


def settings(**given: object) -> GenerationSettings:
    return GenerationSettings(kie_api_key=SecretStr("kie-key"), **given)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"media_base_url": "https://media.example"}, "MEDIA_LINK_KEY must be a secret"),
        (
            {"media_base_url": "https://media.example", "media_link_key": "x" * 31},
            "at least 32 characters",
        ),
        ({"media_base_url": "media.example", "media_link_key": KEY}, "must begin with https://"),
    ],
    ids=["no key", "short key", "no address"],
)
def test_links_need_an_address_and_a_key(given: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        settings(**given)


def test_a_key_is_read_from_a_file(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.setenv("MEDIA_LINK_KEY_FILE", str(tmp_path / "key"))
    key = settings(media_base_url="https://media.example").media_link_key
    assert key is not None
    assert key.get_secret_value() == KEY
