"""The screens of jobs under way, which show only what is known."""

from __future__ import annotations

from datetime import UTC, datetime

from atelier.generation.v1 import job_pb2 as pb
from atelier.generation.v1.delivery_pb2 import Delivery
from edge_bot.view.button import Cancel, CancelAnyway, KeepWaiting, ShowJob
from edge_bot.view.charge_text import open_charge_text
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import Button, Screen, lines, paragraphs, quoted, span, usual_time
from edge_bot.view.outcome import (
    PROMPT_LENGTH,
    cancelled_screen,
    ended_screen,
    finished_screen,
    prompt_of,
)


def progress_screen(
    delivery: Delivery, *, now: datetime, title: str = "", is_picture: bool = True
) -> Screen:
    """Return what the progress message says for a delivery, whatever the state of its job."""
    return job_screen(
        delivery.job,
        delivery.telegram.language_code,
        now=now,
        title=title,
        is_picture=is_picture,
        queue_position=delivery.queue_position,
        usual_s=delivery.usual_duration.ToTimedelta().total_seconds(),
    )


def job_screen(
    job: pb.Job,
    language: str,
    *,
    now: datetime,
    title: str = "",
    is_picture: bool = True,
    queue_position: int | None = None,
    usual_s: float = 0.0,
) -> Screen:
    """Return what the progress message says; a place of None is one that is not known.

    `now` is the service's time, which sets the times in a job. Why a job failed is told in a
    message of its own.
    """
    match job.state:
        case pb.JOB_STATE_SUCCEEDED:
            return finished_screen(job, language, title=title)
        case pb.JOB_STATE_FAILED:
            return ended_screen(job, language, title=title)
        case pb.JOB_STATE_CANCELLED:
            return cancelled_screen(job, language)
        case pb.JOB_STATE_RUNNING:
            name, reason = title or job.model_id, job.delay_reason
            headline = _running(texts(language), name, reason=reason, is_picture=is_picture)
        case _:
            headline = _queued(texts(language), queue_position, reason=job.delay_reason)
    longest = _longest_wait(texts(language), job, now=now)
    return _waiting(job, texts(language), headline=headline, usual_s=usual_s, longest=longest)


def starting_screen(language: str, *, prompt: str) -> Screen:
    """Return what the message says between the press and the service's answer."""
    speak = texts(language)
    return Screen(
        paragraphs(speak.html("⏳ <b>Sending it off…</b>"), quoted(prompt, PROMPT_LENGTH))
    )


def cancel_question_screen(job: pb.Job, language: str, *, is_apart: bool = False) -> Screen:
    """Return the question whether to end a job, and what that means.

    Asked apart from the progress message, it must not turn into a second one: nobody would edit it.
    """
    speak = texts(language)
    what_it_means = speak.html("It still waits in the queue; nothing is lost if you cancel.")
    if job.state == pb.JOB_STATE_RUNNING:
        what_it_means = speak.html(
            "It is already being drawn, and that cannot be stopped. "
            "If you cancel, it will not be sent to you."
        )
        what_it_means = " ".join(filter(None, (what_it_means, open_charge_text(job, speak))))
    text = paragraphs(speak.html("<b>Stop waiting for this picture?</b>"), what_it_means)
    yes = Button(speak.plain("Yes, cancel"), CancelAnyway(job.id))
    keep = KeepWaiting(job.id) if is_apart else ShowJob(job.id)
    return Screen(text, ((yes, Button(speak.plain("Keep waiting"), keep)),))


def waiting_on_screen(language: str) -> Screen:
    """Return the answer to who keeps waiting."""
    return Screen(texts(language).html("All right, the picture will arrive here by itself."))


def _waiting(job: pb.Job, speak: Texts, *, headline: str, usual_s: float, longest: str) -> Screen:
    text = paragraphs(
        headline,
        quoted(prompt_of(job), PROMPT_LENGTH),
        _delay(speak, job.delay_reason) or usual_time(speak, usual_s),
        longest,
    )
    return Screen(text, ((Button(speak.plain("Cancel"), Cancel(job.id)),),))


def _running(
    speak: Texts, title: str, *, reason: pb.DelayReason.ValueType, is_picture: bool
) -> str:
    if not is_picture and reason == pb.DELAY_REASON_RESULT_DELAYED:
        return speak.html("✨ <b>{title} has finished.</b>", title=title)
    if not is_picture:
        return speak.html("✨ <b>{title} is at work…</b>", title=title)
    if reason == pb.DELAY_REASON_RESULT_DELAYED:
        return speak.html("🎨 <b>{title} has finished.</b>", title=title)
    return speak.html("🎨 <b>{title} is drawing…</b>", title=title)


def _queued(speak: Texts, position: int | None, *, reason: pb.DelayReason.ValueType) -> str:
    """Return the place in the queue; a job that waits for something else is never called next."""
    if reason == pb.DELAY_REASON_PROVIDER_UNCONFIRMED:
        return speak.html("⏳ <b>Waiting for the drawing service</b>")
    headline = speak.html("⏳ <b>In the queue</b>")
    if position is None or (position == 0 and reason != pb.DELAY_REASON_UNSPECIFIED):
        return headline
    if position == 0:
        return lines(headline, speak.html("You are next."))
    ahead = speak.count("{n} picture ahead of yours.", "{n} pictures ahead of yours.", position)
    return lines(headline, ahead)


def _longest_wait(speak: Texts, job: pb.Job, *, now: datetime) -> str:
    """Return until when it waits for what it waits for; nothing if that is not known, or over.

    A picture that is made is not worth cancelling, so that only of others is said that one can.
    """
    if not job.HasField("delay_until_time"):
        return ""
    until = job.delay_until_time.ToDatetime(tzinfo=UTC)
    left = (until - now).total_seconds()
    if left <= 0:
        return ""
    longest = speak.html(
        "At most {time} more, until {clock} UTC.", time=span(speak, left), clock=f"{until:%H:%M}"
    )
    if job.delay_reason == pb.DELAY_REASON_RESULT_DELAYED:
        return longest
    return " ".join((longest, speak.html("You can cancel in the meantime.")))


def _delay(speak: Texts, reason: pb.DelayReason.ValueType) -> str:
    match reason:
        case pb.DELAY_REASON_PROVIDER_UNREACHABLE:
            return speak.html(
                "The drawing service is not answering right now. "
                "I'll keep trying; there is nothing you need to do."
            )
        case pb.DELAY_REASON_PROVIDER_MAINTENANCE:
            return speak.html(
                "The drawing service is under maintenance. "
                "I will go on as soon as it is back; there is nothing you need to do."
            )
        case pb.DELAY_REASON_PROVIDER_ACCOUNT:
            return speak.html(
                "There is a problem on our side, and we already know about it. "
                "Your picture keeps its place in the queue."
            )
        case pb.DELAY_REASON_PROVIDER_BUSY:
            return speak.html("Many pictures are being drawn right now, so it takes longer.")
        case pb.DELAY_REASON_PROVIDER_UNCONFIRMED:
            return speak.html(
                "I am checking whether the drawing service has taken your picture, "
                "so that it is not drawn twice."
            )
        case pb.DELAY_REASON_RESULT_DELAYED:
            return speak.html(
                "Your picture is ready, but the drawing service has not handed it over yet. "
                "I'll keep trying; there is nothing you need to do."
            )
        case _:
            return ""
