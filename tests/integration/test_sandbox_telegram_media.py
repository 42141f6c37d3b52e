from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from telegram import InputMediaDocument, InputMediaPhoto
from telegram.error import BadRequest

from tests.integration.sandbox_telegram import TOKEN, Sandbox, picture, sandbox, serving

MEBIBYTE = 1024 * 1024


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


REFUSED_ALBUMS: dict[str, tuple[Any, str]] = {
    "empty": ([], "there are no messages to send"),
    "eleven": ([{"type": "photo", "media": "x"}] * 11, "too many messages to send as an album"),
    "nothing attached": (
        [{"type": "photo", "media": "attach://a"}] * 2,
        "can't parse InputMedia: media not found",
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
