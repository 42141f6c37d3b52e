"""The servicers alone, driven by grpcio-testing: no port, no server, the test holds both ends.

grpcio-testing calls a servicer from a thread and knows nothing of coroutines; a bridge runs each
one in the loop of the test.
"""

import asyncio
from typing import Any

import grpc
import grpc_testing  # type: ignore[import-untyped] # ships no types
from google.protobuf.message import Message

from atelier.generation.v1 import edge_service_pb2 as edge_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.rpc.caller import LOCAL, calling
from generation_svc.rpc.draining import Draining
from generation_svc.rpc.edge_servicer import EdgeServicer
from generation_svc.rpc.generation_servicer import GenerationServicer
from generation_svc.rpc.stream import StreamTiming
from tests.contract.service import Service, struct

GENERATION = pb.DESCRIPTOR.services_by_name["GenerationService"]
EDGE = edge_pb.DESCRIPTOR.services_by_name["EdgeService"]


class LoopBridge:
    """Offers the coroutines of a servicer as functions for another thread."""

    def __init__(self, servicer: Any) -> None:
        self._servicer = servicer
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, method: str) -> Any:
        def call(request: Message, context: Any) -> Any:
            async def work() -> Any:
                with calling(LOCAL):
                    return await getattr(self._servicer, method)(request, context)

            return asyncio.run_coroutine_threadsafe(work(), self._loop).result(timeout=10)

        return call


class Harness:
    """A server of grpcio-testing with the servicers of a service on it."""

    def __init__(self, service: Service) -> None:
        generation = GenerationServicer(service.deps, draining=Draining(), timing=StreamTiming())
        servicers = {GENERATION: generation, EDGE: EdgeServicer(service.deps)}
        self._server = grpc_testing.server_from_dictionary(
            {name: LoopBridge(servicer) for name, servicer in servicers.items()},
            grpc_testing.strict_real_time(),
        )

    async def call(self, request: Message) -> Any:
        """Call the method that takes this request, and return its response."""
        method = next(
            method
            for service in (GENERATION, EDGE)
            for method in service.methods
            if method.input_type is request.DESCRIPTOR
        )
        metadata = (("x-correlation-id", "from-the-call"),)
        rpc = self._server.invoke_unary_unary(method, metadata, request, 10)
        response, _, code, details = await asyncio.to_thread(rpc.termination)
        assert code is grpc.StatusCode.OK, details
        return response


async def test_models_come_in_pages(idle_service: Service) -> None:
    harness = Harness(idle_service)
    whole = await harness.call(pb.ListModelsRequest())
    first = await harness.call(pb.ListModelsRequest(page_size=3))
    rest = await harness.call(pb.ListModelsRequest(page_token=first.next_page_token))
    assert [*first.models, *rest.models] == list(whole.models)
    assert (len(first.models), rest.next_page_token) == (3, "")
    assert whole.catalog_version == idle_service.deps.models.catalog.version


async def test_a_model_is_the_same_alone_and_in_the_list(idle_service: Service) -> None:
    harness = Harness(idle_service)
    for model in (await harness.call(pb.ListModelsRequest())).models:
        assert (await harness.call(pb.GetModelRequest(model_id=model.id))).model == model


async def test_jobs_come_in_pages_newest_first(service: Service) -> None:
    harness = Harness(service)
    request = pb.CreateJobRequest(model_id="z-image", inputs=struct({"prompt": "a lighthouse"}))
    made = [(await harness.call(request)).job for _ in range(5)]
    first = await harness.call(pb.ListJobsRequest(page_size=3))
    rest = await harness.call(pb.ListJobsRequest(page_size=3, page_token=first.next_page_token))
    assert [*first.jobs, *rest.jobs] == made[::-1]
    assert rest.next_page_token == ""


async def test_a_job_carries_the_correlation_id_of_its_call(service: Service) -> None:
    harness = Harness(service)
    inputs = struct({"prompt": "a lighthouse"})
    job = (await harness.call(pb.CreateJobRequest(model_id="z-image", inputs=inputs))).job
    assert job.correlation_id == "from-the-call"
    assert (await harness.call(pb.GetJobRequest(job_id=job.id))).job == job


async def test_a_session_that_was_never_written_is_empty(service: Service) -> None:
    harness = Harness(service)
    empty = (await harness.call(edge_pb.GetSessionRequest(bot_id=7, key="chat:1"))).session
    assert (empty.data, empty.version) == (b"", 0)
    request = edge_pb.PutSessionRequest(bot_id=7, key="chat:1", data=b"\0\xff", version=0)
    written = (await harness.call(request)).session
    assert (written.data, written.version) == (b"\0\xff", 1)
