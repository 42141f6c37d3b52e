"""Short notices to the user, as HTML."""

from __future__ import annotations

from html import escape

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.catalog import localised
from edge_bot.view.input_form import Field, form_of
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import lines
from edge_bot.view.media_input import has_form, input_of, picture_input, place_of
from edge_bot.view.payment_notice import money_refusal
from edge_bot.view.typed_value import how
from generation_client import GenerationError


def stale_draft(language: str) -> str:
    """Say that a button belongs to a draft that is gone."""
    return texts(language).html(
        "This button belongs to an earlier picture. Here is where we are now."
    )


def unknown_button(language: str) -> str:
    """Say that a button no longer works."""
    return texts(language).html("This button no longer works. Here is where we are now.")


def on_its_way(language: str) -> str:
    """Say that the draft has become a job."""
    return texts(language).html("This picture is already on its way.")


def job_gone(language: str) -> str:
    """Say that a job is not to be found."""
    return texts(language).html("I no longer have this picture. Here is where we are now.")


def result_expired(language: str) -> str:
    """Say that the pictures of a job are kept no longer, and how to have new ones."""
    return texts(language).html(
        "I no longer have this picture: I keep results for a limited time. "
        "Press “Again” under it, and I will draw a new one."
    )


def nothing_to_send(language: str) -> str:
    """Say that a job made no picture."""
    return texts(language).html("There is no picture to send.")


def here_they_are(language: str) -> str:
    """Say that what was waiting follows."""
    return texts(language).html("Here is what was waiting for you.")


def not_fetched(count: int, language: str) -> str:
    """Say how many of the pictures that were waiting are lost."""
    return texts(language).count(
        "⚠️ I couldn't get {n} picture.", "⚠️ I couldn't get {n} pictures.", count
    )


def unsupported(language: str) -> str:
    """Say what can be sent instead of what was sent."""
    return texts(language).html(
        "I understand text and pictures. Describe what to draw, or send me a photo."
    )


def wrong_file(language: str) -> str:
    """Say which files are pictures here."""
    return texts(language).html(
        "I cannot open this kind of file. Please send the picture as a photo, "
        "or as a JPEG, PNG, WebP, HEIC or BMP file."
    )


def picture_too_large(language: str) -> str:
    """Say how large a picture may be."""
    return texts(language).html(
        "This picture is larger than 10 MB. Please send a smaller one, or send it as a photo: "
        "Telegram makes it smaller then."
    )


def one_of_album(language: str) -> str:
    """Say that only the first picture of an album is used."""
    return texts(language).html("I work on one picture at a time, so I took the first one.")


def private_only(language: str, *, username: str) -> str:
    """Say that the bot does not draw in groups, with a link to where it does."""
    return texts(language).html(
        'I draw in private chats only. <a href="{link}">Write to me directly</a>.',
        link=f"https://t.me/{username}",
    )


def apology(language: str) -> str:
    """Say that something failed for a reason the user cannot know."""
    return texts(language).html(
        "Something went wrong on my side, and I have noted it. Please try again in a moment."
    )


def takes_longer(language: str) -> str:
    """Say that an answer takes longer, and that it comes without being asked for again."""
    return texts(language).html(
        "⏳ This is taking longer than usual. I will answer as soon as I can; "
        "there is no need to send it again."
    )


