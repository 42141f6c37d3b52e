"""The screens of finished jobs."""

from __future__ import annotations

from html import escape

from google.protobuf.json_format import MessageToDict

from atelier.generation.v1 import job_pb2 as pb
from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE
from edge_bot.view.button import Again, Change, Home, Original, ShowAll, ShowMissed
from edge_bot.view.charge_text import cancelled_charge_text, charge_text
from edge_bot.view.kept_result import kept_rows, kept_text
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import (
    CAPTION_LENGTH,
    Button,
    Rows,
    Screen,
    length_of,
    lines,
    paragraphs,
    plain,
    quoted,
    shorten,
    span,
)
from edge_bot.view.too_large import is_uploadable, kind_of, too_large_note

PROMPT_LENGTH = 300
"""How much of the prompt a text message about a job repeats."""

CAPTION_LINKS = 8
"""How many links to files that are too large a caption has room for; "Original files" gives all."""
PROMPT_MIN_LENGTH = 80
"""How much of it a caption repeats, whatever else there is to say."""

TEXT_LENGTH = 500
"""How much of a text beside media a caption repeats; "Original file" gives all."""

FOOTER_LENGTH = 120
"""The room that a caption keeps for the line under the prompt."""

_WORDS = ("prompt", "text", "content", "lyrics", "style", "description")
"""The inputs that say what is made, the one that says most first."""
_LINE_WORDS = ("prompt", "text", "scene")
"""The same in each object of a list: the shots of a film, the lines of a dialogue."""


def result_caption(
    job: pb.Job, language: str, *, title: str = "", balance: int | None = None
) -> str:
    """Return the caption of a result as HTML: the prompt, shortened to fit, and the model.

    It ends with what it cost, what could not come along, and how to get it.
    """
    speak = texts(language)
    footer = shorten(_summary(job, speak, title), FOOTER_LENGTH - 2)
    too_large = [each for each in job.result.media if not is_uploadable(each)]
    links = too_large_note(too_large, speak, most_links=CAPTION_LINKS)
    notes = lines(charge_text(job, speak, balance=balance), _missing(speak, job), links)
    left = CAPTION_LENGTH - FOOTER_LENGTH - length_of(plain(f"\n{notes}" if notes else ""))
    told = escape(shorten(text_beside(job), TEXT_LENGTH), quote=False)
    room = max(PROMPT_MIN_LENGTH, left - length_of(plain(told)))
    prompt = quoted(prompt_of(job), room)
    return paragraphs(told, prompt, lines(escape(footer, quote=False), notes))


def text_beside(job: pb.Job) -> str:
    """Return the text that was made beside media; a text alone is a message of its own."""
    return job.result.text.strip() if job.result.media else ""


def is_text_cut(job: pb.Job) -> bool:
    """Tell whether a caption has no room for the whole text beside media."""
    return length_of(text_beside(job)) > TEXT_LENGTH


def result_buttons(job: pb.Job, language: str, *, is_first_of_album: bool = False) -> Rows:
    """Return the buttons under a result; the first of an album alone offers the others, too."""
    speak = texts(language)
    again = Button(speak.plain("🔁 Again"), Again(job.id))
    change = Button(speak.plain("✏️ Change"), Change(job.id))
    show = speak.plain("🖼 Show all") if _is_pictures(job) else speak.plain("▶️ Show all")
    rest = (Button(show, ShowAll(job.id)),) if is_first_of_album else ()
    return ((again, change), (*rest, Button(_original(job, speak), Original(job.id))))


def _original(job: pb.Job, speak: Texts) -> str:
    """Return how the bytes themselves are called: only pictures come smaller than they are."""
    is_several = len(job.result.media) > 1
    if job.result.media and _is_pictures(job):
        several, one = speak.plain("📎 Original files"), speak.plain("📎 Original file")
    else:
        several, one = speak.plain("📎 As files"), speak.plain("📎 As a file")
    return several if is_several else one


