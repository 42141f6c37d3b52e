"""Running tasks: make, wait as long as the model takes, settle the credits, tell the caller."""

import asyncio
import logging
import secrets
from typing import Any

import httpx2

from sandbox.kie.callback import CallbackSender
from sandbox.kie.commission import Commission
from sandbox.kie.entry import Entry
from sandbox.kie.fault import KieFault
from sandbox.kie.fetch import FetchError, fetch
from sandbox.kie.free import made_freely
from sandbox.kie.inputs import InputError, collect
from sandbox.kie.made import Made, Result, files
from sandbox.kie.model import MODELS
from sandbox.kie.picture import UnreadablePictureError
from sandbox.kie.publisher import Publisher
from sandbox.kie.state import Kie
from sandbox.kie.studio import NoSourceError, make
from sandbox.kie.task import FETCH_FAILED, INAPPROPRIATE, INTERNAL_ERROR, Failure, Task

STAGES = {"text": 1 / 3, "first": 2 / 3}
"""The stages of a song before its end, with the part of the time after which they are told."""
ENDLESS = (KieFault.WAITING_FOREVER, KieFault.TASK_LOST, KieFault.TASK_DEAD)
"""The faults with which a task never ends."""

_log = logging.getLogger(__name__)


class TaskRunner:
    """Owns the background work of every task until it is stopped."""

    def __init__(self, kie: Kie, *, client: httpx2.AsyncClient) -> None:
        self._kie = kie
        self.client = client
        """What files are fetched with and callbacks sent."""
        self._sender = CallbackSender(client=client, journal=kie.journal)
        self._jobs: set[asyncio.Task[None]] = set()

    def start(self, task: Task) -> asyncio.Task[None]:
        """Begin to run the task; the returned job ends after its last callback."""
        job = asyncio.create_task(self._run(task), name=f"kie task {task.id}")
        self._jobs.add(job)
        job.add_done_callback(self._finished)
        return job

    async def stop(self) -> None:
        """Cancel everything that is running."""
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    def _finished(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()):
            _log.error("%s failed", job.get_name(), exc_info=error)

    async def _run(self, task: Task) -> None:
        if any(task.fault(kind) for kind in ENDLESS):
            return
        made = await self._make(task)
        if isinstance(made, Failure):
            await _until(task, 1)
            self._kie.account(task.account).credits += task.credits
            task.fail(made)
        else:
            await self._succeed(task, made)
        if self._kie.settings.callbacks:
            await self._sender.report(task, self._kie.settings)

    async def _succeed(self, task: Task, made: Result) -> None:
        publisher = Publisher(self._kie, task)
        told = publisher.publish(made)
        if task.shape == "songs":
            await self._tell_stages(task, told)
        await _until(task, 1)
        if task.fault(KieFault.COST_LESS):
            task.credits /= 2
            self._kie.account(task.account).credits += task.credits
        task.succeed(told.get("resultUrls") or publisher.links, told=told)

    async def _tell_stages(self, task: Task, told: dict[str, Any]) -> None:
        """Tell of a song before its end, without waiting for the answers."""
        settings = self._kie.settings
        if not settings.callbacks or settings.song_callbacks != "staged":
            return
        for stage, share in STAGES.items():
            await _until(task, share)
            await self._sender.report_stage(task, stage, songs=told["data"], settings=settings)

    async def _make(self, task: Task) -> Result | Failure:
        if failure := _ordered_failure(task):
            return failure
        try:
            if planted := self._kie.planted.get(str(task.fields.get("prompt"))):
                return files(Made(content=planted, mime_type="image/png", ending="png"))
            if task.model in MODELS:
                source = await self._source(task)
                return await asyncio.to_thread(made_freely, task, source, self._kie.settings)
            entry = self._kie.catalog.find(task.model)
            return await self._commission(task, entry) if entry else INTERNAL_ERROR
        except (FetchError, UnreadablePictureError):
            return FETCH_FAILED
        except InputError as error:
            return error.failure
        except NoSourceError:
            return INTERNAL_ERROR

    async def _source(self, task: Task) -> bytes | None:
        url = task.fields.get("image_url")
        if "image_url" not in MODELS[task.model].required:
            return None
        return await fetch(str(url), files=self._kie.files, client=self.client)

    async def _commission(self, task: Task, entry: Entry) -> Result:
        given = await collect(entry, task.fields, kie=self._kie, client=self.client)
        fields = entry.filled(task.fields)
        seed = _seed_in(fields)
        asked = Commission(entry=entry, fields=fields, given=given, seed=seed)
        return await asyncio.to_thread(make, asked)


async def _until(task: Task, share: float) -> None:
    """Wait until a part of the time has passed that the task takes."""
    await asyncio.sleep(max(0.0, task.duration_s * share - task.age_s))


def _seed_in(fields: dict[str, Any]) -> int:
    """Return the seed that was given, or one of chance; 0 and below leave it to chance."""
    given = fields.get("seed", fields.get("seeds"))
    return given if isinstance(given, int) and given > 0 else secrets.randbits(31)


def _ordered_failure(task: Task) -> Failure | None:
    if task.fault(KieFault.CONTENT_REFUSED):
        return INAPPROPRIATE
    if failed := task.fault(KieFault.GENERATION_FAILED):
        code = INTERNAL_ERROR.code if failed.code is None else str(failed.code)
        return Failure(code, failed.message or INTERNAL_ERROR.message)
    return None
