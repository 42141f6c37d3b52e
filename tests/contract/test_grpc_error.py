"""The errors that gRPC itself would make: each has a reason, and none is a fault in the log."""

from __future__ import annotations

import gzip
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from grpc import StatusCode as Code

from generation_svc.rpc.decoding import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES
from generation_svc.rpc.error_table import DOMAIN
from tests.contract.raw_connection import SERVICE, framed, raw_connection
from tests.contract.service import Service

HEALTH = "/grpc.health.v1.Health"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
GET_JOB = f"{SERVICE}/GetJob"
EMPTY = framed(b"")
GARBAGE = framed(b"\xff")
TOO_LARGE = b"\x0a" + bytes(MAX_MESSAGE_BYTES)
BEYOND = b"\x0a" + bytes(2 * MAX_MESSAGE_BYTES)
ZIPPED = (("grpc-encoding", "gzip"),)


@dataclass(frozen=True)
class Case:
    path: str
    data: bytes
    code: grpc.StatusCode
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


def unknown(path: str) -> Case:
    return Case(path, EMPTY, Code.UNIMPLEMENTED, "METHOD_NOT_FOUND")


def invalid(path: str, data: bytes) -> Case:
    return Case(path, data, Code.INVALID_ARGUMENT, "INVALID_INPUTS")


def large(path: str, data: bytes, *headers: tuple[str, str]) -> Case:
    return Case(path, data, Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", headers)


OURS = {
    "unknown RPC": unknown(f"{SERVICE}/Paint"),
    "unknown service": unknown("/a.B/C"),
    "no service at all": unknown("/"),
    "unknown RPC of health": unknown(f"{HEALTH}/Ask"),
    "a service of gRPC that we lack": unknown("/grpc.channelz.v1.Channelz/GetServers"),
    "a very long name": unknown("/a.B/" + "x" * 3000),
    "health of nothing": Case(
        f"{HEALTH}/Check", framed(b"\x0a\x01z"), Code.NOT_FOUND, "METHOD_NOT_FOUND"
    ),
    "garbage for health": invalid(f"{HEALTH}/Check", GARBAGE),
    "garbage for reflection": invalid(REFLECTION, GARBAGE),
    "no message": invalid(GET_JOB, b""),
    "no message for a stream": invalid(f"{SERVICE}/StreamJobUpdates", b""),
    "a message cut short": invalid(GET_JOB, framed(b"abcdef")[:7]),
    "a prefix cut short": invalid(GET_JOB, b"\0\0"),
    "a large message": large(GET_JOB, framed(TOO_LARGE)),
    "a large message of a stream": large(f"{SERVICE}/UploadInput", framed(TOO_LARGE)),
    "a message that unpacks to much": large(
        GET_JOB, framed(gzip.compress(TOO_LARGE), flag=1), *ZIPPED
    ),
    "large metadata": large(GET_JOB, EMPTY, ("x-note", "n" * MAX_METADATA_BYTES)),
}
THEIRS = {
    "a message beyond twice the limit": Case(
        GET_JOB, framed(BEYOND), Code.RESOURCE_EXHAUSTED, "larger than max"
    ),
    "a large packed message beyond twice the limit": Case(
        GET_JOB, framed(gzip.compress(BEYOND), flag=1), Code.RESOURCE_EXHAUSTED, "max", ZIPPED
    ),
    "a message that cannot be unpacked": Case(
        GET_JOB, framed(b"ab", flag=1), Code.INTERNAL, "Decompression failed", ZIPPED
    ),
    "a packing that is unknown": Case(
        GET_JOB, EMPTY, Code.INTERNAL, "grpc-encoding", (("grpc-encoding", "br"),)
    ),
    "a deadline that is none": Case(
        GET_JOB, EMPTY, Code.INTERNAL, "grpc-timeout", (("grpc-timeout", "soon"),)
    ),
    "binary metadata that is none": Case(
        GET_JOB, EMPTY, Code.INTERNAL, "base64", (("x-note-bin", "***"),)
    ),
}
"""What gRPC's core answers before any code of ours sees the call, by words of its text."""


def faults(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.parametrize("name", OURS)
async def test_an_error_of_grpc_has_a_reason(
    idle_service: Service, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    case = OURS[name]
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(raw_connection(idle_service.address))
        await connection.begin()
        stream = await connection.ask(case.path, case.data, headers=case.headers)
        refusal = await connection.refusal(stream)
    assert (refusal.code, refusal.domain, refusal.reason) == (case.code, DOMAIN, case.reason)
    assert "Traceback" not in refusal.message
    assert faults(caplog) == []


@pytest.mark.parametrize("name", THEIRS)
async def test_what_only_the_core_sees_says_nothing_of_us(
    idle_service: Service, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    case = THEIRS[name]
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(raw_connection(idle_service.address))
        await connection.begin()
        stream = await connection.ask(case.path, case.data, headers=case.headers)
        refusal = await connection.refusal(stream)
    assert (refusal.code, refusal.reason) == (case.code, "")
    assert case.reason in refusal.message
    assert faults(caplog) == []


async def test_every_health_can_be_listed(
    idle_service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    ask: Any = idle_service.channel.unary_unary(f"{HEALTH}/List")
    answer = await ask(b"")
    assert b"atelier.generation.v1.GenerationService" in answer
    assert faults(caplog) == []
