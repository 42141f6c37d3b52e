"""Making jobs, from a draft or once more.

Everything a job is made from is fixed before: its request id, its message, its inputs. So doing it
again makes the same job.
"""

from __future__ import annotations

import structlog
from google.protobuf.struct_pb2 import Struct

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.job_pb2 import JOB_STATE_QUEUED, Job
from edge_bot.draft import Stage, inputs_of, stage_of
from edge_bot.handler.follow import read_job, refresh
from edge_bot.handler.turn import Turn
from edge_bot.screen import notice
from edge_bot.screen.draft import draft_screen
from edge_bot.screen.layout import Screen
from edge_bot.screen.outcome import failure_buttons, prompt_of
from edge_bot.screen.progress import starting_screen
from edge_bot.service_error import is_passing
from edge_bot.session import Draft
from generation_svc.client import GenerationError, translated

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


_FOR_THE_USER = ("TOO_MANY_ACTIVE_JOBS", "MODEL_UNAVAILABLE")
"""The refusals that pass, but not so soon that the user should wait without a word."""
_WITHOUT_MODEL = ("MODEL_NOT_FOUND", "MODEL_UNAVAILABLE")
"""The refusals after which another model must be chosen."""


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
    except JobRefused as refused:
        await _reconsider(turn, draft, refused)
        return
    await turn.save(draft.model_copy(update={"job_id": job.id}))
    await _catch_up(turn, job, message_id=message_id)


async def generate_again(turn: Turn, job: Job) -> None:
    """Make a new job from the inputs of one, with a progress message of its own."""
    message_id = await turn.reply(starting_screen(turn.language, prompt=prompt_of(job)))
    request = pb.CreateJobRequest(request_id=turn.new_id, model_id=job.model_id, inputs=job.inputs)
    try:
        made = await _make(turn, request, message_id=message_id)
    except JobRefused as refused:
        model = turn.catalog.find(job.model_id)
        why = notice.refusal(refused.error, turn.language, model=model)
        await turn.edit(Screen(why, failure_buttons(job, turn.language)), message_id=message_id)
        return
    await _catch_up(turn, made, message_id=message_id)


async def _make(turn: Turn, request: pb.CreateJobRequest, *, message_id: int) -> Job:
    """Ask for a job; raises JobRefused, and GenerationError if trying again may help.

    What was already made under this id, be it from other content, is the job that was meant.
    """
    request.owner = turn.owner
    request.telegram.CopyFrom(_destination(turn, message_id))
    try:
        with translated():
            return (await turn.context.client.generation.CreateJob(request)).job
    except GenerationError as error:
        if error.reason == "REQUEST_ID_REUSED":
            return await read_job(turn, error.metadata["job_id"])
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
        kind = draft.kind if catalog.of_kind(draft.kind) else 0
        draft = draft.model_copy(update={"model_id": "", "kind": kind})
    await turn.save(draft)
    await turn.show(draft_screen(draft, turn.language, catalog=catalog, notice=why))


async def _catch_up(turn: Turn, job: Job, *, message_id: int) -> None:
    """Show a job that has gone on, since its message was just set back to the start."""
    if job.state != JOB_STATE_QUEUED:
        await refresh(turn, job, message_id=message_id)
