"""Running tasks: draw, wait as long as the model takes, settle the credits, tell the caller."""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from typing import Any

import httpx2
from PIL import Image

from sandbox.kie.callback import CallbackSender
from sandbox.kie.download import FOREIGN_LINK
from sandbox.kie.fault import KieFault
from sandbox.kie.fetch import FetchError, fetch
from sandbox.kie.file import File
from sandbox.kie.model import MODELS
from sandbox.kie.picture import UnreadablePictureError, encode_picture, paint, repaint
from sandbox.kie.state import Kie
from sandbox.kie.task import FETCH_FAILED, INAPPROPRIATE, INTERNAL_ERROR, Failure, Task

SLOW_S = 5.0
DEFAULT_STRENGTH = 0.8
ENDLESS = (KieFault.WAITING_FOREVER, KieFault.TASK_LOST, KieFault.TASK_DEAD)
"""The faults with which a task never ends."""

_log = logging.getLogger(__name__)


class TaskRunner:
    """Owns the background work of every task until it is stopped."""

    def __init__(self, kie: Kie, *, client: httpx2.AsyncClient) -> None:
        self._kie = kie
        self.client = client
        """What pictures are fetched with and callbacks sent."""
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
        made, _ = await asyncio.gather(self._make(task), asyncio.sleep(task.duration_s))
        if isinstance(made, Failure):
            self._kie.account(task.account).credits += task.credits
            task.fail(made)
        else:
            urls = [self._publish(content, task) for content in made]
            task.succeed([*urls, *self._extra(task)])
        if self._kie.settings.callbacks:
            await self._sender.report(task, self._kie.settings)

    async def _make(self, task: Task) -> list[bytes] | Failure:
        if failure := _ordered_failure(task):
            return failure
        try:
            source = await self._source(task)
            return await asyncio.to_thread(_draw, task, source)
        except (FetchError, UnreadablePictureError):
            return FETCH_FAILED

    async def _source(self, task: Task) -> bytes | None:
        url = task.fields.get("image_url")
        if "image_url" not in MODELS[task.model].required:
            return None
        return await fetch(str(url), files=self._kie.files, client=self.client)

    def _publish(self, content: bytes, task: Task) -> str:
        slow, bad = task.fault(KieFault.SLOW_DOWNLOAD), task.fault(KieFault.BAD_RESULT)
        bad_fresh = task.fault(KieFault.BAD_FRESH_LINK)
        file_format = _format_of(task)
        file = File(
            content=content,
            mime_type=f"image/{file_format}",
            ttl_s=self._kie.settings.result_ttl_s,
            is_result=True,
            is_dead=task.fault(KieFault.DEAD_RESULT_LINK) is not None,
            slow_s=0 if slow is None else (SLOW_S if slow.seconds is None else slow.seconds),
            trouble=(bad.variant or "empty") if bad else "",
            trouble_s=bad.seconds if bad else None,
            bad_fresh=(bad_fresh.variant or "refused") if bad_fresh else "",
        )
        return self._kie.files.put(f"s/{secrets.token_hex(8)}.{file_format}", file)

    def _extra(self, task: Task) -> list[str]:
        extra = task.fault(KieFault.EXTRA_LINK)
        if extra is None:
            return []
        if extra.variant == "foreign":
            return [FOREIGN_LINK]
        return [f"{self._kie.settings.base_url.rstrip('/')}/s/{secrets.token_hex(8)}.png"]


def _ordered_failure(task: Task) -> Failure | None:
    if task.fault(KieFault.CONTENT_REFUSED):
        return INAPPROPRIATE
    if failed := task.fault(KieFault.GENERATION_FAILED):
        code = INTERNAL_ERROR.code if failed.code is None else str(failed.code)
        return Failure(code, failed.message or INTERNAL_ERROR.message)
    return None


def _draw(task: Task, source: bytes | None) -> list[bytes]:
    """Draw the pictures: the same ones again for the same seed, others where none is given."""
    model = MODELS[task.model]
    fields = model.known(task.fields) | {"size": model.size_of(task.fields)}
    first = fields.get("seed", secrets.randbits(31))
    seeds = (first + number for number in range(model.count_of(task.fields)))
    pictures = (_draw_one(fields, source, seed=seed) for seed in seeds)
    return [encode_picture(picture, _format_of(task)) for picture in pictures]


def _draw_one(fields: Mapping[str, Any], source: bytes | None, *, seed: int) -> Image.Image:
    prompt, size = fields.get("prompt", ""), fields["size"]
    if source is None:
        return paint(prompt, size=size, seed=seed)
    strength = fields.get("strength", DEFAULT_STRENGTH)
    return repaint(source, prompt, size=size, strength=strength, seed=seed)


def _format_of(task: Task) -> str:
    return str(MODELS[task.model].known(task.fields).get("output_format", "png"))
