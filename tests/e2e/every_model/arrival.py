"""What has arrived in a chat of the result of a job, each file in the form of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atelier.generation.v1.job_pb2 import Job
from atelier.generation.v1.media_pb2 import Media
from tests.e2e.every_model.chat import Chat, Chats
from tests.e2e.every_model.door import Received
from tests.e2e.every_model.screen import Json

_FORMS = {
    "image/jpeg": "photo",
    "image/png": "photo",
    "image/webp": "photo",
    "video/mp4": "video",
    "audio/mpeg": "audio",
    "audio/mp4": "audio",
    "audio/x-m4a": "audio",
}
"""The forms that Telegram shows or plays; everything else is a document."""
_ALBUMS = {"photo": "visual", "video": "visual"}
_TOLD = 200
"""How much of a text is looked for."""
_PHOTO_BYTES = 10_000_000


async def arrived(chat: Chat, job: Job, *, after: int, title: str) -> list[Received]:
    """Wait for a result, and return its files in the order of its media."""
    if not job.result.media:
        await _text(chat, job.result.text, after=after, title=title)
        return []
    count, what = len(job.result.media), f"{len(job.result.media)} files of the result"

    def find() -> list[Json] | None:
        came = [each for each in chat.heard(after=after) if _form_of(each)]
        return came if len(came) >= count else None

    came = await chat.see(find, what=what)
    assert len(came) == count, f"{len(came)} files arrived, not {count}"
    captions = [each.get("caption", "") for each in came]
    assert any(title in each for each in captions), f"no caption names {title}: {captions}"
    _check_albums(came)
    return await _matched(chat.chats, came, job.result.media)


async def _text(chat: Chat, text: str, *, after: int, title: str) -> None:
    """Wait for a text as a message, or as a file if no message has room for it."""
    beginning = text.strip()[:_TOLD]

    def find() -> Json | None:
        told = (each for each in chat.heard(after=after) if beginning in each.get("text", ""))
        return next(told, None)

    message = await chat.see(find, what=f"the text {beginning!r:.60}")
    assert title in message["text"], f"the text does not name {title}"


async def _matched(chats: Chats, came: list[Json], media: Sequence[Media]) -> list[Received]:
    """Return what came for each file, those of one form in their order."""
    left = list(came)
    found = []
    for each in media:
        form = form_for(each)
        message = next((one for one in left if _form_of(one) == form), None)
        assert message, f"{each.mime_type} came as {[_form_of(one) for one in left]}, not {form}"
        left.remove(message)
        found.append(await _received(chats, message[form], form=form))
    return found


async def _received(chats: Chats, shown: Any, *, form: str) -> Received:
    if form == "photo":
        return Received(await chats.file(shown[-1]["file_unique_id"]), is_original=False)
    cover = shown["cover"][-1] if shown.get("cover") else shown.get("thumbnail")
    return Received(
        await chats.file(shown["file_unique_id"]),
        await chats.file(cover["file_unique_id"]) if cover else b"",
    )


def form_for(media: Media) -> str:
    """Return the form in which media of a kind is sent."""
    form = _FORMS.get(media.mime_type, "document")
    return "document" if form == "photo" and media.size_bytes > _PHOTO_BYTES else form


def _check_albums(came: list[Json]) -> None:
    """Hold that what can be an album is one."""
    groups: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for each in came:
        album = _ALBUMS.get(_form_of(each), _form_of(each))
        groups.setdefault(album, set()).add(each.get("media_group_id", ""))
        counts[album] = counts.get(album, 0) + 1
    for album, group in groups.items():
        is_album = len(group) == 1 and "" not in group
        assert counts[album] == 1 or is_album, f"{counts[album]} of {album} are no album: {group}"


def _form_of(message: Json) -> str:
    """Return the form of the file in a message; empty if it has none."""
    forms = ("photo", "video", "audio", "document")
    return next((form for form in forms if form in message), "")