def refusal(error: GenerationError, language: str, *, model: pb.Model | None) -> str:
    """Say why no job was made of a request."""
    speak = texts(language)
    match error.reason:
        case "INVALID_INPUTS" if model is not None and has_form(model):
            return _wrong_answers(error, speak, model=model)
        case "INVALID_INPUTS" if model is not None:
            return _wrong_inputs(error, language, model=model)
        case "STORAGE_QUOTA_EXCEEDED" if error.metadata.get("subject", "").startswith("owner "):
            return speak.html(
                "⚠️ Your pictures take up all the room I have for them. "
                "The oldest ones make room as they expire: please try again later."
            )
        case "STORAGE_QUOTA_EXCEEDED" | "OVERLOADED":
            return speak.html(
                "⚠️ I have no room for new pictures at the moment. Please try again later."
            )
        case "JOB_EXPIRED":
            return job_gone(language)
        case "TOO_MANY_ACTIVE_JOBS":
            return speak.count(
                "⚠️ You already have {n} picture under way. "
                "Please wait until one is done, then try again.",
                "⚠️ You already have {n} pictures under way. "
                "Please wait until one is done, then try again.",
                int(error.metadata.get("limit", "1")),
            )
        case _:
            return (
                _other_refusal(error.reason, speak)
                or money_refusal(error, speak)
                or apology(language)
            )


def _other_refusal(reason: str, speak: Texts) -> str:
    """Say why a model does not do it; empty for another reason."""
    match reason:
        case "MODEL_NOT_FOUND":
            return model_gone(speak.language)
        case "MODEL_UNAVAILABLE":
            return speak.html(
                "⚠️ The drawing service has switched this model off for now. "
                "Please choose another one, or try again later."
            )
        case "UPLOAD_REQUIRED":
            return speak.html(
                "⚠️ The price follows the length of your file, so a link is not enough. "
                "Please send the file itself."
            )
        case "CONSENT_REQUIRED":
            return speak.html(
                "⚠️ This model copies a person’s face or voice, so I need your consent first. "
                "Press “Change”."
            )
        case "PRICE_UNKNOWN":
            return speak.html(
                "⚠️ I cannot tell what this would cost, so I do not begin. "
                "Please change something or choose another model."
            )
        case _:
            return ""


def model_gone(language: str) -> str:
    """Say that a model is no longer offered."""
    return texts(language).html("⚠️ This model is no longer on offer. Please choose another one.")


def clip_too_large(language: str) -> str:
    """Say how large a video or a sound may be."""
    return texts(language).html(
        "⚠️ Telegram gives me files of at most 20 MB. Please send a smaller one or a link."
    )


def file_unusable(language: str, *, field: Field) -> str:
    """Say that a file cannot be used, and which would do."""
    speak = texts(language)
    return speak.html("⚠️ I cannot use this file. {how}", how=how(field, speak))


def form_too_long(language: str) -> str:
    """Say that there is no room for more answers."""
    return texts(language).html("⚠️ That is more text than I can keep. Please make it shorter.")


def result_unfit(language: str) -> str:
    """Say that an earlier result is gone or of another kind."""
    return texts(language).html("⚠️ This result does not fit here. Please choose another one.")


def _wrong_answers(error: GenerationError, speak: Texts, *, model: pb.Model) -> str:
    """Name each answer that was refused, and what is taken."""
    form = form_of(model)
    told: list[str] = []
    for violation in error.violations:
        field = form.find(place_of(violation.field))
        if field is not None:
            label = localised(field.labels, speak.language)
            why = speak.html("⚠️ {label}: this does not fit.", label=label)
            told.append(f"{why} {escape(how(field, speak), quote=False)}".rstrip())
    unknown = speak.html("⚠️ The model does not take these answers together.")
    return lines(*dict.fromkeys(told)) or unknown


def _wrong_inputs(error: GenerationError, language: str, *, model: pb.Model) -> str:
    speak = texts(language)
    wrong = {input_of(violation.field) for violation in error.violations}
    if picture_input(model) in wrong:
        return speak.html("⚠️ I can no longer use your picture. Please send it again.")
    if "prompt" in wrong:
        return speak.html("⚠️ The model does not take this text. Please put it another way.")
    labels = [localised(each.labels, language) for each in model.options if each.field in wrong]
    if labels:
        return speak.html(
            "⚠️ The model does not take this value: {options}. Please choose another one.",
            options=", ".join(labels),
        )
    return speak.html("⚠️ The model does not take this request. Please choose another one.")
