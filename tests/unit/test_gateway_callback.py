from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from starlette.types import Message, Scope

from atelier.generation.v1 import callback_service_pb2 as pb
from atelier.generation.v1.upload_link_pb2 import UploadLink
from callback_gateway.app import create_app
from callback_gateway.callback import (
    SUCCESS_BODY,
    HandoverError,
    Limits,
    Outcome,
    is_callback_path,
    path_token,
    provider_of,
)
from callback_gateway.media import Found, LinkInvalid
from callback_gateway.metric import Meter
from callback_gateway.settings import GatewaySettings
from callback_gateway.upload import UploadEnded, UploadOutcome
from runtime.address import Address


class RecordingReporter:
    def __init__(self, error: Exception | None = None) -> None:
        self.requests: list[pb.ReportCallbackRequest] = []
        self.error = error

    async def __call__(self, request: pb.ReportCallbackRequest) -> str:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        return "applied"


class NoMedia:
    def open(
        self, token: str, *, offset: int = 0, limit: int = 0
    ) -> AbstractAsyncContextManager[Found]:
        raise LinkInvalid(token)


class NoUploads:
    async def describe(self, token: str) -> UploadLink:
        raise UploadEnded(UploadOutcome.NO_LINK)

    async def take(self, token: str, pieces: AsyncIterator[bytes]) -> None:
        raise UploadEnded(UploadOutcome.NO_LINK)


class Gateway:
    def __init__(self, reporter: RecordingReporter, *, limits: Limits | None = None) -> None:
        self.registry = CollectorRegistry()
        meter = Meter(self.registry)
        self.app = create_app(
            reporter, media=NoMedia(), uploads=NoUploads(), meter=meter, limits=limits
        )

    async def answer(self, path: str, *, method: str = "POST", chunks: tuple[Message, ...]) -> int:
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(b"content-type", b"application/json"), (b"cookie", b"c=1")],
            "query_string": b"",
        }
        messages, sent = iter(chunks), list[Message]()

        async def receive() -> Message:
            return next(messages)

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        if path.startswith("/callbacks"):
            assert sent[1]["body"] == SUCCESS_BODY
        return int(sent[0]["status"])

    def count(self, outcome: str) -> float:
        return (
            self.registry.get_sample_value("atelier_gateway_callbacks_total", {"outcome": outcome})
            or 0
        )


def chunk(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


DISCONNECT: Message = {"type": "http.disconnect"}


async def test_a_callback_is_handed_on_with_what_the_service_needs() -> None:
    reporter = RecordingReporter()
    gateway = Gateway(reporter)
    status = await gateway.answer(
        "/callbacks/kie/tok/x", chunks=(chunk(b"{", more=True), chunk(b"}"))
    )
    assert status == 200
    assert reporter.requests == [
        pb.ReportCallbackRequest(
            body=b"{}",
            headers={"content-type": "application/json"},
            path_token="tok",
            provider="kie",
        )
    ]
    assert gateway.count("applied") == 1


@pytest.mark.parametrize(
    ("method", "chunks", "outcome"),
    [
        ("GET", (chunk(b"{}"),), Outcome.NOT_POST),
        ("POST", (chunk(b""),), Outcome.EMPTY),
        ("POST", (chunk(b"x" * 9, more=True), chunk(b"x" * 9)), Outcome.OVERSIZE),
        ("POST", (chunk(b"x" * 40, more=True),), Outcome.OVERSIZE),
        ("POST", (chunk(b"x", more=True), DISCONNECT), Outcome.DISCONNECTED),
        ("POST", (chunk(b"x" * 12),), Outcome.SHED),
    ],
    ids=["other method", "empty", "oversize", "beyond the drain cap", "cut off", "too much held"],
)
async def test_what_is_not_handed_on_is_counted(
    *, method: str, chunks: tuple[Message, ...], outcome: Outcome
) -> None:
    reporter = RecordingReporter()
    gateway = Gateway(reporter, limits=Limits(body_bytes=16, drain_bytes=32, held_bytes=10))
    assert await gateway.answer("/callbacks/kie", method=method, chunks=chunks) == 200
    assert reporter.requests == []
    assert gateway.count(outcome) == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (HandoverError(Outcome.UNREACHABLE, "down"), Outcome.UNREACHABLE),
        (HandoverError(Outcome.REFUSED, "no"), Outcome.REFUSED),
        (NameError("ours"), Outcome.CRASHED),
        (TimeoutError(), Outcome.CRASHED),
    ],
    ids=["unreachable", "refused", "a bug of ours", "a stray timeout"],
)
async def test_a_failed_hand_over_is_answered_200(error: Exception, outcome: Outcome) -> None:
    gateway = Gateway(RecordingReporter(error))
    assert await gateway.answer("/callbacks/kie", chunks=(chunk(b"{}"),)) == 200
    assert gateway.count(outcome) == 1


async def test_answers_are_counted_as_they_are_sent() -> None:
    gateway = Gateway(RecordingReporter())
    for path in ("/callbacks/kie", "/healthz", "/healthz/", "/nothing"):
        await gateway.answer(path, method="GET", chunks=(chunk(b""),))
    counted = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for metric in gateway.registry.collect()
        for sample in metric.samples
        if sample.name == "atelier_gateway_responses_total"
    }
    assert counted == {("callback", "200"): 1, ("other", "200"): 1, ("other", "404"): 2}


@pytest.mark.parametrize(
    ("path", "is_ours", "provider", "token"),
    [
        ("/callbacks/kie", True, "", ""),
        ("/callbacks/kie/", True, "", ""),
        ("/callbacks/kie/tok", True, "kie", "tok"),
        ("//callbacks//kie//tok/", True, "kie", "tok"),
        ("/callbacks/kie/a\nb/c", True, "kie", "a\nb"),
        ("/callbacks/kie/" + "t" * 128, True, "kie", "t" * 128),
        ("/callbacks/kie/" + "t" * 129, True, "kie", ""),
        ("/callbacks/another-1/tok/x", True, "another-1", "tok"),
        ("/callbacks/kiel", False, "", ""),
        ("/callbacks/" + "k" * 33 + "/tok", False, "", ""),
        ("/callbacks/Kie/tok", False, "", ""),
        ("/callbacks", False, "", ""),
        ("/x/callbacks/kie", False, "", ""),
        ("", False, "", ""),
    ],
)
def test_a_path_is_told_apart(path: str, *, is_ours: bool, provider: str, token: str) -> None:
    assert is_callback_path(path) is is_ours
    if is_ours:
        assert (provider_of(path), path_token(path)) == (provider, token)


def test_the_port_of_a_platform_wins() -> None:
    settings = GatewaySettings(gateway_listen=Address("::1", 1), port=9, generation_token=None)
    assert settings.listen == Address("0.0.0.0", 9)
    assert GatewaySettings(gateway_listen=Address("::1", 1), port=None).listen == Address("::1", 1)


def test_the_token_of_the_gateway_is_not_shown() -> None:
    assert "hidden" not in repr(GatewaySettings(generation_token=SecretStr("hidden-token")))


def test_an_answer_that_would_come_too_late_for_kie_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="must stay below KIE's 15 s"):
        GatewaySettings(gateway_body_timeout_s=5, gateway_handover_timeout_s=10)