def failure_buttons(job: pb.Job, language: str) -> Rows:
    """Return the buttons under a failure."""
    speak = texts(language)
    again = Button(speak.plain("🔁 Try again"), Again(job.id))
    return ((again, change_button(job, language)),)


def change_button(job: pb.Job, language: str) -> Button:
    """Return the button that begins a draft with the inputs of a job."""
    return Button(texts(language).plain("✏️ Change"), Change(job.id))


def finished_screen(job: pb.Job, language: str, *, title: str = "") -> Screen:
    """Return what the progress message says once the result is a message of its own.

    An album takes no buttons, so that of several pictures they are here.
    """
    speak = texts(language)
    text = speak.html("✅ <b>Done:</b> {summary}", summary=_summary(job, speak, title))
    is_album = len(job.result.media) > 1
    text = lines(text, _missing(speak, job))
    return Screen(text, result_buttons(job, language) if is_album else ())


def ended_screen(job: pb.Job, language: str, *, title: str = "") -> Screen:
    """Return what the progress message says once a failure is told in a message of its own."""
    speak = texts(language)
    return Screen(speak.html("⏹ <b>Ended:</b> {summary}", summary=_summary(job, speak, title)))


def arrived_screen(job: pb.Job, language: str, *, title: str = "") -> Screen:
    """Return what a message says of a success to whom presses a button under it.

    The result may have come, be on its way, or have been lost on it: one can have it sent.
    """
    speak = texts(language)
    finished = finished_screen(job, language, title=title)
    if not job.result.media:
        return finished
    show, where = _pictures_arrived(job, speak) if _is_pictures(job) else _files_arrived(job, speak)
    text = paragraphs(finished.text, where)
    return Screen(text, ((Button(show, ShowAll(job.id)),), *finished.keyboard))


def _pictures_arrived(job: pb.Job, speak: Texts) -> tuple[str, str]:
    is_several = len(job.result.media) > 1
    show = speak.plain("🖼 Show all") if is_several else speak.plain("🖼 Show the picture")
    where = speak.count(
        "The picture is in this chat or will arrive in a moment.",
        "The pictures are in this chat or will arrive in a moment.",
        len(job.result.media),
    )
    return show, where


def _files_arrived(job: pb.Job, speak: Texts) -> tuple[str, str]:
    is_several = len(job.result.media) > 1
    show = speak.plain("▶️ Show all") if is_several else speak.plain("▶️ Show the result")
    return show, speak.html("The result is in this chat or will arrive in a moment.")


def _is_pictures(job: pb.Job) -> bool:
    """Tell whether a job made only pictures; media without a type counts as one."""
    media = job.result.media
    return all(not each.mime_type or kind_of(each) == MEDIA_KIND_IMAGE for each in media)


def missed_screen(count: int, language: str) -> Screen:
    """Return the offer of pictures that could not be sent when they were ready."""
    speak = texts(language)
    text = speak.count(
        "{n} picture is waiting for you: I could not send it when it was ready.",
        "{n} pictures are waiting for you: I could not send them when they were ready.",
        count,
    )
    return Screen(text, ((Button(speak.plain("🖼 Send now"), ShowMissed()),),))


def _failure_headline(speak: Texts, *, is_picture: bool) -> str:
    """Return that a job failed."""
    if is_picture:
        return speak.html("😔 <b>No picture this time.</b>")
    return speak.html("😔 <b>It did not work out this time.</b>")


def failure_screen(
    job: pb.Job, language: str, *, is_picture: bool = True, balance: int | None = None
) -> Screen:
    """Return the screen of a failed job."""
    speak = texts(language)
    reason = job.failure.reason
    why = _why(speak, reason) if is_picture else _why_not(speak, reason) or _why(speak, reason)
    text = paragraphs(
        lines(_failure_headline(speak, is_picture=is_picture), why),
        kept_text(job, speak),
        quoted(prompt_of(job), PROMPT_LENGTH),
        charge_text(job, speak, balance=balance),
    )
    return Screen(text, (*kept_rows(job, speak), *failure_buttons(job, language)))


