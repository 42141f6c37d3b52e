"""The text in place of a file that Telegram does not accept: a link, or the reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from html import escape

from atelier.generation.v1 import media_pb2
from atelier.generation.v1.media_pb2 import Media
from edge_bot.view.language import Texts
from edge_bot.view.layout import UPLOAD_BYTES, lines, shorten

LABEL_LENGTH = 40
"""How much of a title stands in a link."""

_KINDS = {
    "image": media_pb2.MEDIA_KIND_IMAGE,
    "video": media_pb2.MEDIA_KIND_VIDEO,
    "audio": media_pb2.MEDIA_KIND_AUDIO,
    "text": media_pb2.MEDIA_KIND_TEXT,
}
_TIME_FORMATS = {"ru": "%d.%m.%Y %H:%M"}


def kind_of(media: Media) -> media_pb2.MediaKind.ValueType:
    """Return the kind of media; a service of the release before says none, but the type."""
    prefix = media.mime_type.partition("/")[0]
    return media.kind or _KINDS.get(prefix, media_pb2.MEDIA_KIND_FILE)


def is_uploadable(media: Media) -> bool:
    """Tell whether Telegram takes it in any form."""
    return media.size_bytes <= UPLOAD_BYTES


def too_large_note(media: Sequence[Media], speak: Texts, *, most_links: int | None = None) -> str:
    """Return, as HTML, the text in place of these files; empty if there are none.

    Where there is room for so many links only, an ellipsis stands for the others.
    """
    linked = [each for each in media if each.download_uri]
    missed = [each for each in media if not each.download_uri]
    return lines(_linked(linked, speak, most=most_links), _missed(missed, speak))


def _linked(media: Sequence[Media], speak: Texts, *, most: int | None) -> str:
    if not media:
        return ""
    why = speak.count(
        "📦 This file is larger than the 50 MB Telegram lets me send. Download it here:",
        "📦 These files are larger than the 50 MB Telegram lets me send. Download them here:",
        len(media),
    )
    end = min(each.download_expire_time.ToDatetime(UTC) for each in media)
    time = end.strftime(_TIME_FORMATS.get(speak.language, "%d %b %Y, %H:%M"))
    until = (
        speak.html("The link works until {time} UTC.", time=time)
        if len(media) == 1
        else speak.html("The links work until {time} UTC.", time=time)
    )
    links = [_link(each, speak) for each in media[:most]]
    return lines(why, *links, "…" if len(links) < len(media) else "", until)


def _missed(media: Sequence[Media], speak: Texts) -> str:
    if not media:
        return ""
    return speak.count(
        "😔 {n} file is ready, but larger than the 50 MB Telegram lets me send. "
        "Sorry, I have no other way to get it to you.",
        "😔 {n} files are ready, but larger than the 50 MB Telegram lets me send. "
        "Sorry, I have no other way to get them to you.",
        len(media),
    )


def _link(media: Media, speak: Texts) -> str:
    name = shorten(media.title, LABEL_LENGTH) or _name(media, speak)
    size = speak.plain("{megabytes} MB", megabytes=round(media.size_bytes / 1e6))
    return f'⬇️ <a href="{escape(media.download_uri)}">{escape(name, quote=False)}</a>, {size}'


def _name(media: Media, speak: Texts) -> str:
    match kind_of(media):
        case media_pb2.MEDIA_KIND_IMAGE:
            return speak.plain("Image")
        case media_pb2.MEDIA_KIND_VIDEO:
            return speak.plain("Video")
        case media_pb2.MEDIA_KIND_AUDIO:
            return speak.plain("Audio")
        case media_pb2.MEDIA_KIND_TEXT:
            return speak.plain("Text")
        case _:
            return speak.plain("File")
