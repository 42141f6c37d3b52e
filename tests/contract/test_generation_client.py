import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from pydantic import SecretStr

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_client import GenerationClient, GenerationError, Violation, connect, translated
from generation_client.call import DEADLINE_S, LONG_DEADLINE_S
from generation_client.channel import channel_target, service_config
from generation_svc.rpc.error_table import DOMAIN

Context = grpc.aio.ServicerContext[Any, Any]


class ScriptedService:
    """Answers one method of each kind, notes who called, and fails as it was asked to."""

    def __init__(self) -> None:
        self.metadata: dict[str, str] = {}
        self.remaining_s = 0.0
        self.calls = 0
        self.failures: list[Status] = []

    async def get_job(self, _: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        self.note(context)
        if self.failures:
            await context.abort_with_status(rpc_status.to_status(self.failures.pop()))
        return pb.GetJobResponse()

    async def stream_job_updates(
        self, _: pb.StreamJobUpdatesRequest, context: Context
    ) -> AsyncIterator[pb.StreamJobUpdatesResponse]:
        self.note(context)
        yield pb.StreamJobUpdatesResponse()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "draining")

    async def upload_input(
        self, parts: AsyncIterator[pb.UploadInputRequest], context: Context
    ) -> pb.UploadInputResponse:
        self.note(context)
        async for _ in parts:
            self.calls += 1
        return pb.UploadInputResponse()

    def note(self, context: Context) -> None:
        self.calls += 1
        pairs = context.invocation_metadata() or ()
        self.metadata = {key: str(value) for key, value in pairs}
        self.remaining_s = context.time_remaining() or 0.0

    def handler(self) -> grpc.GenericRpcHandler:
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "GetJob": grpc.unary_unary_rpc_method_handler(
                self.get_job, pb.GetJobRequest.FromString, pb.GetJobResponse.SerializeToString
            ),
            "StreamJobUpdates": grpc.unary_stream_rpc_method_handler(
                self.stream_job_updates,
                pb.StreamJobUpdatesRequest.FromString,
                pb.StreamJobUpdatesResponse.SerializeToString,
            ),
            "UploadInput": grpc.stream_unary_rpc_method_handler(
                self.upload_input,
                pb.UploadInputRequest.FromString,
                pb.UploadInputResponse.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler(
            "atelier.generation.v1.GenerationService", methods
        )


@pytest.fixture(scope="module")
async def service_and_client() -> AsyncIterator[tuple[ScriptedService, GenerationClient]]:
    service, server = ScriptedService(), grpc.aio.server()
    server.add_generic_rpc_handlers((service.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with connect(f"127.0.0.1:{port}", token=SecretStr("edge-token")) as client:
        yield service, client
    await server.stop(grace=None)


@pytest.fixture
def service(service_and_client: tuple[ScriptedService, GenerationClient]) -> ScriptedService:
    service_and_client[0].calls = 0
    return service_and_client[0]


@pytest.fixture
def client(service_and_client: tuple[ScriptedService, GenerationClient]) -> GenerationClient:
    return service_and_client[1]


def failure(code: grpc.StatusCode, *details: object) -> Status:
    status = Status(code=code.value[0], message="as asked")
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)  # type: ignore[arg-type]
        status.details.append(packed)
    return status


async def test_a_call_carries_token_deadline_and_an_id_of_its_own(
    service: ScriptedService, client: GenerationClient
) -> None:
    await client.generation.GetJob(pb.GetJobRequest())
    assert service.metadata["authorization"] == "Bearer edge-token"
    assert uuid.UUID(service.metadata["x-correlation-id"]).version == 7
    assert DEADLINE_S - 5 < service.remaining_s < DEADLINE_S + 1


async def test_a_call_carries_the_bound_id_and_the_deadline_it_is_given(
    service: ScriptedService, client: GenerationClient
) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="c-1"):
        await client.generation.GetJob(pb.GetJobRequest(), timeout=3)
    assert service.metadata["x-correlation-id"] == "c-1"
    assert 0 < service.remaining_s < 4


async def test_streams_carry_the_same(service: ScriptedService, client: GenerationClient) -> None:
    updates = aiter(client.generation.StreamJobUpdates(pb.StreamJobUpdatesRequest()))
    assert await anext(updates) == pb.StreamJobUpdatesResponse()
    with pytest.raises(GenerationError) as failed, translated():
        await anext(updates)
    assert failed.value.is_retryable
    assert service.metadata["authorization"] == "Bearer edge-token"
    assert service.remaining_s > LONG_DEADLINE_S["StreamJobUpdates"] - 60


async def test_an_upload_carries_the_same(
    service: ScriptedService, client: GenerationClient
) -> None:
    parts = iter([pb.UploadInputRequest(data=b"1"), pb.UploadInputRequest(data=b"2")])
    await client.generation.UploadInput(parts)
    assert service.calls == 3
    assert service.metadata["authorization"] == "Bearer edge-token"


@pytest.mark.parametrize("domain", [DOMAIN, "atelier"], ids=["now", "release 0.1"])
async def test_a_failure_is_read_with_its_details(
    service: ScriptedService, client: GenerationClient, domain: str
) -> None:
    wrong = error_details_pb2.BadRequest()
    wrong.field_violations.add(field="inputs.prompt", description="is missing")
    info = error_details_pb2.ErrorInfo(
        reason="INVALID_INPUTS", domain=domain, metadata={"model_id": "z-image"}
    )
    service.failures = [failure(grpc.StatusCode.INVALID_ARGUMENT, info, wrong)]
    with pytest.raises(GenerationError) as failed, translated():
        await client.generation.GetJob(pb.GetJobRequest())
    error = failed.value
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUTS")
    assert error.violations == (Violation("inputs.prompt", "is missing"),)
    assert error.metadata == {"model_id": "z-image"}
    assert str(error) == "INVALID_INPUTS: as asked"
    assert not error.is_retryable


async def test_a_reason_of_somebody_else_is_not_taken_for_one_of_the_contract(
    service: ScriptedService, client: GenerationClient
) -> None:
    info = error_details_pb2.ErrorInfo(reason="JOB_NOT_FOUND", domain="proxy.example.org")
    service.failures = [failure(grpc.StatusCode.NOT_FOUND, info)]
    with pytest.raises(GenerationError) as failed, translated():
        await client.generation.GetJob(pb.GetJobRequest())
    assert (failed.value.code, failed.value.reason) == (grpc.StatusCode.NOT_FOUND, "")


async def test_a_failure_says_when_to_come_back(
    service: ScriptedService, client: GenerationClient
) -> None:
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000))
    service.failures = [failure(grpc.StatusCode.RESOURCE_EXHAUSTED, retry)]
    with pytest.raises(GenerationError) as failed, translated():
        await client.generation.GetJob(pb.GetJobRequest())
    assert failed.value.retry_after_s == 2.5
    assert failed.value.is_retryable


