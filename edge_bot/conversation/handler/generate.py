"""Creates jobs, from a draft or by repeating one.

Everything a job is made from is fixed before: its request id, its message, its inputs. So doing it
again makes the same job.
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from google.protobuf.struct_pb2 import Struct

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.consent_pb2 import CONSENT_KIND_FACE, CONSENT_KIND_VOICE
from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.job_pb2 import JOB_STATE_QUEUED, Job
from edge_bot.conversation.draft import Stage, inputs_of, stage_of, words_of
from edge_bot.conversation.form_screen import consent_screen
from edge_bot.conversation.form_start import fills_form
from edge_bot.conversation.handler.follow import find_job, is_under_way, read_job, refresh
from edge_bot.conversation.handler.quote import asking_again, quoted_screen
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.session import Draft, Repetition
from edge_bot.service_error import is_out_of_room, is_passing
from edge_bot.view import notice, payment_notice
from edge_bot.view.charge_text import credits_of
from edge_bot.view.layout import Rows, Screen
from edge_bot.view.media_input import input_of, picture_input
from edge_bot.view.outcome import change_button, failure_buttons, prompt_of
from edge_bot.view.progress import starting_screen
from edge_bot.view.top_up import missing_rows
from generation_client import GenerationError, translated

FRESH_S = 30.0
"""How long a press under the same message counts as the one that made the job, in seconds."""

_FOR_THE_USER = (
    "TOO_MANY_ACTIVE_JOBS",
    "MODEL_UNAVAILABLE",
    "DAILY_CAP_REACHED",
    "FREE_ALLOWANCE_USED",
    "PROVIDER_BALANCE_LOW",
)
"""The refusals that pass, but not so soon that the user should wait without a word."""

_WITHOUT_MODEL = ("MODEL_NOT_FOUND", "MODEL_UNAVAILABLE")
"""The refusals after which another model must be chosen."""

CONSENT_KINDS = {"voice": CONSENT_KIND_VOICE, "face": CONSENT_KIND_FACE}
"""What of a person a refusal (CONSENT_REQUIRED) is about."""

log = structlog.get_logger(__name__)


class JobRefused(Exception):
    """The service does not make this job, and trying again at once does not help."""

    def __init__(self, error: GenerationError) -> None:
        self.error = error
        super().__init__(str(error))

    @property
    def fields(self) -> frozenset[str]:
        """The inputs that are wrong."""
        return frozenset(input_of(each.field) for each in self.error.violations)


class JobExists(Exception):
    """A job was made under this id before, of other content."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(job_id)


async def generate(
    interaction: Interaction, draft: Draft, *, agreed_credits: int | None = None
) -> None:
    """Make a job of a draft; the message it was confirmed on shows the progress from now on.

    The message says so before the job exists: later edits of it are the deliveries' alone.
    """
    model = interaction.catalog.find(draft.model_id)
    if model is None or stage_of(draft, interaction.catalog) is not Stage.CONFIRM:
        await interaction.show(await quoted_screen(interaction, draft))
        return
    prompt = words_of(draft, model)
    message_id = await interaction.show(starting_screen(interaction.language, prompt=prompt))
    inputs = Struct()
    inputs.update(inputs_of(draft, model))
    request = pb.CreateJobRequest(
        request_id=draft.id,
        model_id=draft.model_id,
        inputs=inputs,
        agreed_credits=agreed_credits,
    )
    try:
        job = await _make(interaction, request, message_id=message_id)
    except JobExists as exists:
        job = await read_job(interaction, exists.job_id)  # the one that was meant
    except JobRefused as refused:
        await _reconsider(interaction, draft, refused)
        return
    made = draft.model_copy(update={"job_id": job.id, "message_id": message_id})
    await interaction.save_as(interaction.session.with_changed(made))
    await _catch_up(interaction, job, message_id=message_id)


async def generate_again(interaction: Interaction, job: Job, *, message_id: int) -> None:
    """Make a new job from the inputs of one, with a progress message of its own.

    A button makes one job at a time. Telegram sends a press that was not answered once more, under
    another id, so that a press is known by its message and by what it made before. Who presses
    again much later did not see the progress message and is told.
    """
    key = f"{message_id}:{job.id}"
    number = await _next_number(interaction, key)
    if number is None:
        return
    progress_id = await interaction.reply(
        starting_screen(interaction.language, prompt=prompt_of(job))
    )
    try:
        number, made = await _repeat(
            interaction, job, key=key, number=number, message_id=progress_id
        )
    except JobRefused as refused:
        await interaction.open(job.model_id)
        screen = await _not_repeated_screen(interaction, job, refused=refused)
        await interaction.edit(screen, message_id=progress_id)
        return
    except JobExists:
        await interaction.edit(
            Screen(notice.on_its_way(interaction.language)), message_id=progress_id
        )
        return
    repetition = Repetition(number=number, job_id=made.id, origin=interaction.event.origin)
    await interaction.note(lambda session: session.with_repetition(key, repetition))
    await _catch_up(interaction, made, message_id=progress_id)


async def _next_number(interaction: Interaction, key: str) -> int | None:
    """Return which repetition of its button this press is; None while the last one is under way."""
    last = interaction.session.repetitions.get(key)
    if last is None:
        return 0
    if last.origin == interaction.event.origin:
        return last.number
    job = await find_job(interaction, last.job_id)
    if job is None or not is_under_way(job):
        return last.number + 1
    if _age_s(job, interaction.context.clock.now()) > FRESH_S:
        await interaction.reply(Screen(notice.on_its_way(interaction.language)))
    return None


