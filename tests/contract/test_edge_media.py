"""What each kind of result becomes in the chat: alone, in albums, as an edit, and too large."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from atelier.generation.v1 import media_pb2 as pb
from atelier.generation.v1.delivery_service_pb2 import ReportDeliveryRequest
from atelier.generation.v1.media_pb2 import Media
from edge_bot.delivery.spool import MediaSpool
from edge_bot.delivery.worker import DeliveryTiming
from edge_bot.view.layout import TEXT_LENGTH, UPLOAD_BYTES
from generation_client import GenerationError
from tests.contract.edge_harness import CHAT, Harness, delivery, harness, succeeded
from tests.integration.sandbox_telegram import Json, picture
from tests.small_disk import no_file_beyond

MP4 = b"\0\0\0\x18ftypmp42" + bytes(5000)
MP3 = b"ID3\x04" + bytes(5000)


@pytest.fixture
async def edge() -> AsyncIterator[Harness]:
    async with harness() as made:
        yield made


def kept(edge: Harness, data: bytes, mime_type: str, **fields: Any) -> Media:
    """Put media of any kind into the service."""
    media = Media(id=f"m-{len(edge.service.generation.media)}", mime_type=mime_type, **fields)
    media.size_bytes = media.size_bytes or len(data)
    edge.service.generation.media[media.id] = (media, data)
    return media


def video(edge: Harness, **fields: Any) -> Media:
    media = kept(edge, MP4, "video/mp4", width=1280, height=720, **fields)
    media.kind = pb.MEDIA_KIND_VIDEO
    media.duration.FromTimedelta(timedelta(seconds=7.6))
    return media


def song(edge: Harness, **fields: Any) -> Media:
    media = kept(edge, MP3, "audio/mpeg", title="Night drive", **fields)
    media.kind = pb.MEDIA_KIND_AUDIO
    media.duration.FromTimedelta(timedelta(seconds=181))
    return media


def cover(edge: Harness, side: int = 320) -> Media:
    data = picture(side, side, kind="JPEG")
    return kept(edge, data, "image/jpeg", width=side, height=side, kind=pb.MEDIA_KIND_IMAGE)


async def sent(edge: Harness, *media: Media, **options: Any) -> ReportDeliveryRequest:
    edge.service.delivery.offer(delivery(succeeded(*media), **options))
    async with edge.sending():
        return await edge.service.delivery.outcome()


async def arrived(edge: Harness, *media: Media, **options: Any) -> list[Json]:
    """Deliver a result and return what the bot has said then."""
    await edge.telegram.started(CHAT)
    report = await sent(edge, *media, **options)
    assert report.HasField("sent")
    return [one for one in await edge.messages() if one["from"]["is_bot"]]


async def test_a_video_is_played_in_the_chat(edge: Harness) -> None:
    (message,) = await arrived(edge, video(edge, cover_media_id=cover(edge, 640).id))
    shown = message["video"]
    assert (shown["width"], shown["height"], shown["duration"]) == (1280, 720, 8)
    assert shown["cover"][-1]["width"] == 640
    assert "thumbnail" not in shown
    assert "a <cat> & a dog" in message["caption"]
    assert message["reply_markup"]["inline_keyboard"]
    (call,) = await edge.telegram.calls("sendVideo")
    assert call["params"]["supports_streaming"] == "true"


async def test_a_song_has_its_title_length_and_cover(edge: Harness) -> None:
    (message,) = await arrived(edge, song(edge, cover_media_id=cover(edge).id))
    shown = message["audio"]
    assert (shown["title"], shown["duration"]) == ("Night drive", 181)
    assert shown["file_name"] == "Night drive.mp3"
    assert shown["thumbnail"]["width"] == 320
    (call,) = await edge.telegram.calls("sendAudio")
    assert call["params"]["performer"] == "Z-Image"  # the title of the model that made it


async def test_speech_has_the_title_of_what_is_said_in_it(edge: Harness) -> None:
    speech = kept(edge, MP3, "audio/mpeg", kind=pb.MEDIA_KIND_AUDIO)
    (message,) = await arrived(edge, speech)
    assert message["audio"]["title"] == "a <cat> & a dog"
    assert message["audio"]["file_name"] == "Z-Image.mp3"


async def test_a_file_without_a_title_is_called_after_its_model(edge: Harness) -> None:
    notes = kept(edge, b"MThd" + bytes(20), "audio/midi", kind=pb.MEDIA_KIND_FILE)
    (message,) = await arrived(edge, notes)
    assert message["document"]["file_name"] == "Z-Image.mid"


@pytest.mark.parametrize("length", [40, 2000])
async def test_text_beside_media_is_shown_as_far_as_there_is_room(
    edge: Harness, length: int
) -> None:
    await edge.telegram.started(CHAT)
    job = succeeded(song(edge))
    job.result.text = "la <la> " * (length // 8)
    edge.service.delivery.offer(delivery(job))
    async with edge.sending():
        assert (await edge.service.delivery.outcome()).HasField("sent")
    caption = (await edge.messages())[-1]["caption"]
    assert caption.startswith("la <la> la <la>")
    assert "a <cat> & a dog" in caption
    assert ("…" in caption) is (length > 500)


async def test_a_song_goes_without_a_cover_that_telegram_does_not_take_or_that_is_gone(
    edge: Harness,
) -> None:
    first, second = await arrived(
        edge, song(edge, cover_media_id=cover(edge, 640).id), song(edge, cover_media_id="gone")
    )
    assert "thumbnail" not in first["audio"]
    assert "thumbnail" not in second["audio"]


SAVED: dict[str, tuple[bytes, str, int]] = {
    "WebM": (b"\x1aE\xdf\xa3" + bytes(500), "video/webm", pb.MEDIA_KIND_VIDEO),
    "WAV": (b"RIFF" + bytes(500), "audio/wav", pb.MEDIA_KIND_AUDIO),
    "JSON": (b'{"lyrics": []}', "application/json", pb.MEDIA_KIND_TEXT),
    "long text": (b"la " * TEXT_LENGTH, "text/plain", pb.MEDIA_KIND_TEXT),
    "text in another code": (b"\xff\xfe\x01", "text/plain", pb.MEDIA_KIND_TEXT),
    "archive": (b"PK" + bytes(500), "application/zip", pb.MEDIA_KIND_FILE),
}


@pytest.mark.parametrize(("data", "mime_type", "kind"), SAVED.values(), ids=SAVED)
async def test_what_telegram_does_not_play_or_show_goes_as_a_file(
    edge: Harness, *, data: bytes, mime_type: str, kind: Any
) -> None:
    (message,) = await arrived(edge, kept(edge, data, mime_type, kind=kind, title="Opus 1"))
    assert message["document"]["file_size"] == len(data)
    assert message["document"]["file_name"].startswith("Opus 1.")
    assert message["reply_markup"]["inline_keyboard"]


async def test_a_short_text_is_a_message(edge: Harness) -> None:
    lyrics = kept(edge, "Ночь & <дождь>\n".encode(), "text/plain", kind=pb.MEDIA_KIND_TEXT)
    (message,) = await arrived(edge, lyrics)
    assert message["text"].startswith("Ночь & <дождь>\n\na <cat> & a dog")
    assert message["reply_markup"]["inline_keyboard"]


@pytest.mark.parametrize("text", ["two lines\nof text", "a line\n" * 1000], ids=["short", "long"])
async def test_a_result_that_is_text_alone_is_told(edge: Harness, text: str) -> None:
    await edge.telegram.started(CHAT)
    job = succeeded()
    job.result.text = text
    edge.service.delivery.offer(delivery(job))
    async with edge.sending():
        assert (await edge.service.delivery.outcome()).HasField("sent")
    message = (await edge.messages())[-1]
    assert message.get("text", "").startswith("two lines\nof text") or (
        message["document"]["file_size"] == len(text)
    )


async def test_albums_hold_what_may_stand_together_and_the_first_has_the_caption(
    edge: Harness,
) -> None:
    sheet = kept(edge, b"{}", "application/json", kind=pb.MEDIA_KIND_TEXT)
    media = (song(edge), edge.media(), video(edge), song(edge), sheet, edge.media())
    messages = await arrived(edge, *media)
    kinds = ("audio", "photo", "video", "document")
    assert [next(kind for kind in kinds if kind in one) for one in messages] == [
        "audio",
        "audio",
        "photo",
        "video",
        "photo",
        "document",
    ]
    groups = [one.get("media_group_id") for one in messages]
    assert groups[0] == groups[1] != groups[2]
    assert groups[2] == groups[3] == groups[4]
    assert [("caption" in one) for one in messages] == [True] + [False] * 5


async def test_an_album_with_a_video_that_cannot_be_played_goes_as_files(edge: Harness) -> None:
    webm = kept(edge, b"\x1aE\xdf\xa3" + bytes(500), "video/webm", kind=pb.MEDIA_KIND_VIDEO)
    messages = await arrived(edge, edge.media(), webm)
    assert ["document" in one for one in messages] == [True, True]


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (video, "video"),
        (song, "audio"),
        (lambda edge: kept(edge, b"PK", "application/zip"), "document"),
        (lambda edge: kept(edge, b"la la", "text/plain"), "text"),
    ],
    ids=["video", "song", "file", "text"],
)
async def test_a_doubt_is_ended_by_an_edit_whatever_the_kind(
    edge: Harness, make: Any, field: str
) -> None:
    message_id = await edge.progress_message()
    report = await sent(edge, make(edge), message_id=message_id, maybe_sent=True)
    assert (report.sent.message_id, report.sent.is_edit) == (message_id, True)
    edited = (await edge.messages())[-1]
    assert (edited["message_id"], field in edited) == (message_id, True)
    assert edited["reply_markup"]["inline_keyboard"]
    again = await sent(edge, make(edge), message_id=message_id, maybe_sent=True)
    assert field == "text" or again.sent.is_edit


async def test_a_video_whose_answer_was_lost_is_not_sent_twice(edge: Harness) -> None:
    message_id = await edge.progress_message()
    await edge.telegram.fault(kind="answer_lost", method="sendVideo", times=1)
    film = video(edge)
    assert (await sent(edge, film, message_id=message_id)).HasField("unknown")
    assert (await sent(edge, film, message_id=message_id, maybe_sent=True)).sent.is_edit
    assert len(await edge.telegram.calls("sendVideo")) == 1


async def test_a_video_that_telegram_refuses_goes_as_a_file(edge: Harness) -> None:
    broken = kept(edge, b"no picture at all", "image/jpeg", width=320, height=320)
    (message,) = await arrived(edge, video(edge, cover_media_id=broken.id))
    assert "document" in message
    assert [call["status"] for call in await edge.telegram.calls("sendVideo")] == [400]


def too_large(edge: Harness, *, is_linked: bool, **fields: Any) -> Media:
    media = kept(edge, b"", "video/mp4", kind=pb.MEDIA_KIND_VIDEO, **fields)
    media.size_bytes = 312_000_000
    if is_linked:
        media.download_uri = "https://media.example/media/token"
        media.download_expire_time.FromDatetime(datetime(2026, 11, 29, 21, 40, tzinfo=UTC))
    return media


async def test_what_is_too_large_for_telegram_comes_as_a_link(edge: Harness) -> None:
    (message,) = await arrived(edge, too_large(edge, is_linked=True))
    assert "larger than the 50 MB Telegram lets me send" in message["text"]
    assert "⬇️ Video, 312 MB" in message["text"]
    assert "until 29 Nov 2026, 21:40 UTC" in message["text"]
    assert "https://media.example/media/token" in [each.get("url") for each in message["entities"]]
    assert not edge.service.generation.downloads


async def test_of_a_video_that_is_too_large_the_poster_comes_with_the_link(edge: Harness) -> None:
    poster = cover(edge)
    film = too_large(edge, is_linked=True, cover_media_id=poster.id)
    (message,) = await arrived(edge, film)
    assert max(each["width"] for each in message["photo"]) == 320
    assert "larger than the 50 MB Telegram lets me send" in message["caption"]
    links = [each["url"] for each in message["caption_entities"] if each["type"] == "text_link"]
    assert links == [film.download_uri]


async def test_a_poster_that_is_gone_keeps_no_link_back(edge: Harness) -> None:
    (message,) = await arrived(edge, too_large(edge, is_linked=True, cover_media_id="gone"))
    assert "larger than the 50 MB Telegram lets me send" in message["text"]


async def test_what_is_too_large_and_has_no_link_is_said_kindly(edge: Harness) -> None:
    (message,) = await arrived(edge, too_large(edge, is_linked=False))
    assert "Sorry, I have no other way to get it to you." in message["text"]


async def test_the_rest_of_an_album_is_sent_and_its_caption_has_the_link(edge: Harness) -> None:
    messages = await arrived(edge, edge.media(), too_large(edge, is_linked=True), edge.media())
    assert ["photo" in one for one in messages] == [True, True]
    assert "⬇️ Video, 312 MB" in messages[0]["caption"]


async def test_a_link_takes_the_place_of_the_progress_message_in_doubt(edge: Harness) -> None:
    message_id = await edge.progress_message()
    doubtful = {"message_id": message_id, "maybe_sent": True}
    report = await sent(edge, too_large(edge, is_linked=True), **doubtful)
    assert (report.sent.message_id, report.sent.is_edit) == (message_id, True)
    assert "⬇️" in (await edge.messages())[-1]["text"]


async def test_the_limit_itself_is_no_reason_for_a_link(edge: Harness) -> None:
    media = kept(edge, MP4.ljust(UPLOAD_BYTES, b"\0"), "video/mp4")
    (message,) = await arrived(edge, media)
    assert "video" in message
    assert edge.service.delivery.begun_for_s == [60 + UPLOAD_BYTES / 500_000]


@pytest.mark.parametrize(
    ("lease_s", "size", "expected"),
    [(60, 0, 60), (60, 45_000_000, 150), (60, 10**9, 300), (300, 45_000_000, 300), (0.7, 0, 0.7)],
)
def test_a_lease_is_as_long_as_a_slow_upload(lease_s: float, size: int, expected: float) -> None:
    assert DeliveryTiming(lease_s=lease_s).lease_for(size) == expected


async def test_a_large_upload_may_be_answered_late(edge: Harness) -> None:
    given: list[float] = []

    async def slow(request: httpx.Request) -> None:
        given.append(request.extensions["timeout"]["read"])

    client = edge.bot.request._client  # type: ignore[attr-defined]
    client.event_hooks = {**client.event_hooks, "request": [slow]}
    await sent(edge, kept(edge, MP4.ljust(45_000_000, b"\0"), "video/mp4"))
    assert max(given) == 65


@pytest.mark.parametrize("by", [-1, 1], ids=["short", "long"])
async def test_media_that_came_in_part_is_not_sent(edge: Harness, by: int) -> None:
    film = kept(edge, MP4, "video/mp4", size_bytes=len(MP4) - by)
    await edge.telegram.started(CHAT)
    assert (await sent(edge, film)).HasField("try_again")
    assert not await edge.telegram.calls("sendVideo")
    film.size_bytes = len(MP4)
    assert (await sent(edge, film)).HasField("sent")


@pytest.mark.parametrize("size", [5_000, 500_000])
async def test_a_full_disk_costs_a_result_nothing_but_time(edge: Harness, size: int) -> None:
    film = kept(edge, MP4.ljust(size, b"\0"), "video/mp4")
    await edge.telegram.started(CHAT)
    with no_file_beyond(4096):
        assert (await sent(edge, film)).HasField("try_again")
    assert edge.spool.held_bytes == 0
    assert not await edge.telegram.calls("sendVideo")
    assert (await sent(edge, film)).HasField("sent")


async def test_what_takes_longer_than_its_first_lease_comes_under_the_next(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    edge.service.generation.delay_s = 1
    async with edge.sending(claim_s=0.3):
        edge.service.delivery.offer(delivery(succeeded(video(edge), video(edge))))
        assert (await edge.service.delivery.outcome()).HasField("try_again")
        assert not edge.service.delivery.begun
        edge.service.delivery.offer(delivery(succeeded(video(edge), video(edge))))
        assert (await edge.service.delivery.outcome()).HasField("sent")
    assert edge.service.delivery.begun_for_s == [60 + 2 * len(MP4) / 500_000] * 2
    assert len(await edge.telegram.calls("sendMediaGroup")) == 1


async def test_the_spool_gives_room_back_however_a_fetch_ends(edge: Harness) -> None:
    spool = MediaSpool(edge.client, limit_bytes=20_000)
    film, missing = video(edge), Media(id="missing", size_bytes=1)
    with pytest.raises(GenerationError):
        await spool.fetched([film, missing]).__aenter__()
    assert spool.held_bytes == 0
    async with spool.fetched([film]) as (file,):
        assert file.file.seek(0, 2) == spool.held_bytes == len(MP4)
    assert file.file.closed
    assert spool.held_bytes == 0


async def test_the_spool_holds_no_more_than_its_limit_and_what_is_larger_alone(
    edge: Harness,
) -> None:
    film = video(edge)
    spool = MediaSpool(edge.client, limit_bytes=2 * len(MP4))
    most, held = 0, 0

    async def fetch(*media: Media) -> None:
        nonlocal most, held
        async with spool.fetched(media):
            held += len(media)
            most = max(most, held)
            assert spool.held_bytes <= 2 * len(MP4)
            await asyncio.sleep(0)
            held -= len(media)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(fetch(film))
        group.create_task(fetch(film, film, film))
    assert most == 3
    assert spool.held_bytes == 0
