"""What is called, each beside the bare thing that it is compared with."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Struct

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from tests.bench.load import Call
from tests.bench.replica import ECHO

INPUTS = {"prompt": "a lighthouse on a cliff in a storm, oil painting", "aspect_ratio": "16:9"}
_owners = count()


@dataclass
class Replica:
    """A channel to a replica and to the bare echo in the same process."""

    service: grpc.aio.Channel
    echo: grpc.aio.Channel
    pid: int

    def __post_init__(self) -> None:
        self.stub = GenerationServiceStub(self.service)
        self.say: Any = self.echo.unary_unary(ECHO)

    async def create(self) -> pb.CreateJobResponse:
        """Make a job for somebody new: the jobs of one owner are accepted one after the other."""
        inputs = Struct()
        inputs.update(INPUTS)
        owner = f"bench:{next(_owners)}"
        request = pb.CreateJobRequest(model_id="z-image", inputs=inputs, owner=owner)
        return await self.stub.CreateJob(request)

    async def calls(self) -> dict[str, Call]:
        """Return the calls to compare, by what they are called in the report."""
        made = await self.create()
        message = made.SerializeToString()
        request = pb.GetJobRequest(job_id=made.job.id)
        return {
            "bare echo": lambda: self.say(message),
            "GetJob": lambda: self.stub.GetJob(request),
        }


@asynccontextmanager
async def replica(database_url: str, folder: Path) -> AsyncIterator[Replica]:
    """Run a replica in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.replica", database_url, str(folder)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        addresses = json.loads(await process.stdout.readline())
        async with (
            grpc.aio.insecure_channel(addresses["service"]) as service,
            grpc.aio.insecure_channel(addresses["echo"]) as echo,
        ):
            yield Replica(service, echo, process.pid)
    finally:
        process.terminate()
        await process.wait()
