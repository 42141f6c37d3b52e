"""The floor of CreateJob: grpc.aio, the contract's message, and one committed INSERT or enqueue.

`python -m tests.bench.bare.server insert|procrastinate|pgqueuer` with LISTEN and DATABASE_URL. It
answers ReportCallback with nothing at all, and a stream with one update and then silence until the
job is cancelled, which is the second update.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import uvloop

from atelier.generation.v1 import (
    callback_service_pb2,
    callback_service_pb2_grpc,
    generation_service_pb2_grpc,
)
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JobState
from tests.bench.bare.connection import serve
from tests.bench.bare.enqueue import WAYS, Enqueue

UNLIMITED = [(f"grpc.server.max_pending_requests{end}", 100_000) for end in ("", "_hard_limit")]


class _Generation(generation_service_pb2_grpc.GenerationServiceServicer):
    def __init__(self, enqueue: Enqueue) -> None:
        self._enqueue = enqueue
        self._ended: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def CreateJob(self, request: pb.CreateJobRequest, _: Any) -> pb.CreateJobResponse:
        answer = pb.CreateJobResponse()
        answer.job.id = str(uuid4())
        await self._enqueue(answer.job.id, request)
        return answer

    async def StreamJobUpdates(
        self, request: pb.StreamJobUpdatesRequest, _: Any
    ) -> AsyncIterator[pb.StreamJobUpdatesResponse]:
        answer = pb.StreamJobUpdatesResponse()
        answer.job.id = request.job_id
        yield answer
        await self._ended[request.job_id].wait()
        answer.job.state = JobState.JOB_STATE_CANCELLED
        yield answer

    async def CancelJob(self, request: pb.CancelJobRequest, _: Any) -> pb.CancelJobResponse:
        self._ended[request.job_id].set()
        return pb.CancelJobResponse()


class _Callback(callback_service_pb2_grpc.CallbackServiceServicer):
    async def ReportCallback(self, *_: Any) -> callback_service_pb2.ReportCallbackResponse:
        return callback_service_pb2.ReportCallbackResponse()


async def _main() -> None:
    async with WAYS[sys.argv[1]](os.environ["DATABASE_URL"]) as enqueue:
        server = grpc.aio.server(options=UNLIMITED)
        servicer = _Generation(enqueue)  # type: ignore[abstract] # what nobody calls is left out
        generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)
        callback_service_pb2_grpc.add_CallbackServiceServicer_to_server(_Callback(), server)
        await serve(server)


if __name__ == "__main__":
    uvloop.run(_main())
