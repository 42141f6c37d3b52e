"""Making jobs, from a draft or once more.

Everything a job is made from is fixed before: its request id, its message, its inputs. So doing it
again makes the same job.
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from google.protobuf.struct_pb2 import Struct

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.job_pb2 import JOB_STATE_QUEUED, Job
from edge_bot.draft import Stage, inputs_of, stage_of
from edge_bot.handler.follow import find_job, is_under_way, read_job, refresh
from edge_bot.handler.turn import Turn
from edge_bot.screen import notice
from edge_bot.screen.draft import draft_screen
from edge_bot.screen.layout import Screen
from edge_bot.screen.outcome import failure_buttons, prompt_of
from edge_bot.screen.progress import starting_screen
from edge_bot.service_error import is_passing
from edge_bot.session import Draft, Repetition
from generation_svc.client import GenerationError, translated

FRESH_S = 30.0
"""How long a press under the same message counts as the one that made the job, in seconds."""

_FOR_THE_USER = ("TOO_MANY_ACTIVE_JOBS", "MODEL_UNAVAILABLE")
"""The refusals that pass, but not so soon that the user should wait without a word."""

_WITHOUT_MODEL = ("MODEL_NOT_FOUND", "MODEL_UNAVAILABLE")
"""The refusals after which another model must be chosen."""

log = structlog.get_logger(__name__)


class JobRefused(Exception):
    """The service does not make this job, and trying again at once does not help."""

    def __init__(self, error: GenerationError) -> None:
        self.error = error
        super().__init__(str(error))

    @property
    def fields(self) -> frozenset[str]:
        """The inputs that are wrong."""
        return frozenset(each.field.removeprefix("inputs.") for each in self.error.violations)


class JobExists(Exception):
    """A job was made under this id before, of other content."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(job_id)


async def generate(turn: Turn, draft: Draft) -> None:
    """Make a job of a draft; the message it was confirmed on shows the progress from now on.

    The message says so before the job exists: later edits of it are the deliveries' alone.
    """
    model = turn.catalog.find(draft.model_id)
    if model is None or stage_of(draft, turn.catalog) is not Stage.CONFIRM:
        await turn.show(draft_screen(draft, turn.language, catalog=turn.catalog))
        return
    message_id = await turn.show(starting_screen(turn.language, prompt=draft.prompt))
    inputs = Struct()
    inputs.update(inputs_of(draft, model))
    request = pb.CreateJobRequest(request_id=draft.id, model_id=draft.model_id, inputs=inputs)
    try:
        job = await _make(turn, request, message_id=message_id)
    except JobExists as exists:
        job = await read_job(turn, exists.job_id)  # the one that was meant
    except JobRefused as refused:
        await _reconsider(turn, draft, refused)
        return
    made = draft.model_copy(update={"job_id": job.id, "message_id": message_id})
    await turn.save_as(turn.session.with_changed(made))
    await _catch_up(turn, job, message_id=message_id)


async def generate_again(turn: Turn, job: Job, *, message_id: int) -> None:
    """Make a new job from the inputs of one, with a progress message of its own.

    A button makes one job at a time. Telegram sends a press that was not answered once more, under
    another id, so that a press is known by its message and by what it made before. Who presses
    again much later did not see the progress message and is told.
    """
    key = f"{message_id}:{job.id}"
    number = await _next_number(turn, key)
    if number is None:
        return
    progress_id = await turn.reply(starting_screen(turn.language, prompt=prompt_of(job)))
    try:
        number, made = await _repeat(turn, job, key=key, number=number, message_id=progress_id)
    except JobRefused as refused:
        model = turn.catalog.find(job.model_id)
        why = notice.refusal(refused.error, turn.language, model=model)
        await turn.edit(Screen(why, failure_buttons(job, turn.language)), message_id=progress_id)
        return
    except JobExists:
        await turn.edit(Screen(notice.on_its_way(turn.language)), message_id=progress_id)
        return
    repetition = Repetition(number=number, job_id=made.id, origin=turn.event.origin)
    await turn.note(lambda session: session.with_repetition(key, repetition))
    await _catch_up(turn, made, message_id=progress_id)


async def _next_number(turn: Turn, key: str) -> int | None:
    """Return which repetition of its button this press is; None while the last one is under way."""
    last = turn.session.repetitions.get(key)
    if last is None:
        return 0
    if last.origin == turn.event.origin:
        return last.number
    job = await find_job(turn, last.job_id)
    if job is None or not is_under_way(job):
        return last.number + 1
    if _age_s(job, turn.context.clock.now()) > FRESH_S:
        await turn.reply(Screen(notice.on_its_way(turn.language)))
    return None


def _age_s(job: Job, now: datetime) -> float:
    return (now - job.create_time.ToDatetime(tzinfo=UTC)).total_seconds()


async def _repeat(
    turn: Turn, job: Job, *, key: str, number: int, message_id: int
) -> tuple[int, Job]:
    """Make the repetition with this number, or the next that nobody has made; return both.

    Raises JobExists if somebody else, at the same time, has made one that is under way.
    """
    while True:
        request = pb.CreateJobRequest(
            request_id=turn.id_of(f"again:{key}:{number}"), model_id=job.model_id, inputs=job.inputs
        )
        try:
            return number, await _make(turn, request, message_id=message_id)
        except JobExists as exists:
            if is_under_way(await read_job(turn, exists.job_id)):
                raise
        number += 1


async def _make(turn: Turn, request: pb.CreateJobRequest, *, message_id: int) -> Job:
    """Ask for a job; raises JobRefused, JobExists, or GenerationError if trying again may help."""
    request.owner = turn.owner
    request.telegram.CopyFrom(_destination(turn, message_id))
    try:
        with translated():
            return (await turn.context.client.generation.CreateJob(request)).job
    except GenerationError as error:
        if error.reason == "REQUEST_ID_REUSED":
            raise JobExists(error.metadata["job_id"]) from error
        if is_passing(error) and error.reason not in _FOR_THE_USER:
            raise
        log.warning("a job was refused", reason=error.reason, code=error.code.name)
        raise JobRefused(error) from error


def _destination(turn: Turn, message_id: int) -> TelegramDestination:
    return TelegramDestination(
        bot_id=turn.context.bot_id,
        chat_id=turn.event.chat_id,
        message_id=message_id,
        language_code=turn.language,
    )


async def _reconsider(turn: Turn, draft: Draft, refused: JobRefused) -> None:
    """Take the draft back to the step that was refused, and say why."""
    model = turn.catalog.find(draft.model_id)
    why = notice.refusal(refused.error, turn.language, model=model)
    if model is not None and model.picture_field in refused.fields:
        draft = draft.model_copy(update={"picture": ""})
    if "prompt" in refused.fields:
        draft = draft.model_copy(update={"is_changing_prompt": True})
    catalog = turn.catalog
    if refused.error.reason in _WITHOUT_MODEL:
        turn.context.catalog.expire()
        catalog = await turn.context.catalog.get()
        kind = draft.kind if catalog.has_kind(draft.kind) else 0
        draft = draft.model_copy(update={"model_id": "", "kind": kind})
    await turn.save(draft)
    await turn.show(draft_screen(draft, turn.language, catalog=catalog, notice=why))


async def _catch_up(turn: Turn, job: Job, *, message_id: int) -> None:
    """Show a job that has gone on, since its message was just set back to the start."""
    if job.state != JOB_STATE_QUEUED:
        await refresh(turn, job, message_id=message_id)
