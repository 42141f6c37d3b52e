"""The floor of a whole life: the same commits, HTTP calls, fsyncs and child process, and no logic.

`python -m tests.bench.bare.chain COMMITS` with LISTEN, DATABASE_URL, KIE_ADDRESS, GATEWAY_ADDRESS
and MEDIA_FOLDER. CreateJob commits; then createTask, a commit before and after it; the callback
commits; its picture is fetched into a file that is synced and shown to a child process; that is
committed and told by NOTIFY to the one who follows the job. COMMITS beyond these five are added.
With TELEGRAM_ADDRESS and TELEGRAM_TOKEN the picture is posted to the chat that the job names.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx2
import psycopg
import uvloop
from psycopg.types.json import Jsonb

from atelier.generation.v1 import (
    callback_service_pb2,
    callback_service_pb2_grpc,
    generation_service_pb2_grpc,
)
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JobState
from tests.bench.bare.connection import Connections, connections, execute, serve

FEWEST_COMMITS = 5
"""Accepted, about to be sent, taken, called back, ended."""
_TABLE = "CREATE TABLE IF NOT EXISTS bare_step (id bigserial PRIMARY KEY, job uuid, document jsonb)"
_INSERT = "INSERT INTO bare_step (job, document) VALUES (%s, %s)"


@dataclass(kw_only=True)
class _Chain:
    free: Connections
    http: httpx2.AsyncClient
    child: asyncio.subprocess.Process
    more_commits: int
    folder: Path = field(default_factory=lambda: Path(os.environ["MEDIA_FOLDER"]))
    ended: dict[str, asyncio.Event] = field(default_factory=dict)
    chats: dict[str, int] = field(default_factory=dict)
    running: set[asyncio.Task[None]] = field(default_factory=set)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin(self, job_id: str, inputs: dict[str, Any]) -> None:
        self.spawn(self._submit(job_id, inputs))

    def go_on(self, job_id: str, body: bytes) -> None:
        self.spawn(self._finish(job_id, json.loads(body)))

    async def commit(self, job_id: str, document: object) -> None:
        await execute(self.free, _INSERT, job_id, Jsonb(document))

    async def _submit(self, job_id: str, inputs: dict[str, Any]) -> None:
        await self.commit(job_id, "about to be sent")
        url = f"http://{os.environ['KIE_ADDRESS']}/api/v1/jobs/createTask"
        back = f"http://{os.environ['GATEWAY_ADDRESS']}/callbacks/kie/{job_id}"
        await self.http.post(url, json={"input": inputs, "callBackUrl": back})
        await self.commit(job_id, "taken")

    async def _finish(self, job_id: str, callback: dict[str, Any]) -> None:
        (url,) = json.loads(callback["data"]["resultJson"])["resultUrls"]
        picture = (await self.http.get(url)).content
        await asyncio.to_thread(_keep, self.folder / job_id, picture)
        await self._show(job_id)
        for _ in range(self.more_commits):
            await self.commit(job_id, "more")
        await self.commit(job_id, "ended")
        if chat_id := self.chats.get(job_id):
            await self._send(picture, chat_id=chat_id)
        await execute(self.free, "SELECT pg_notify('bare', %s)", job_id)

    async def _send(self, picture: bytes, *, chat_id: int) -> None:
        url = f"http://{os.environ['TELEGRAM_ADDRESS']}/bot{os.environ['TELEGRAM_TOKEN']}/sendPhoto"
        files = {"photo": ("picture.png", picture, "image/png")}
        answer = await self.http.post(url, data={"chat_id": str(chat_id)}, files=files)
        answer.raise_for_status()

    async def _show(self, job_id: str) -> None:
        stdin, stdout = self.child.stdin, self.child.stdout
        assert stdin
        assert stdout
        async with self.turn:
            stdin.write(f"{job_id}\n".encode())
            await stdout.readline()

    async def listen(self, database_url: str) -> None:
        connection = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
        await connection.execute("LISTEN bare")
        async for news in connection.notifies():
            if news.payload in self.ended:  # another chain may share the database
                self.ended[news.payload].set()

    def spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self.running.add(task)
        task.add_done_callback(self.running.discard)


def _keep(path: Path, content: bytes) -> None:
    """Write a file that survives a crash, as the service does."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


class _Generation(generation_service_pb2_grpc.GenerationServiceServicer):
    def __init__(self, chain: _Chain) -> None:
        self._chain = chain

    async def CreateJob(self, request: pb.CreateJobRequest, _: Any) -> pb.CreateJobResponse:
        answer = pb.CreateJobResponse()
        answer.job.id, inputs = str(uuid4()), dict(request.inputs)
        self._chain.ended[answer.job.id] = asyncio.Event()
        self._chain.chats[answer.job.id] = request.telegram.chat_id
        await self._chain.commit(answer.job.id, inputs)
        self._chain.begin(answer.job.id, inputs)
        return answer

    async def StreamJobUpdates(
        self, request: pb.StreamJobUpdatesRequest, _: Any
    ) -> AsyncIterator[pb.StreamJobUpdatesResponse]:
        answer = pb.StreamJobUpdatesResponse()
        answer.job.id, answer.job.state = request.job_id, JobState.JOB_STATE_RUNNING
        yield answer
        await self._chain.ended[request.job_id].wait()
        answer.job.state = JobState.JOB_STATE_SUCCEEDED
        yield answer


class _Callback(callback_service_pb2_grpc.CallbackServiceServicer):
    def __init__(self, chain: _Chain) -> None:
        self._chain = chain

    async def ReportCallback(
        self, request: callback_service_pb2.ReportCallbackRequest, _: Any
    ) -> callback_service_pb2.ReportCallbackResponse:
        await self._chain.commit(request.path_token, request.body.decode())
        self._chain.go_on(request.path_token, request.body)
        return callback_service_pb2.ReportCallbackResponse()


async def _main() -> None:
    database_url = os.environ["DATABASE_URL"]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
    async with (
        connections(database_url) as free,
        httpx2.AsyncClient(trust_env=False, verify=False, timeout=30) as http,
    ):
        await execute(free, _TABLE)
        more = max(0, int(sys.argv[1]) - FEWEST_COMMITS)
        chain = _Chain(free=free, http=http, child=child, more_commits=more)
        chain.spawn(chain.listen(database_url))
        server = grpc.aio.server()
        servicer = _Generation(chain)  # type: ignore[abstract] # what nobody calls is left out
        generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)
        callback_service_pb2_grpc.add_CallbackServiceServicer_to_server(_Callback(chain), server)
        await serve(server)


if __name__ == "__main__":
    uvloop.run(_main())
