"""Running tasks: draw, wait as long as the model takes, settle the credits, tell the caller."""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from typing import Any

import httpx2
from PIL import Image

from sandbox.kie.callback import CallbackSender
from sandbox.kie.clip import SONG_SECONDS, Made, song, video
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
COVER_SIZE = (256, 256)
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
            urls = [self._publish(each, task) for each in made]
            task.succeed([*urls, *self._extra(task)], tracks=self._tracks(task, urls))
        if self._kie.settings.callbacks:
            await self._sender.report(task, self._kie.settings)

    async def _make(self, task: Task) -> list[Made] | Failure:
        if failure := _ordered_failure(task):
            return failure
        try:
            source = await self._source(task)
            return await asyncio.to_thread(self._made, task, source)
        except (FetchError, UnreadablePictureError):
            return FETCH_FAILED

    async def _source(self, task: Task) -> bytes | None:
        url = task.fields.get("image_url")
        if "image_url" not in MODELS[task.model].required:
            return None
        return await fetch(str(url), files=self._kie.files, client=self.client)

    def _made(self, task: Task, source: bytes | None) -> list[Made]:
        settings, prompt = self._kie.settings, str(task.fields.get("prompt", ""))
        seeds = _seeds(task)
        if settings.result_kind == "picture":
            return _draw(task, source, seeds=seeds)
        if settings.result_kind == "video":
            padding = settings.video_padding_mb << 20
            return [video(prompt, seed=seed, padding=padding) for seed in seeds]
        return [song(prompt, seed=seed) for seed in seeds]

    def _tracks(self, task: Task, urls: list[str]) -> list[dict[str, Any]]:
        """Return what is said of songs; each has a cover of its own."""
        if self._kie.settings.result_kind != "song":
            return []
        prompt = str(task.fields.get("prompt", ""))
        return [
            {
                "id": secrets.token_hex(16),
                "audio_url": url,
                "image_url": self._publish(_cover(prompt, seed=number), task),
                "title": prompt[:80].title(),
                "duration": float(SONG_SECONDS),
            }
            for number, url in enumerate(urls)
        ]

    def _publish(self, made: Made, task: Task) -> str:
        slow, bad = task.fault(KieFault.SLOW_DOWNLOAD), task.fault(KieFault.BAD_RESULT)
        bad_fresh = task.fault(KieFault.BAD_FRESH_LINK)
        file = File(
            content=made.content,
            padding=made.padding,
            mime_type=made.mime_type,
            ttl_s=self._kie.settings.result_ttl_s,
            is_result=True,
            is_dead=task.fault(KieFault.DEAD_RESULT_LINK) is not None,
            slow_s=0 if slow is None else (SLOW_S if slow.seconds is None else slow.seconds),
            trouble=(bad.variant or "empty") if bad else "",
            trouble_s=bad.seconds if bad else None,
            bad_fresh=(bad_fresh.variant or "refused") if bad_fresh else "",
        )
        return self._kie.files.put(f"s/{secrets.token_hex(8)}.{made.ending}", file)

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


def _seeds(task: Task) -> list[int]:
    """Return a seed for each result: the same again for the same seed, else others."""
    model = MODELS[task.model]
    first = model.known(task.fields).get("seed", secrets.randbits(31))
    return [first + number for number in range(model.count_of(task.fields))]


def _draw(task: Task, source: bytes | None, *, seeds: list[int]) -> list[Made]:
    model, file_format = MODELS[task.model], _format_of(task)
    fields = model.known(task.fields) | {"size": model.size_of(task.fields)}
    return [_picture(_draw_one(fields, source, seed=seed), file_format) for seed in seeds]


def _picture(picture: Image.Image, file_format: str) -> Made:
    content = encode_picture(picture, file_format)
    return Made(content=content, mime_type=f"image/{file_format}", ending=file_format)


def _cover(prompt: str, *, seed: int) -> Made:
    return _picture(paint(prompt, size=COVER_SIZE, seed=seed), "jpeg")


def _draw_one(fields: Mapping[str, Any], source: bytes | None, *, seed: int) -> Image.Image:
    prompt, size = fields.get("prompt", ""), fields["size"]
    if source is None:
        return paint(prompt, size=size, seed=seed)
    strength = fields.get("strength", DEFAULT_STRENGTH)
    return repaint(source, prompt, size=size, strength=strength, seed=seed)


def _format_of(task: Task) -> str:
    return str(MODELS[task.model].known(task.fields).get("output_format", "png"))
