"""Offers what earlier jobs made as an answer to a form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1 import model_pb2
from atelier.generation.v1.job_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_FAILED,
    JOB_STATE_SUCCEEDED,
    Job,
    JobState,
)
from atelier.generation.v1.media_pb2 import (
    MEDIA_KIND_AUDIO,
    MEDIA_KIND_IMAGE,
    MEDIA_KIND_VIDEO,
    Media,
)
from edge_bot.conversation.form import with_another
from edge_bot.conversation.form_answer import asked_for
from edge_bot.conversation.handler.follow import find_job
from edge_bot.conversation.handler.quote import quoted_screen
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.session import Draft
from edge_bot.view import notice
from edge_bot.view.button import AskField, ShowDraft, ShowResults, TakeResult
from edge_bot.view.input_form import Field, form_of
from edge_bot.view.kept_result import with_kept
from edge_bot.view.language import texts
from edge_bot.view.layout import LABEL_LENGTH, Button, Rows, Screen, page_of, shorten
from edge_bot.view.outcome import prompt_of
from edge_bot.view.too_large import kind_of

LATEST = 100
"""How many of the latest jobs that are over are looked at."""
_OVER = (JOB_STATE_SUCCEEDED, JOB_STATE_FAILED, JOB_STATE_CANCELLED)
_FILTER = " OR ".join(f"state = {JobState.Name(each)}" for each in _OVER)
_ICONS = {MEDIA_KIND_IMAGE: "🖼", MEDIA_KIND_VIDEO: "🎬", MEDIA_KIND_AUDIO: "🎵"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A thing that an earlier job made and that a field takes."""

    job: Job
    number: int
    """Which of the job's things it is, from 1; 0 means the job."""
    value: str
    """What it is called as an input."""
    media: Media | None = None


async def show_results(interaction: Interaction, draft: Draft, *, page: int) -> None:
    """Offer the earlier results that fit what the form asks for."""
    model = interaction.catalog.find(draft.model_id)
    asked = asked_for(draft, model) if model is not None else None
    if asked is None:
        await interaction.show(await quoted_screen(interaction, draft))
        return
    request = pb.ListJobsRequest(owner=interaction.owner, page_size=LATEST, filter=_FILTER)
    jobs = (await interaction.context.client.generation.ListJobs(request)).jobs
    now = interaction.context.clock.now()
    found = [each for job in jobs for each in candidates(job, asked[1], now=now)]
    await interaction.show(_results_screen(interaction, draft, found, page=page))


async def take_result(interaction: Interaction, draft: Draft, chosen: TakeResult) -> None:
    """Answer the form with a thing that an earlier job made."""
    model = interaction.catalog.find(draft.model_id)
    job = await find_job(interaction, chosen.job_id)
    taken = None
    if model is not None and job is not None:
        taken = with_replied(interaction, draft, job=job, model=model, number=chosen.number)
    if taken is None:
        why = notice.result_unfit(interaction.language)
        await interaction.show(await quoted_screen(interaction, draft, why=why))
        return
    await interaction.save(taken)
    await interaction.show(await quoted_screen(interaction, taken))


def with_replied(
    interaction: Interaction,
    draft: Draft,
    *,
    job: Job,
    model: model_pb2.Model,
    number: int | None = None,
) -> Draft | None:
    """Return the draft with what a job made; None if the form asks for no such thing.

    Without a number it is the first thing that fits.
    """
    asked = asked_for(draft, model)
    if asked is None:
        return None
    place, field = asked
    found = candidates(job, field, now=interaction.context.clock.now())
    chosen = next((each for each in found if number in (None, each.number)), None)
    if chosen is None:
        return None
    return with_another(draft, place, chosen.value, form=form_of(model))


def candidates(job: Job, field: Field, *, now: datetime) -> Iterator[Candidate]:
    """Yield what a job made and a field takes; media also of what was finished after all."""
    if field.media is not None:
        made = with_kept(job)
        for number, media in enumerate(made.result.media, start=1):
            if _is_taken(media, field.media, now=now):
                yield Candidate(made, number, f"media:{media.id}", media)
    elif field.reference is not None and job.state == JOB_STATE_SUCCEEDED:
        yield from _references(job, field.reference)


def first_picture(job: Job) -> Media | None:
    """Return the first picture that a job made."""
    made = with_kept(job).result.media
    pictures = [each for each in made if kind_of(each) == MEDIA_KIND_IMAGE]
    return next(iter(pictures), None)


def _references(job: Job, reference: model_pb2.ReferenceInput) -> Iterator[Candidate]:
    if reference.model_ids and job.model_id not in reference.model_ids:
        return
    if reference.part == model_pb2.REFERENCE_PART_TASK:
        yield Candidate(job, 0, f"job:{job.id}")
        return
    if reference.part != model_pb2.REFERENCE_PART_AUDIO:
        yield Candidate(job, 1, f"job:{job.id}/1")
        return
    songs = [each for each in job.result.media if kind_of(each) == MEDIA_KIND_AUDIO]
    for place, media in enumerate(songs, start=1):
        number = media.item_number or place
        yield Candidate(job, number, f"job:{job.id}/{number}", media)


def _is_taken(media: Media, wanted: model_pb2.MediaInput, *, now: datetime) -> bool:
    if kind_of(media) != wanted.kind or media.size_bytes > wanted.max_size_bytes > 0:
        return False
    if media.HasField("expire_time") and media.expire_time.ToDatetime(tzinfo=UTC) <= now:
        return False
    return not wanted.mime_types or media.mime_type in wanted.mime_types


def _results_screen(
    interaction: Interaction, draft: Draft, found: list[Candidate], *, page: int
) -> Screen:
    speak = texts(interaction.language)
    back = (Button(speak.plain("← Back"), ShowDraft(draft.tag)),)
    if draft.at:
        back = (Button(speak.plain("← Back"), _again(draft)),)
    if not found:
        text = speak.html("<b>My results</b>\n\nThere is nothing yet that would fit here.")
        return Screen(text, (back,))
    shown, turn = page_of(speak, found, page=page, to=lambda to: ShowResults(draft.tag, to))
    rows: Rows = tuple(
        (
            Button(
                shorten(_label(interaction, each), LABEL_LENGTH),
                TakeResult(draft.tag, each.job.id, each.number),
            ),
        )
        for each in shown
    )
    text = speak.html("<b>My results</b>\n\nThe latest first. Press the one to go on with.")
    return Screen(text, (*rows, *turn, back))


def _again(draft: Draft) -> AskField:
    return AskField(draft.tag, draft.at)


def _label(interaction: Interaction, one: Candidate) -> str:
    title = one.media.title if one.media is not None else ""
    model = interaction.catalog.title(one.job.model_id, interaction.language)
    words = title or prompt_of(one.job) or model
    icon = _ICONS.get(kind_of(one.media), "📄") if one.media is not None else "📄"
    several = len(one.job.result.media) > 1 and one.number
    return f"{icon} {words}" + (f" · {one.number}" if several else "")
