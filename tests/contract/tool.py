"""gRPC clients that are not ours, run as programs: grpcurl and buf curl."""

from __future__ import annotations

import asyncio
import base64
import json
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import status_pb2

from tests.contract.failure import Refusal, refusal_of

SCRIPTS = Path(sysconfig.get_path("scripts"))
GENERATION = "atelier.generation.v1.GenerationService"
Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    messages: list[Json]
    refusal: Refusal | None = None

    @property
    def only(self) -> Json:
        assert self.refusal is None, self.refusal
        (message,) = self.messages
        return message


class Grpcurl:
    """grpcurl, which learns the contract by reflection."""

    async def call(self, address: str, method: str, *, request: Json) -> Answer:
        data = json.dumps(request)
        flags = ("-plaintext", "-format-error", "-d", data)
        code, out, err = await run("grpcurl", *flags, address, _full(method))
        return Answer(documents(out), _grpcurl_refusal(err) if code else None)


class BufCurl:
    """buf curl, which learns the contract by reflection and speaks gRPC if told to."""

    async def call(self, address: str, method: str, *, request: Json) -> Answer:
        url = f"http://{address}/{_full(method)}"
        flags = ("--protocol", "grpc", "--http2-prior-knowledge", "-d", json.dumps(request))
        code, out, err = await run("buf", "curl", *flags, url)
        return Answer(documents(out), _buf_refusal(err) if code else None)


Tool = Grpcurl | BufCurl


async def run(program: str, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        SCRIPTS / program,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def documents(text: str) -> list[Json]:
    """Read JSON documents that follow one another."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def _full(method: str) -> str:
    return method if "/" in method else f"{GENERATION}/{method}"


def _grpcurl_refusal(text: str) -> Refusal:
    return refusal_of(json_format.Parse(text, status_pb2.Status()))


def _buf_refusal(text: str) -> Refusal:
    error = json.loads(text)
    code = grpc.StatusCode[error["code"].upper()]
    status = status_pb2.Status(code=code.value[0], message=error["message"])
    for detail in error.get("details", ()):
        value = base64.b64decode(detail["value"] + "==")
        status.details.append(
            AnyMessage(type_url=f"type.googleapis.com/{detail['type']}", value=value)
        )
    return refusal_of(status)
