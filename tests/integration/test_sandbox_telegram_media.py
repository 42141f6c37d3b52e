from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from telegram import (
    InputFile,
    InputMediaAudio,
    InputMediaDocument,
    InputMediaPhoto,
    InputMediaVideo,
    Message,
)
from telegram.error import BadRequest

from tests.integration.sandbox_telegram import TOKEN, Sandbox, picture, sandbox, serving

MEBIBYTE = 1024 * 1024
MP4 = b"\0\0\0\x18ftypmp42" + bytes(5012)
MP3 = b"ID3\x04" + bytes(5000)


@pytest.fixture(scope="module")
async def telegram() -> AsyncIterator[Sandbox]:
    async with sandbox() as running:
        yield running


@pytest.fixture(scope="module")
async def web() -> AsyncIterator[str]:
    """A web server with pictures to send by link."""
    served = {
        "fine.png": (picture(), "image/png"),
        "big.png": (picture() + b"\0" * 5 * MEBIBYTE, "image/png"),
        "page.html": (b"<html>", "text/html"),
        "empty.png": (b"", "image/png"),
        "report.pdf": (b"%PDF-1.7", "application/pdf"),
    }

    async def serve(request: Request) -> Response:
        body, kind = served.get(request.path_params["name"], (b"", ""))
        return Response(body, 200 if kind else 404, media_type=kind)

    async with serving(Starlette(routes=[Route("/{name}", serve)])) as url:
        yield url


