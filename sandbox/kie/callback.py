"""Telling the caller that a task ended, once or as the task's faults say (kie-api.md §3)."""

import asyncio
import base64
import hmac
import time
from typing import NamedTuple

import httpx2

from sandbox.kie.answer import FAILED, Body, callback, foreign_callback, song_callback, song_failure
from sandbox.kie.encoding import encode
from sandbox.kie.fault import KieFault
from sandbox.kie.journal import Journal, SentCallback
from sandbox.kie.settings import KieSettings
from sandbox.kie.task import Task

FORGED_LINK = "https://forged.example/picture.png"
FORGED_TOKEN = "forged"
LATE_S = 5.0


class Post(NamedTuple):
    """One POST to make: what kind of news, where, what."""

    kind: str
    url: str
    body: bytes


class CallbackSender:
    """Sends callbacks over one client and keeps a journal of them."""

    def __init__(self, *, client: httpx2.AsyncClient, journal: Journal) -> None:
        self._client = client
        self._journal = journal

    async def report(self, task: Task, settings: KieSettings) -> None:
        """Send the callbacks for the end of a task; return when all of them are sent."""
        if late := task.fault(KieFault.CALLBACK_LATE):
            await asyncio.sleep(LATE_S if late.seconds is None else late.seconds)
        is_staged = settings.song_callbacks == "staged" and task.shape == "songs"
        for post in posts(task, is_staged=is_staged):
            await self._deliver(post, task=task, settings=settings)

    async def report_stage(
        self, task: Task, stage: str, *, songs: list[Body], settings: KieSettings
    ) -> None:
        """Send once what is known of songs that are not finished."""
        if task.callback_url and not task.fault(KieFault.NO_CALLBACK):
            body = song_callback(task, stage, songs)
            post = Post(stage, task.callback_url, encode(body).encode())
            await self._send(post, task=task, settings=settings)

    async def _deliver(self, post: Post, *, task: Task, settings: KieSettings) -> None:
        """Send until a 200 comes, at most `callback_retries` times more."""
        for attempt in range(1 + settings.callback_retries):
            if attempt:
                await asyncio.sleep(settings.callback_retry_delay_s)
            if await self._send(post, task=task, settings=settings) == 200:
                return

    async def _send(self, post: Post, *, task: Task, settings: KieSettings) -> int | None:
        signature = {} if post.kind == "forged" else signed(task.id, settings.hmac_key)
        headers = {"content-type": "application/json; charset=utf-8", **signature}
        status = await self._post(post, headers=headers, timeout_s=settings.callback_timeout_s)
        self._journal.sent(SentCallback(task.id, post.kind, post.url, status))
        return status

    async def _post(self, post: Post, *, headers: dict[str, str], timeout_s: float) -> int | None:
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._client.stream("POST", post.url, content=post.body, headers=headers) as answer,
            ):
                return answer.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError):
            return None


def callback_client() -> httpx2.AsyncClient:
    """Return a client that looks like KIE's."""
    headers = {"user-agent": "okhttp/3.14.9", "accept-encoding": "gzip"}
    client = httpx2.AsyncClient(headers=headers, timeout=None, trust_env=False)
    del client.headers["accept"]
    return client


def signed(task_id: str, key: str) -> dict[str, str]:
    """Return the headers that prove, with the key, that KIE spoke of the task now."""
    if not key:
        return {}
    timestamp = str(int(time.time()))
    return {
        "X-Webhook-Timestamp": timestamp,
        "X-Webhook-Signature": signature_of(task_id, timestamp, key=key),
    }


def signature_of(task_id: str, timestamp: str, *, key: str) -> str:
    """Return `base64(HMAC-SHA256(key, taskId + "." + timestamp))`."""
    digest = hmac.digest(key.encode(), f"{task_id}.{timestamp}".encode(), "sha256")
    return base64.b64encode(digest).decode()


def posts(task: Task, *, is_staged: bool = False) -> list[Post]:
    """Return the POSTs that tell of the task's end, in their order."""
    if task.callback_url is None or task.fault(KieFault.NO_CALLBACK):
        return []
    news = _news(task, task.callback_url, is_staged=is_staged)
    told = [news] * (2 if task.fault(KieFault.CALLBACK_TWICE) else 1)
    return [*_forged(task, task.callback_url), *told]


def _news(task: Task, url: str, *, is_staged: bool) -> Post:
    if broken := task.fault(KieFault.CALLBACK_MALFORMED):
        return Post("malformed", url, _malformed(task, broken.variant or "truncated"))
    if family := task.fault(KieFault.CALLBACK_WRONG_FAMILY):
        body = foreign_callback(task, family.variant or "runway")
        return Post("wrong_family", url, encode(body).encode())
    body = _end_of_songs(task) if is_staged else callback(task)
    return Post("true", url, encode(body).encode())


def _end_of_songs(task: Task) -> Body:
    return (
        song_failure(task) if task.failure else song_callback(task, "complete", task.told["data"])
    )


def _malformed(task: Task, variant: str) -> bytes:
    whole = encode(callback(task)).encode()
    forms = {"empty": b"", "array": b"[" + whole + b"]", "binary": b"\xff\xfe\x00\x80"}
    return forms.get(variant, whole[: len(whole) // 2])


def _forged(task: Task, url: str) -> list[Post]:
    forged = task.fault(KieFault.CALLBACK_FORGED)
    if forged is None:
        return []
    wrong = httpx2.URL(url).join(FORGED_TOKEN)
    body = _forged_failure(task) if forged.variant == "fail" else _forged_success(task)
    return [Post("forged", str(wrong), encode(body).encode())]


def _forged_success(task: Task) -> Body:
    links = encode({"resultUrls": [FORGED_LINK]})
    body = callback(task)
    return {**body, "code": 200, "data": {**body["data"], "state": "success", "resultJson": links}}


def _forged_failure(task: Task) -> Body:
    data = {"taskId": task.id, "model": task.model, "state": "fail", "failCode": "500"}
    return {"code": 501, "data": data, "msg": FAILED}
