"""Bytes that are no message of the contract are the caller's mistake, in whatever call."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from atelier.generation.v1 import callback_service_pb2
from atelier.generation.v1 import generation_service_pb2 as pb
from tests.contract.failure import refused
from tests.contract.service import Service

SERVICE = "/atelier.generation.v1.GenerationService"


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("unary_unary", "GetJob"),
        ("unary_stream", "DownloadMedia"),
        ("stream_unary", "UploadInput"),
    ],
)
@pytest.mark.parametrize(
    "data", [b"\xff", b"\x0a\x02\xed\xa0", b"\x0a\xff"], ids=["no tag", "no UTF-8", "cut"]
)
async def test_what_is_no_message_is_refused_with_a_reason(
    idle_service: Service, *, kind: str, method: str, data: bytes
) -> None:
    call: Any = getattr(idle_service.channel, kind)(f"{SERVICE}/{method}")
    request = iter([pb.UploadInputRequest(data=b"x").SerializeToString(), data])
    made = call(request if kind == "stream_unary" else data, timeout=10)
    refusal = await refused(made.read() if kind == "unary_stream" else made)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUTS")


async def test_a_callback_with_odd_headers_is_kept(service: Service) -> None:
    report: Any = service.channel.unary_unary(
        "/atelier.generation.v1.CallbackService/ReportCallback",
        response_deserializer=callback_service_pb2.ReportCallbackResponse.FromString,
    )
    headers = {"a\0b": "c\0d", "\ufffe": "\U0010ffff"}
    request = callback_service_pb2.ReportCallbackRequest(body=b"{}", headers=headers)
    answer = await report(request.SerializeToString(), timeout=10)
    assert answer.outcome == callback_service_pb2.CALLBACK_OUTCOME_UNREADABLE
