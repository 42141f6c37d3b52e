"""Server reflection in versions v1 and v1alpha, for tools.

The library has only v1alpha. Version 1 has the same messages under other names, and names are not
on the wire: one servicer answers both, and only the description of v1 has to be made.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from grpc_reflection.v1alpha import reflection, reflection_pb2

from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.stream import write

METHOD = "ServerReflectionInfo"
WRITE_TIMEOUT = timedelta(seconds=20)
"""How long an answer waits for its reader."""
_ALPHA, _STABLE = "grpc.reflection.v1alpha", "grpc.reflection.v1"
SERVICE_NAMES = tuple(f"{package}.ServerReflection" for package in (_ALPHA, _STABLE))
"""The full names of both versions."""


class ReflectionServicer(reflection.aio.ReflectionServicer):
    """Answers what is asked about the contract, to those who read the answers."""

    async def answer(self, requests: AsyncIterator[Any], context: ServicerContext) -> None:
        """Answer each request of a stream."""
        responses: Any = self.ServerReflectionInfo(requests, context)
        async for response in responses:
            if not await write(context, response, timeout=WRITE_TIMEOUT):
                return


def enable_reflection(server: grpc.aio.Server, names: Iterable[str]) -> None:
    """Describe these services, and reflection itself, in both versions."""
    _describe_stable()
    servicer = ReflectionServicer((*names, *SERVICE_NAMES))
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.answer,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(name, {METHOD: handler}) for name in SERVICE_NAMES
        )
    )


def _describe_stable() -> None:
    """Put version 1 among the descriptors: v1alpha by another name."""
    alpha = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    text = json_format.MessageToJson(alpha).replace(_ALPHA, _STABLE)
    stable = json_format.Parse(text, descriptor_pb2.FileDescriptorProto())
    stable.name = "grpc/reflection/v1/reflection.proto"
    # The pool is the process's own, and takes the same file again: each server calls this.
    descriptor_pool.Default().Add(stable)
