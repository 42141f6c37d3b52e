from io import BytesIO

import pytest
from telegram.constants import ParseMode
from telegram.error import BadRequest

from atelier.generation.v1.media_pb2 import MEDIA_KIND_UNSPECIFIED, Media, MediaKind
from edge_bot.delivery.fallback import formatted
from edge_bot.delivery.form import FORMS, album_groups, form_of
from edge_bot.delivery.media import ALBUM_SIZE, PHOTO_BYTES, MediaFile, albums
from edge_bot.view.layout import UPLOAD_BYTES, plain

UNREADABLE = BadRequest("Bad Request: can't parse entities: unexpected end tag at byte offset 3")


def media_file(
    size: int = 1, *, width: int = 100, height: int = 100, mime_type: str = "image/png"
) -> MediaFile:
    media = Media(id="m", mime_type=mime_type, size_bytes=size, width=width, height=height)
    return MediaFile(media, BytesIO())


def test_plain_text_keeps_the_words() -> None:
    assert plain("<i>a &lt;cat&gt; &amp; a dog</i>\n<b>Z</b>") == "a <cat> & a dog\nZ"


async def test_what_telegram_cannot_format_goes_plain() -> None:
    sent: list[tuple[str, str | None]] = []

    async def send(text: str, parse_mode: str | None) -> bool:
        sent.append((text, parse_mode))
        if parse_mode:
            raise UNREADABLE
        return True

    assert await formatted("<b>hello", send)
    assert sent == [("<b>hello", ParseMode.HTML), ("hello", None)]


async def test_another_refusal_is_not_hidden() -> None:
    async def send(_: str, parse_mode: str | None) -> bool:
        raise BadRequest("Bad Request: chat not found")

    with pytest.raises(BadRequest):
        await formatted("hello", send)


SHOWN = {
    "usual": (media_file(), True),
    "no size known": (media_file(width=0, height=0), False),
    "at the limit of sides": (media_file(width=9000, height=1000), True),
    "beyond it": (media_file(width=9000, height=1001), False),
    "at the limit of shape": (media_file(width=2000, height=100), True),
    "longer": (media_file(width=2001, height=100), False),
    "at the limit of size": (media_file(PHOTO_BYTES), True),
    "heavier": (media_file(PHOTO_BYTES + 1), False),
    "a GIF": (media_file(mime_type="image/gif"), False),
    "MPEG-4": (media_file(mime_type="video/mp4"), True),
    "WebM": (media_file(mime_type="video/webm"), False),
    "MP3": (media_file(mime_type="audio/mpeg"), True),
    "M4A": (media_file(mime_type="audio/mp4"), True),
    "WAV": (media_file(mime_type="audio/wav"), False),
}


@pytest.mark.parametrize(("one", "is_shown"), SHOWN.values(), ids=SHOWN)
def test_what_telegram_shows_or_plays_is_told_from_what_it_only_saves(
    one: MediaFile, is_shown: bool
) -> None:
    assert form_of(one).takes(one) == is_shown


def test_every_kind_of_the_contract_has_a_form() -> None:
    assert set(FORMS) == set(MediaKind.values()) - {MEDIA_KIND_UNSPECIFIED}


def test_a_service_of_the_release_before_says_the_kind_by_the_type() -> None:
    types = ("image/png", "video/mp4", "audio/mpeg", "text/plain", "application/zip")
    forms = [form_of(media_file(mime_type=each)) for each in types]
    assert [type(each).__name__ for each in forms] == [
        "PhotoForm",
        "VideoForm",
        "AudioForm",
        "DocumentForm",
        "DocumentForm",
    ]


def test_albums_are_split_by_number_and_by_size() -> None:
    assert [len(album) for album in albums([media_file()] * (ALBUM_SIZE + 6))] == [ALBUM_SIZE, 6]
    heavy = media_file(UPLOAD_BYTES // 2)
    assert [len(album) for album in albums([heavy] * 5)] == [2, 2, 1]


def test_an_album_holds_what_the_bot_api_lets_stand_together() -> None:
    song, video, picture, sheet = (
        media_file(mime_type=each)
        for each in ("audio/mpeg", "video/mp4", "image/png", "application/json")
    )
    groups = album_groups([song, video, picture, sheet, song, picture])
    assert groups == [[song, song], [video, picture, picture], [sheet]]


def test_a_file_is_named_by_its_title() -> None:
    media = Media(id="m", mime_type="audio/mpeg", title="Ночь: «a/b» \r\n \\.. (live).")
    assert MediaFile(media, BytesIO()).filename == "Ночь a b .. (live).mp3"
    assert media_file().filename == "m.png"
