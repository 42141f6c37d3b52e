"""A KIE that takes a task in no time, ends it after DURATION_S, and serves one picture of 2 kB.

`python -m tests.bench.bare.kie` with LISTEN. PUT /duration?s=0.3 changes how long tasks take, and
PUT /end ends those under way; PUT /video?mb=10 has it serve videos of that size; GET /posted
returns when the callback of each task began to be posted, by prompt.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from io import BytesIO
from typing import Any

import httpx2
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sandbox.kie.clip import video

TIMEOUT_S = 120
"""Callbacks may wait for each other, and for a gateway that is busy."""
PIECE = bytes(2**18)
SIDE = 26
"""The side of the picture: noise of this size has 2 kB as a PNG."""


class _Kie:
    def __init__(self, listen: str) -> None:
        self._listen = listen
        self._duration_s = float(os.environ.get("DURATION_S", "0"))
        self._client = httpx2.AsyncClient(trust_env=False, verify=False, timeout=TIMEOUT_S)
        self._ids = itertools.count(1)
        self._running: set[asyncio.Task[None]] = set()
        self._ended: dict[str, dict[str, Any]] = {}
        self._posted: dict[str, float] = {}
        self._picture = _picture()
        self._video_mb = 0
        self._end_all = asyncio.Event()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/v1/jobs/createTask", self.create, methods=["POST"]),
                Route("/api/v1/jobs/recordInfo", self.read),
                Route("/api/v1/chat/credit", self.credit),
                Route("/duration", self.set_duration, methods=["PUT"]),
                Route("/end", self.end_all, methods=["PUT"]),
                Route("/video", self.set_video, methods=["PUT"]),
                Route("/posted", self.posted),
                Route("/picture/{name}", self.picture),
            ]
        )

    async def create(self, request: Request) -> Response:
        order = json.loads(await request.body())
        task_id = f"{next(self._ids):032x}"
        task = asyncio.create_task(self._end(task_id, order))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return _granted({"taskId": task_id, "recordId": task_id})

    async def _end(self, task_id: str, order: dict[str, Any]) -> None:
        created = time.time()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end_all.wait(), self._duration_s)
        ending = "mp4" if self._video_mb else "png"
        url = f"http://{self._listen}/picture/{task_id}.{ending}"
        data = {
            "taskId": task_id,
            "state": "success",
            "resultJson": json.dumps({"resultUrls": [url]}),
            "createTime": int(created * 1000),
            "completeTime": int(time.time() * 1000),
        }
        self._ended[task_id] = data
        self._posted[order["input"]["prompt"]] = time.time()
        body = {"code": 200, "msg": "success", "data": data}
        await self._client.post(order["callBackUrl"], json=body)

    async def read(self, request: Request) -> Response:
        task_id = request.query_params["taskId"]
        return _granted(self._ended.get(task_id, {"taskId": task_id, "state": "generating"}))

    async def credit(self, _: Request) -> Response:
        return _granted(1000)

    async def set_duration(self, request: Request) -> Response:
        self._duration_s = float(request.query_params["s"])
        return Response()

    async def end_all(self, _: Request) -> Response:
        ended, self._end_all = self._end_all, asyncio.Event()
        ended.set()
        return Response()

    async def set_video(self, request: Request) -> Response:
        self._video_mb = int(request.query_params["mb"])
        return Response()

    async def posted(self, _: Request) -> Response:
        return JSONResponse(self._posted)

    async def picture(self, _: Request) -> Response:
        if self._video_mb:
            return StreamingResponse(_video(self._video_mb), media_type="video/mp4")
        return Response(self._picture, media_type="image/png")


def _granted(data: Any) -> Response:
    return JSONResponse({"code": 200, "msg": "success", "data": data})


async def _video(size_mb: int) -> AsyncIterator[bytes]:
    """Give a short video with padding, which takes no memory."""
    made = video("a long film", seed=7, padding=size_mb * 2**20)
    yield made.content
    for _ in range(made.padding // len(PIECE)):
        yield PIECE


def _picture() -> bytes:
    noise = random.Random(7).randbytes(SIDE * SIDE * 3)
    file = BytesIO()
    Image.frombytes("RGB", (SIDE, SIDE), noise).save(file, "png")
    return file.getvalue()


def main() -> None:
    """Serve until the process is asked to end."""
    host, _, port = os.environ["LISTEN"].rpartition(":")
    app = _Kie(os.environ["LISTEN"]).app()
    uvicorn.run(app, host=host, port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
