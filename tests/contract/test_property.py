"""Any message that the contract can carry gets an answer: no request is a fault of the service."""

import math
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.rpc.register import CONTRACT
from tests.contract.failure import refusal_of_error
from tests.contract.service import Service

METHODS: dict[str, MethodDescriptor] = {
    method.name: method
    for module in CONTRACT
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if not method.client_streaming
}
MAX_WAIT_SECONDS = 0.3
"""How long a call may take: some of them wait for as long as they are asked to."""
MODELS = ["z-image", "qwen/text-to-image", "qwen/image-to-image", "qwen/image-edit"]
FIELDS = ["prompt", "aspect_ratio", "image", "image_url", "seed", "guidance_scale", "strength"]
ODD_TEXTS = [
    "",
    "\0",
    "1:1",
    "upload:",
    "upload:0198c0de-0000-7000-8000-000000000000",
    "media:0198C0DE-0000-7000-8000-000000000000",
    "https://example.org/a.png",
    "https://[",
    "data:image/png;base64,é",
    "data:image/png;base64,AAAA",
    "0198c0de-0000-7000-8000-000000000000",
]
ODD_NUMBERS = [0.0, 1.0, -1.0, 0.1, 2.0**53, 2.0**63, 1e308, math.nan, math.inf, -math.inf]

texts = st.sampled_from(ODD_TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.sampled_from(ODD_NUMBERS) | st.floats()
leaves = st.one_of(
    st.just(Value()),
    st.just(Value(null_value=NULL_VALUE)),
    st.builds(lambda text: Value(string_value=text), texts),
    st.builds(lambda number: Value(number_value=number), numbers),
    st.builds(lambda flag: Value(bool_value=flag), st.booleans()),
)


def documents(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Struct]:
    names = st.sampled_from(FIELDS) | texts
    return st.dictionaries(names, values, max_size=4).map(lambda fields: Struct(fields=fields))


values = st.recursive(
    leaves,
    lambda inner: (
        documents(inner).map(lambda each: Value(struct_value=each))
        | st.lists(inner, max_size=3).map(lambda each: Value(list_value=ListValue(values=each)))
    ),
    max_leaves=6,
)
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: texts,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=40),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_ENUM: st.integers(-(2**31), 2**31 - 1) | st.integers(0, 4),
}


def messages(kind: Descriptor) -> st.SearchStrategy[Any]:
    """Return the messages of a kind, each field set or not, one at most of a oneof."""
    if kind.full_name == "google.protobuf.Struct":
        return documents(values)
    fields = {
        field.name: st.lists(one(field), max_size=3) if _is_list(field) else one(field)
        for field in kind.fields
    }
    subsets = st.fixed_dictionaries({}, optional=fields)
    return subsets.map(lambda chosen: GetMessageClass(kind)(**_one_of_each(kind, chosen)))


def one(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.name == "model_id":
        # What is asked of the catalog would be done to the models of all other tests.
        message = field.containing_type
        is_change = message is not None and "/catalog_service" in message.file.name
        return texts if is_change else st.sampled_from(MODELS) | texts
    if field.message_type is None:
        return SCALARS[field.type]
    if field.message_type.GetOptions().map_entry:
        return st.dictionaries(texts, texts, max_size=2)
    return messages(field.message_type)


def _is_list(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return field.is_repeated and not (kind and kind.GetOptions().map_entry)


def _one_of_each(kind: Descriptor, chosen: dict[str, Any]) -> dict[str, Any]:
    for group in kind.oneofs:
        for spare in [field.name for field in group.fields if field.name in chosen][1:]:
            del chosen[spare]
    return chosen


async def ask(service: Service, method: MethodDescriptor, *, request: Message) -> None:
    """Call a method; any answer will do but one that is the service's own fault."""
    open_call = (
        service.channel.unary_stream if method.server_streaming else service.channel.unary_unary
    )
    path = f"/{method.containing_service.full_name}/{method.name}"
    call: Any = open_call(path, request_serializer=type(request).SerializeToString)
    try:
        answer = call(request, timeout=MAX_WAIT_SECONDS)
        await (answer.read() if method.server_streaming else answer)
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of_error(error)
        assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED or refusal.reason, refusal
        assert refusal.reason != "INTERNAL"


@given(data=st.data())
@settings(max_examples=200, deadline=None)
async def test_any_job_can_be_asked_for(idle_service: Service, data: st.DataObject) -> None:
    request = data.draw(messages(pb.CreateJobRequest.DESCRIPTOR))
    await ask(idle_service, METHODS["CreateJob"], request=request)


@pytest.mark.parametrize("method", [pytest.param(each, id=name) for name, each in METHODS.items()])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
async def test_any_request_is_answered(
    idle_service: Service, method: MethodDescriptor, data: st.DataObject
) -> None:
    request = data.draw(messages(method.input_type))
    await ask(idle_service, method, request=request)