async def test_an_idempotent_call_is_tried_again(
    service: ScriptedService, client: GenerationClient
) -> None:
    service.failures = [failure(grpc.StatusCode.UNAVAILABLE)] * 2
    await client.generation.GetJob(pb.GetJobRequest())
    assert service.calls == 3


async def test_a_service_that_is_away_is_an_error_with_a_code() -> None:
    async with connect("127.0.0.1:1") as client:
        with pytest.raises(GenerationError) as failed, translated():
            await asyncio.wait_for(client.generation.GetJob(pb.GetJobRequest()), timeout=20)
    assert failed.value.code is grpc.StatusCode.UNAVAILABLE
    assert failed.value.reason == ""


def test_only_what_the_contract_calls_idempotent_is_tried_again() -> None:
    names = {each["method"] for each in service_config()["methodConfig"][0]["name"]}
    assert {"CreateJob", "GetJob", "ReportCallback", "BeginDelivery"} <= names
    assert names.isdisjoint({"LeaseDeliveries", "PutSession", "UploadInput"})


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("service:50051", "service:50051"),
        ("dns:///service:50051", "dns:///service:50051"),
        ("10.0.0.1:1, 10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2"),
        ("[::1]:1,[::2]:2", "ipv6:[::1]:1,[::2]:2"),
    ],
)
def test_an_address_becomes_a_target(address: str, target: str) -> None:
    assert channel_target(address) == target


@pytest.mark.parametrize("address", ["", "a:1,b:2", "10.0.0.1:1,[::1]:2", "10.0.0.1:1,b:2"])
def test_an_address_that_cannot_be_balanced_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="several targets"):
        channel_target(address)
