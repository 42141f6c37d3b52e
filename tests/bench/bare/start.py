"""The floor of a start: a grpc.aio server that imports grpc, protobuf, psycopg and the contract."""

from __future__ import annotations

import grpc
import psycopg
import uvloop

from atelier.generation.v1 import generation_service_pb2_grpc
from tests.bench.bare.connection import serve


class _Generation(generation_service_pb2_grpc.GenerationServiceServicer): ...


async def _main() -> None:
    assert psycopg.pq.__impl__ == "binary"
    server = grpc.aio.server()
    servicer = _Generation()  # type: ignore[abstract] # it answers nothing
    generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)
    await serve(server)


if __name__ == "__main__":
    uvloop.run(_main())