REFUSED_UPLOADS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "file must be non-empty"),
    "no picture": (b"hello", "IMAGE_PROCESS_FAILED"),
    "sides above 10000": (picture(9000, 1001), "PHOTO_INVALID_DIMENSIONS"),
    "ratio above 20": (picture(2101, 100), "PHOTO_INVALID_DIMENSIONS"),
    "above 10 MB": (
        b"\0" * (10 * MEBIBYTE + 1),
        "file of size 10485761 bytes is too big for a photo; the maximum size is 10485760 bytes",
    ),
}
REFUSED_LINKS = {
    "above 5 MB": ("big.png", "failed to get HTTP URL content"),
    "missing": ("missing.png", "failed to get HTTP URL content"),
    "no picture": ("page.html", "wrong type of the web page content"),
    "empty": ("empty.png", "wrong type of the web page content"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED_UPLOADS.values(), ids=REFUSED_UPLOADS.keys())
async def test_a_wrong_photo_is_refused(telegram: Sandbox, data: bytes, reason: str) -> None:
    chat = await telegram.started()
    refusal = await telegram.refusal("sendPhoto", chat_id=chat, files={"photo": ("a.png", data)})
    assert refusal == f"Bad Request: {reason}"


@pytest.mark.parametrize(("name", "reason"), REFUSED_LINKS.values(), ids=REFUSED_LINKS.keys())
async def test_a_wrong_link_is_refused(telegram: Sandbox, web: str, name: str, reason: str) -> None:
    chat = await telegram.started()
    refusal = await telegram.refusal("sendPhoto", chat_id=chat, photo=f"{web}/{name}")
    assert refusal == f"Bad Request: {reason}"


async def test_a_photo_goes_by_upload_by_link_and_by_id(telegram: Sandbox, web: str) -> None:
    chat = await telegram.started()
    async with telegram.client() as bot:
        uploaded = await bot.send_photo(chat, picture(1400, 700), caption="one")
        linked = await bot.send_photo(chat, f"{web}/fine.png")
        repeated = await bot.send_photo(chat, uploaded.photo[0].file_id)
        assert [size.width for size in uploaded.photo] == [90, 320, 800, 1280, 1400]
        assert linked.photo[-1].width == 640
        assert repeated.photo == uploaded.photo
        with pytest.raises(BadRequest, match=r"(?i)can't use file of type Photo as Document"):
            await bot.send_document(chat, uploaded.photo[0].file_id)
        with pytest.raises(BadRequest, match=r"(?i)wrong file identifier/HTTP URL specified"):
            await bot.send_photo(chat, "AgADnonsense")


async def test_a_missing_photo_is_named(telegram: Sandbox) -> None:
    chat = await telegram.started()
    refusal = await telegram.refusal("sendPhoto", chat_id=chat)
    assert refusal == "Bad Request: there is no photo in the request"


async def test_a_document_keeps_its_bytes_and_name(telegram: Sandbox, web: str) -> None:
    chat = await telegram.started()
    data = picture(400, 300)
    async with telegram.client() as bot:
        sent = await bot.send_document(chat, data, filename="картина.png")
        linked = await bot.send_document(chat, f"{web}/report.pdf")
        assert sent.document
        assert sent.document.file_name == "картина.png"
        assert sent.document.mime_type == "image/png"
        assert sent.document.thumbnail
        assert linked.document
        assert linked.document.file_name == "report.pdf"
        file = await bot.get_file(sent.document.file_id)
        assert bytes(await file.download_as_bytearray()) == data
        with pytest.raises(BadRequest, match="Wrong type of the web page content"):
            await bot.send_document(chat, f"{web}/fine.png")


async def test_above_20_mb_a_file_can_be_sent_but_not_fetched(telegram: Sandbox) -> None:
    chat = await telegram.started()
    big = {"document": ("big.bin", b"\0" * (20 * MEBIBYTE + 1))}
    sent = await telegram.result("sendDocument", chat_id=chat, files=big)
    refusal = await telegram.refusal("getFile", file_id=sent["document"]["file_id"])
    assert refusal == "Bad Request: file is too big"


async def test_above_50_mb_the_request_is_too_large(telegram: Sandbox) -> None:
    chat = await telegram.started()
    big = {"document": ("big.bin", b"\0" * (51 * MEBIBYTE + 1))}
    body = await telegram.call("sendDocument", chat_id=chat, files=big)
    assert (body["error_code"], body["description"]) == (413, "Request Entity Too Large")


async def test_a_file_needs_the_path_and_a_token(telegram: Sandbox) -> None:
    chat = await telegram.started()
    sent = await telegram.result("sendPhoto", chat_id=chat, files={"photo": picture()})
    path = (await telegram.result("getFile", file_id=sent["photo"][0]["file_id"]))["file_path"]
    statuses = [
        (await telegram.http.get(f"/file/bot{token}/{path}{suffix}")).status_code
        for token, suffix in ((TOKEN, ""), (TOKEN, "x"), ("nonsense", ""))
    ]
    assert statuses == [200, 404, 401]
    assert await telegram.refusal("getFile", file_id="x") == "Bad Request: invalid file_id"


async def test_an_album_is_one_group_of_messages(telegram: Sandbox) -> None:
    chat = await telegram.started()
    async with telegram.client() as bot:
        media = [InputMediaPhoto(picture(200 + n, 100), caption=f"no {n}") for n in range(3)]
        sent = await bot.send_media_group(chat, media)
        assert [message.caption for message in sent] == ["no 0", "no 1", "no 2"]
        assert len({message.media_group_id for message in sent}) == 1
        (single,) = await bot.send_media_group(chat, media[:1])
        assert single.media_group_id is None
        document = InputMediaDocument(b"x", filename="a.txt")
        with pytest.raises(BadRequest, match="Document can't be mixed with other media types"):
            await bot.send_media_group(chat, [media[0], document])
        with pytest.raises(BadRequest, match="Can't change media type in the album"):
            await bot.edit_message_media(document, chat, sent[0].message_id)


async def test_a_video_shows_what_the_bot_says_of_it(telegram: Sandbox) -> None:
    chat = await telegram.started()
    still = picture(320, 180, kind="JPEG")
    async with telegram.client() as bot:
        sent = await bot.send_video(
            chat,
            MP4,
            filename="a.mp4",
            duration=7,
            width=1280,
            height=720,
            thumbnail=still,
            cover=picture(640, 360),
            supports_streaming=True,
            caption="film",
        )
        video = sent.video
        assert video
        assert (video.width, video.height, video.duration) == (1280, 720, timedelta(seconds=7))
        assert (video.file_name, video.mime_type, video.file_size) == ("a.mp4", "video/mp4", 5024)
        assert video.thumbnail
        assert (video.thumbnail.width, video.thumbnail.height) == (320, 180)
        assert video.cover
        assert video.cover[-1].width == 640
        repeated = await bot.send_video(chat, video.file_id)
        assert repeated.video == video
        with pytest.raises(BadRequest, match=r"(?i)can't use file of type Video as Photo"):
            await bot.send_photo(chat, video.file_id)
        file = await bot.get_file(video.file_id)
        assert bytes(await file.download_as_bytearray()) == MP4


async def test_a_song_shows_what_the_bot_says_of_it(telegram: Sandbox) -> None:
    chat = await telegram.started()
    async with telegram.client() as bot:
        sent = await bot.send_audio(
            chat, MP3, filename="a.mp3", duration=181, title="Night", performer="A"
        )
        assert sent.audio
        assert (sent.audio.title, sent.audio.performer) == ("Night", "A")
        assert (sent.audio.duration, sent.audio.mime_type) == (timedelta(seconds=181), "audio/mpeg")
        assert sent.audio.thumbnail is None


@pytest.mark.parametrize(
    "still",
    [picture(321, 100, kind="JPEG"), picture(320, 320), b"no picture"],
    ids=["too large", "PNG", "no picture"],
)
async def test_a_preview_that_telegram_does_not_take_is_ignored(
    telegram: Sandbox, *, still: bytes
) -> None:
    chat = await telegram.started()
    async with telegram.client() as bot:
        sent = await bot.send_video(chat, MP4, filename="a.mp4", thumbnail=still)
    assert sent.video
    assert sent.video.thumbnail is None


async def test_a_preview_is_only_taken_as_an_upload(telegram: Sandbox) -> None:
    chat = await telegram.started()
    files = {"video": ("a.mp4", MP4)}
    for given in ("attach://missing", "AgADsome"):
        sent = await telegram.result("sendVideo", chat_id=chat, files=files, thumbnail=given)
        assert "thumbnail" not in sent["video"]


@pytest.mark.parametrize("method", ["sendVideo", "sendAudio"])
async def test_what_cannot_be_played_becomes_a_document(telegram: Sandbox, method: str) -> None:
    chat = await telegram.started()
    field = method.removeprefix("send").lower()
    sent = await telegram.result(method, chat_id=chat, files={field: ("a.wav", b"RIFF....")})
    assert sent["document"]["file_name"] == "a.wav"
    refusal = await telegram.refusal(method, chat_id=chat)
    assert refusal == f"Bad Request: there is no {field} in the request"
    empty = await telegram.refusal(method, chat_id=chat, files={field: ("a.mp4", b"")})
    assert empty == "Bad Request: file must be non-empty"


async def test_photos_and_videos_share_an_album_and_songs_do_not(telegram: Sandbox) -> None:
    chat = await telegram.started()
    photo, video = InputMediaPhoto(picture()), InputMediaVideo(MP4, filename="a.mp4", duration=7)
    song = InputMediaAudio(MP3, filename="a.mp3", title="Night")
    document = InputMediaDocument(b"x", filename="a.txt")
    async with telegram.client() as bot:
        first, second = await bot.send_media_group(chat, [photo, video])
        assert first.photo
        assert second.video
        assert second.video.duration == timedelta(seconds=7)
        assert first.media_group_id == second.media_group_id
        songs = await bot.send_media_group(chat, [song, song])
        assert [each.audio.title for each in songs if each.audio] == ["Night", "Night"]
        with pytest.raises(BadRequest, match="Audio can't be mixed with other media types"):
            await bot.send_media_group(chat, [photo, song])
        with pytest.raises(BadRequest, match="can't be mixed with other media types"):
            await bot.send_media_group(chat, [document, song])
        assert (await bot.edit_message_media(video, chat, first.message_id)).video  # type: ignore[union-attr]
        with pytest.raises(BadRequest, match="Can't change media type in the album"):
            await bot.edit_message_media(song, chat, second.message_id)
        with pytest.raises(BadRequest, match="Can't change media type in the album"):
            await bot.edit_message_media(video, chat, songs[0].message_id)


async def test_a_text_becomes_a_video_by_an_edit(telegram: Sandbox) -> None:
    chat = await telegram.started()
    async with telegram.client() as bot:
        text = await bot.send_message(chat, "under way")
        still = picture(320, 180, kind="JPEG")
        media = InputMediaVideo(MP4, filename="a.mp4", thumbnail=still, caption="done")
        edited = await bot.edit_message_media(media, chat, text.message_id)
        assert isinstance(edited, Message)
        assert edited.video
        assert edited.video.thumbnail
        assert edited.caption == "done"


async def test_an_upload_in_pieces_arrives_whole(telegram: Sandbox, tmp_path: Path) -> None:
    chat = await telegram.started()
    path = tmp_path / "film"
    path.write_bytes(MP4 + bytes(3 * MEBIBYTE))
    async with telegram.client() as bot:
        with path.open("rb") as file:
            video = InputFile(file, filename="a.mp4", read_file_handle=False)
            sent = await bot.send_video(chat, video)
        assert sent.video
        assert sent.video.file_size == path.stat().st_size


REFUSED_ALBUMS: dict[str, tuple[Any, str]] = {
    "empty": ([], "there are no messages to send"),
    "eleven": ([{"type": "photo", "media": "x"}] * 11, "too many messages to send as an album"),
    "nothing attached": (
        [{"type": "photo", "media": "attach://a"}] * 2,
        "can't parse InputMedia: media not found",
    ),
    "animation": (
        [{"type": "animation", "media": "x"}],
        "can't parse InputMedia: type \"animation\" can't be used in sendMediaGroup",
    ),
    "strange type": (
        [{"type": "sticker", "media": "x"}],
        'can\'t parse InputMedia: type "sticker" is unsupported',
    ),
}


@pytest.mark.parametrize(("media", "reason"), REFUSED_ALBUMS.values(), ids=REFUSED_ALBUMS.keys())
async def test_a_wrong_album_is_refused(telegram: Sandbox, media: Any, reason: str) -> None:
    chat = await telegram.started()
    refusal = await telegram.refusal("sendMediaGroup", chat_id=chat, media=media)
    assert refusal == f"Bad Request: {reason}"


async def test_a_broken_picture_in_an_album_is_named_by_its_place(telegram: Sandbox) -> None:
    chat = await telegram.started()
    media = [{"type": "photo", "media": f"attach://{name}"} for name in "ab"]
    files = {"a": ("a.png", picture()), "b": ("b.png", b"broken")}
    before = len(await telegram.messages(chat))
    refusal = await telegram.refusal("sendMediaGroup", chat_id=chat, media=media, files=files)
    reason = 'failed to send message #2 with the error message "IMAGE_PROCESS_FAILED"'
    assert refusal == f"Bad Request: {reason}"
    assert len(await telegram.messages(chat)) == before


async def test_a_user_sends_an_album(telegram: Sandbox) -> None:
    chat = await telegram.started()
    files = {"photo": picture(), "photo1": picture(300, 300)}
    first = await telegram.say(chat, "both", files=files)
    assert first["caption"] == "both"
    assert first["album"][0]["media_group_id"] == first["media_group_id"]
