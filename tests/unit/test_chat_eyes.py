"""What the person of `make e2e-all` sees in a chat, and what that person would not let pass."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from atelier.generation.v1.job_pb2 import Job, JobResult
from atelier.generation.v1.media_pb2 import Media
from generation_svc.catalog import load_catalog
from tests.e2e.every_model.arrival import arrived
from tests.e2e.every_model.chat import Chat, Chats
from tests.e2e.every_model.form_reader import FormReader
from tests.e2e.every_model.screen import Screen, screen_of

TITLE = "Suno V6"
MODELS = load_catalog(has_unpaid=True).models
SONG = Media(id="a", mime_type="audio/mpeg", size_bytes=4)
SONGS = Job(result=JobResult(media=[SONG, SONG]))


def chat_with(*messages: dict[str, Any]) -> Chat:
    """Return a chat in which the bot has said this; every file is four bytes."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=b"data")

    transport = httpx2.MockTransport(answer)
    http = httpx2.AsyncClient(base_url="http://telegram", transport=transport)
    chat = Chat(Chats(http), 1)
    for number, message in enumerate(messages, 1):
        chat.take("message", {"message_id": number, "from": {"is_bot": True}, **message})
    return chat


def song(form: str, *, album: str = "1", caption: str = TITLE) -> dict[str, Any]:
    """Return a message with a song."""
    group = {"media_group_id": album} if album else {}
    return {form: {"file_unique_id": "x"}, "caption": caption, **group}


async def test_two_songs_arrive_as_an_album() -> None:
    files = await arrived(chat_with(song("audio"), song("audio")), SONGS, after=0, title=TITLE)

    assert [each.data for each in files] == [b"data", b"data"]


@pytest.mark.parametrize(
    ("messages", "flaw"),
    [
        pytest.param([song("document"), song("document")], "not audio", id="another-form"),
        pytest.param([song("audio"), song("audio", album="2")], "no album", id="apart"),
        pytest.param([song("audio", album=""), song("audio", album="")], "no album", id="alone"),
        pytest.param([song("audio")] * 3, "3 files arrived, not 2", id="too-many"),
        pytest.param([song("audio", caption="")] * 2, "no caption names", id="unnamed"),
    ],
)
async def test_what_arrives_in_another_way_is_refused(
    messages: list[dict[str, Any]], flaw: str
) -> None:
    with pytest.raises(AssertionError, match=flaw):
        await arrived(chat_with(*messages), SONGS, after=0, title=TITLE)


def test_a_screen_is_words_and_what_is_bold_and_buttons() -> None:
    button = {"text": "✓ Square 1:1", "callback_data": "o"}
    message = {
        "message_id": 7,
        "text": "🎨 Shape",
        "entities": [{"type": "bold", "offset": 3, "length": 5}],
        "reply_markup": {"inline_keyboard": [[button]]},
    }

    screen = screen_of(message)

    assert screen is not None
    assert screen.bold == ("Shape",)
    assert screen.data_of("Square 1:1") == screen.data_of("✓ Square 1:1") == "o"
    assert screen.data_of("Square") == ""


@pytest.mark.parametrize(
    ("text", "bold", "place"),
    [
        pytest.param("Говорящие: № 2, всего до 10\nГолос", "Голос", "speakers[1].voice_name"),
        pytest.param("Говорящие: 2 из 10 возможных\n\n1. Ada", "Говорящие", "speakers"),
        pytest.param("Что-то\n\nДругое", "Что-то", ""),
    ],
    ids=["item", "list", "nothing"],
)
def test_what_a_form_asks_is_read_from_its_words(text: str, bold: str, place: str) -> None:
    reader = FormReader(MODELS["google/gemini-3-8-flash-tts"], "ru")

    assert reader.place(Screen(1, text, (bold,), ())) == place