def cancelled_screen(job: pb.Job, language: str) -> Screen:
    """Return what the progress message says after the user cancelled."""
    speak = texts(language)
    change = Button(speak.plain("✏️ Change"), Change(job.id))
    home = Button(speak.plain("🏠 Start over"), Home())
    told = lines(speak.html("✖️ <b>Cancelled.</b>"), kept_text(job, speak))
    text = paragraphs(told, cancelled_charge_text(job, speak))
    return Screen(text, (*kept_rows(job, speak), (change, home)))


def prompt_of(job: pb.Job) -> str:
    """Return the prompt of a job, or the text that it is about; empty if its model takes none."""
    inputs = MessageToDict(job.inputs)
    told = next((inputs[each] for each in _WORDS if each in inputs), None)
    if told is not None:
        return str(told)
    lists = [each for each in inputs.values() if isinstance(each, list)]
    objects = [one for each in lists for one in each if isinstance(one, dict)]
    spoken = [str(one[name]) for one in objects for name in _LINE_WORDS if name in one]
    return "\n".join(f"— {each}" for each in spoken) if len(spoken) > 1 else "".join(spoken)


def _missing(speak: Texts, job: pb.Job) -> str:
    """Return what a result lacks; nothing if it is whole."""
    count = job.result.missing_count
    if not count:
        return ""
    if not _is_pictures(job):
        return speak.count(
            "⚠️ {n} more file was made, but I couldn't get it.",
            "⚠️ {n} more files were made, but I couldn't get them.",
            count,
        )
    return speak.count(
        "⚠️ {n} more picture was made, but I couldn't get it.",
        "⚠️ {n} more pictures were made, but I couldn't get them.",
        count,
    )


def _summary(job: pb.Job, speak: Texts, title: str) -> str:
    seconds = (job.update_time.ToDatetime() - job.create_time.ToDatetime()).total_seconds()
    return f"{title or job.model_id}, {span(speak, seconds)}"


def _why_not(speak: Texts, reason: pb.FailureReason.ValueType) -> str:
    """Return why something that is no picture was not made; empty where the words are the same."""
    match reason:
        case pb.FAILURE_REASON_CONTENT_REFUSED:
            return speak.html(
                "The model refused your words or your files. Try to put it another way."
            )
        case pb.FAILURE_REASON_INPUT_UNREADABLE:
            return speak.html("The model could not open one of your files. Please try another one.")
        case pb.FAILURE_REASON_START_DEADLINE:
            return speak.html("The service did not answer for too long.")
        case pb.FAILURE_REASON_RESULT_UNAVAILABLE:
            return speak.html("It was made, but it could not be fetched.")
        case pb.FAILURE_REASON_GENERATION_FAILED | pb.FAILURE_REASON_PROVIDER_LOST_JOB:
            return speak.html("Something went wrong on the way. A second try often helps.")
        case _:
            return ""


def _why(speak: Texts, reason: pb.FailureReason.ValueType) -> str:
    match reason:
        case pb.FAILURE_REASON_CONTENT_REFUSED:
            return speak.html(
                "The model refused the description or the picture. "
                "Put it in other words or take another picture."
            )
        case pb.FAILURE_REASON_INPUT_UNREADABLE:
            return speak.html("The model could not open your picture. Please try another one.")
        case pb.FAILURE_REASON_REQUEST_REFUSED:
            return speak.html("The model refused this request. Change something and try again.")
        case pb.FAILURE_REASON_START_DEADLINE:
            return speak.html("The drawing service did not answer for too long.")
        case pb.FAILURE_REASON_FINISH_DEADLINE:
            return speak.html("It took too long, so I stopped waiting.")
        case pb.FAILURE_REASON_MODEL_UNAVAILABLE:
            return speak.html("This model is switched off at the moment. Please take another one.")
        case pb.FAILURE_REASON_RESULT_UNAVAILABLE:
            return speak.html("The picture was drawn, but it could not be fetched.")
        case _:
            return speak.html("Something went wrong while drawing. A second try often helps.")