def _age_s(job: Job, now: datetime) -> float:
    return (now - job.create_time.ToDatetime(tzinfo=UTC)).total_seconds()


async def _repeat(
    interaction: Interaction, job: Job, *, key: str, number: int, message_id: int
) -> tuple[int, Job]:
    """Make the repetition with this number, or with the next free one; return both.

    Raises JobExists if a concurrent press has made one that is under way.
    """
    packs = await interaction.context.packs.get()
    # A button under a result names no price: agreed to is the one that was paid for it.
    agreed = credits_of(job.price) if packs.is_on else None
    while True:
        request = pb.CreateJobRequest(
            request_id=interaction.id_of(f"again:{key}:{number}"),
            model_id=job.model_id,
            inputs=job.inputs,
            agreed_credits=agreed,
        )
        try:
            return number, await _make(interaction, request, message_id=message_id)
        except JobExists as exists:
            if is_under_way(await read_job(interaction, exists.job_id)):
                raise
        except JobRefused as refused:
            if refused.error.reason != "JOB_EXPIRED":  # it was made so long ago that it is gone
                raise
        number += 1


async def _make(interaction: Interaction, request: pb.CreateJobRequest, *, message_id: int) -> Job:
    """Ask for a job; raises JobRefused, JobExists, or GenerationError if trying again may help."""
    request.owner = interaction.owner
    request.telegram.CopyFrom(_destination(interaction, message_id))
    try:
        with translated():
            return (await interaction.context.client.generation.CreateJob(request)).job
    except GenerationError as error:
        if error.reason == "REQUEST_ID_REUSED":
            raise JobExists(error.metadata["job_id"]) from error
        is_told = error.reason in _FOR_THE_USER or is_out_of_room(error)
        if is_passing(error) and not is_told:
            raise
        log.warning("a job was refused", reason=error.reason, code=error.code.name)
        raise JobRefused(error) from error


def _destination(interaction: Interaction, message_id: int) -> TelegramDestination:
    return TelegramDestination(
        bot_id=interaction.context.bot_id,
        chat_id=interaction.event.chat_id,
        message_id=message_id,
        language_code=interaction.language,
    )


async def _reconsider(interaction: Interaction, draft: Draft, refused: JobRefused) -> None:
    """Take the draft back to the step that was refused, and say why."""
    model = interaction.catalog.find(draft.model_id)
    why = notice.refusal(refused.error, interaction.language, model=model)
    if refused.error.reason == "INSUFFICIENT_CREDITS":  # the review says what is missing
        why = payment_notice.not_begun(interaction.language)
    if refused.error.reason == "PRICE_CHANGED":
        why = payment_notice.price_asked_again(why, interaction.language)
    if model is not None and fills_form(draft, model):
        draft = asking_again(draft, refused.error, model=model)
    elif model is not None and picture_input(model) in refused.fields:
        draft = draft.model_copy(update={"picture": ""})
    if "prompt" in refused.fields:
        draft = draft.model_copy(update={"is_changing_prompt": True})
    if refused.error.reason == "JOB_EXPIRED":  # what was made of it is gone, so it is begun anew
        draft = draft.model_copy(update={"id": interaction.new_id})
    catalog = interaction.catalog
    if refused.error.reason in _WITHOUT_MODEL:
        interaction.context.catalog.expire()
        catalog = await interaction.context.catalog.get()
        kind = draft.kind if catalog.has_kind(draft.kind) else 0
        draft = draft.model_copy(update={"model_id": "", "kind": kind})
    await interaction.save(draft)
    interaction.catalog = catalog
    await interaction.show(await _refused_screen(interaction, draft, refused, why=why))


async def _refused_screen(
    interaction: Interaction, draft: Draft, refused: JobRefused, *, why: str
) -> Screen:
    model = interaction.catalog.find(draft.model_id)
    if model is not None and refused.error.reason == "CONSENT_REQUIRED":
        kind = CONSENT_KINDS.get(refused.error.metadata.get("kind", ""), model.consent)
        return consent_screen(draft, interaction.language, model=model, kind=kind)
    return await quoted_screen(interaction, draft, why=why)


async def _not_repeated_screen(
    interaction: Interaction, job: Job, *, refused: JobRefused
) -> Screen:
    """Return why a job is not made again, and what can be done about it."""
    language, rows = interaction.language, failure_buttons(job, interaction.language)
    model = interaction.catalog.find(job.model_id)
    why = notice.refusal(refused.error, language, model=model)
    if refused.error.reason == "PRICE_CHANGED":  # trying again would ask for the old one
        rows = ((change_button(job, language),),)
        why = payment_notice.price_to_be_seen(why, language)
    return Screen(why, (*await _offer(interaction, refused), *rows))


async def _offer(interaction: Interaction, refused: JobRefused) -> Rows:
    """Return the buttons to buy what is missing for a job, if it is that."""
    if refused.error.reason != "INSUFFICIENT_CREDITS":
        return ()
    packs = await interaction.context.packs.get()
    missing = int(refused.error.metadata.get("missing", "1"))
    return missing_rows(missing, interaction.language, packs=packs)


async def _catch_up(interaction: Interaction, job: Job, *, message_id: int) -> None:
    """Show a job that has gone on, since its message was just set back to the start."""
    if job.state != JOB_STATE_QUEUED:
        await refresh(interaction, job, message_id=message_id)
