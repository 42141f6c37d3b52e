import pytest
from telegram.constants import ParseMode
from telegram.error import BadRequest

from atelier.generation.v1.media_pb2 import Media
from edge_bot.delivery.fallback import formatted, plain
from edge_bot.delivery.media import ALBUM_SIZE, DOCUMENT_BYTES, Picture, albums

UNREADABLE = BadRequest("Bad Request: can't parse entities: unexpected end tag at byte offset 3")


def picture(size: int = 1, *, width: int = 100, height: int = 100) -> Picture:
    return Picture(Media(id="m", mime_type="image/png", width=width, height=height), bytes(size))


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


FORMS = {
    "usual": (picture(), True),
    "no size known": (picture(width=0, height=0), False),
    "at the limit of sides": (picture(width=9000, height=1000), True),
    "beyond it": (picture(width=9000, height=1001), False),
    "at the limit of shape": (picture(width=2000, height=100), True),
    "longer": (picture(width=2001, height=100), False),
}


@pytest.mark.parametrize(("one", "is_photo"), FORMS.values(), ids=FORMS)
def test_a_photo_is_what_telegram_takes_as_one(one: Picture, is_photo: bool) -> None:
    assert one.is_photo == is_photo


def test_albums_are_split_by_number_and_by_size() -> None:
    assert [len(album) for album in albums([picture()] * (ALBUM_SIZE + 6))] == [ALBUM_SIZE, 6]
    heavy = picture(DOCUMENT_BYTES // 2)
    assert [len(album) for album in albums([heavy] * 5)] == [2, 2, 1]
