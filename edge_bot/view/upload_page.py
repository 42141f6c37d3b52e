"""The screen that leads to the page on which a large file is sent."""

from __future__ import annotations

from atelier.generation.v1.upload_link_pb2 import UploadLink
from edge_bot.view.button import FollowLink, ShowDraft, TakeUpload
from edge_bot.view.language import texts
from edge_bot.view.layout import Button, Screen, paragraphs


def upload_page_screen(
    link: UploadLink, taken: TakeUpload, language: str, *, is_missed: bool = False
) -> Screen:
    """Return the way to the page, and the button that takes what was sent there.

    `is_missed` says that the button was pressed before the file had come.
    """
    speak = texts(language)
    early = speak.html("⚠️ The file is not here yet. Please send it on the page first.")
    why = speak.html(
        "📦 Telegram gives me files of at most 20 MB. You can send yours on a page of mine, "
        "up to {megabytes} MB. The link is for you alone and works for half an hour.",
        megabytes=link.max_bytes // 10**6,
    )
    rows = (
        (Button(speak.plain("⬆️ Open the page"), FollowLink(link.uri)),),
        (Button(speak.plain("✓ I have sent it"), taken),),
        (Button(speak.plain("← Back"), ShowDraft(taken.draft)),),
    )
    return Screen(paragraphs(early if is_missed else "", why), rows)
