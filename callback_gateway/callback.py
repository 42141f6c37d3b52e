"""Reads a callback, hands it on and answers 200.

KIE takes any other answer as a reason to post again and, in the end, to stop posting. Polling finds
out whatever a lost callback would have said, so no failure here justifies another status.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import grpc
import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from atelier.generation.v1 import callback_service_pb2 as pb
from callback_gateway.metric import Meter
from generation_client import GenerationClient, GenerationError, translated
from generation_client.limit import MAX_CALLBACK_BYTES, MAX_TOKEN_LENGTH
from runtime.backoff import Backoff
from runtime.correlation import new_correlation_id

CALLBACK_PATH = "/callbacks/kie"
"""Everything at and under this path is always answered 200."""

_CALLBACK = re.compile(r"/callbacks/([a-z0-9-]{1,32})/(.+)", re.DOTALL)
"""A callback of any provider: its name, and then the token."""

CALLBACK_ROUTE = "callback"
"""The name under which answers to callbacks are counted."""

SUCCESS_BODY = b'{"code":200,"msg":"success"}'
"""The answer to every callback."""

HEADERS_HANDED_ON = ("content-type", "user-agent", "x-webhook-timestamp", "x-webhook-signature")
"""The headers that the service needs to judge a callback."""

MAX_HEADER_CHARS = 1024
"""How much of a header is handed on."""

ATTEMPT_S = 4.0
"""How long one try may take, so that a replica that hangs leaves time for another."""

_BACKOFF = Backoff(first_s=0.2, cap_s=1.0)
_JUDGEMENTS = {
    number: name.removeprefix("CALLBACK_OUTCOME_").lower()
    for name, number in pb.CallbackOutcome.items()
}
_logger = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What came of a callback that the service did not judge."""

    NOT_POST = "not_post"
    EMPTY = "empty"
    OVERSIZE = "oversize"
    SLOW = "slow"
    DISCONNECTED = "disconnected"
    SHED = "shed"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    CRASHED = "crashed"
    MALFORMED = "malformed"
    HEAD_SLOW = "head_slow"
    HEAD_OVERSIZE = "head_oversize"


class HandoverError(Exception):
    """A callback could not be handed on; `outcome` says why."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


class Reporter(Protocol):
    """Hands a callback to the service and tells what came of it; raises HandoverError."""

    async def __call__(self, request: pb.ReportCallbackRequest) -> str:
        """Hand one callback on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the gateway takes, and for how long."""

    body_bytes: int = MAX_CALLBACK_BYTES
    drain_bytes: int = 32 << 20
    held_bytes: int = 64 << 20
    body_s: float = 3.0
    downloads: int = 64
    uploads: int = 16


class CallbackEndpoint:
    """Takes what KIE posts; the answer is 200 whatever happens."""

    def __init__(self, report: Reporter, *, limits: Limits, meter: Meter) -> None:
        self._report = report
        self._limits = limits
        self._meter = meter
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request and answer it."""
        with structlog.contextvars.bound_contextvars(correlation_id=new_correlation_id()):
            outcome = await self._guarded(Request(scope, receive))
            self._meter.callbacks.labels(str(outcome)).inc()
            _logger.info("callback answered", outcome=str(outcome))
        await Response(SUCCESS_BODY, media_type="application/json")(scope, receive, send)

    async def _guarded(self, request: Request) -> str:
        try:
            return await self._take(request)
        except HandoverError as error:
            _logger.warning("callback not handed on", outcome=error.outcome, reason=str(error))
            return error.outcome
        # The one broad except: a fault of ours must not become a status that KIE sees. It is
        # logged whole and counted, and polling makes good what it cost.
        except Exception:
            _logger.exception("callback handler failed")
            return Outcome.CRASHED

    async def _take(self, request: Request) -> str:
        try:
            async with asyncio.timeout(self._limits.body_s):
                body = await read_body(request, limits=self._limits)
        except TimeoutError:
            return Outcome.SLOW
        except ClientDisconnect:
            return Outcome.DISCONNECTED
        # The body is read before anything is judged: an answer to a sender that is still writing
        # can be lost in a reset, and KIE must see the 200.
        if request.method != "POST":
            return Outcome.NOT_POST
        if body is None:
            return Outcome.OVERSIZE
        return await self._hand_on(request, body) if body else Outcome.EMPTY

    async def _hand_on(self, request: Request, body: bytes) -> str:
        # Bodies pile up here while the service is away; KIE keeps posting whatever happens.
        if self._held_bytes + len(body) > self._limits.held_bytes:
            return Outcome.SHED
        self._held_bytes += len(body)
        try:
            with self._meter.handover.time():
                return await self._report(
                    pb.ReportCallbackRequest(
                        body=body,
                        headers=headers_handed_on(request.headers),
                        path_token=path_token(request.scope["path"]),
                        provider=provider_of(request.scope["path"]),
                    )
                )
        finally:
            self._held_bytes -= len(body)


async def read_body(request: Request, *, limits: Limits) -> bytes | None:
    """Read a body; None if it exceeds the limit, in which case it is drained up to the cap."""
    body, size = bytearray(), 0
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            # Read beyond the limit for a while, so that the sender gets to see the answer.
            if size > limits.drain_bytes:
                break
            if size <= limits.body_bytes:
                body += chunk
    return bytes(body) if size <= limits.body_bytes else None


def headers_handed_on(headers: Headers) -> dict[str, str]:
    """Return the headers that the service needs, cut to a fair length."""
    return {name: headers[name][:MAX_HEADER_CHARS] for name in HEADERS_HANDED_ON if name in headers}


class GrpcReporter:
    """Reports callbacks to the service; repeating one is harmless by contract."""

    def __init__(self, client: GenerationClient, *, timeout_s: float = 10.0) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def __call__(self, request: pb.ReportCallbackRequest) -> str:
        """Return what the service made of the callback, such as `applied`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._until_taken(request)
        except TimeoutError as error:
            reason = f"the service was unreachable for {self._timeout_s:g} s"
            raise HandoverError(Outcome.UNREACHABLE, reason) from error
        except GenerationError as error:
            raise HandoverError(Outcome.REFUSED, str(error)) from error

    async def _until_taken(self, request: pb.ReportCallbackRequest) -> str:
        for delay_s in _BACKOFF:
            try:
                return await self._attempt(request)
            except GenerationError as error:
                # A server that is full says RESOURCE_EXHAUSTED, and nothing of when to come back.
                is_full = error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
                if not (error.is_retryable or is_full):
                    raise
                _logger.debug("callback not accepted yet", reason=str(error))
            await asyncio.sleep(delay_s)
        raise AssertionError("a backoff has no end")

    async def _attempt(self, request: pb.ReportCallbackRequest) -> str:
        report = self._client.callback.ReportCallback
        with translated():
            # wait_for_ready: a call to a service that is restarting waits for its connection
            # instead of failing at once, as long as this try may take.
            answer = await report(request, timeout=ATTEMPT_S, wait_for_ready=True)
        return _JUDGEMENTS.get(answer.outcome, "other")  # a newer service may know more


def is_callback_path(path: str) -> bool:
    """Whether a path, percent-decoded, is a provider's; repeated slashes count as one."""
    path = _squeezed(path)
    return f"{path}/".startswith(f"{CALLBACK_PATH}/") or bool(_CALLBACK.fullmatch(path))


def path_token(path: str) -> str:
    """Return the segment after the provider's name, empty if there is none of a fair length."""
    found = _CALLBACK.fullmatch(_squeezed(path))
    token = found[2].partition("/")[0] if found else ""
    return token if len(token) <= MAX_TOKEN_LENGTH else ""


def provider_of(path: str) -> str:
    """Return the name of the provider that a callback's path is for."""
    found = _CALLBACK.fullmatch(_squeezed(path))
    return found[1] if found else ""


def _squeezed(path: str) -> str:
    return re.sub("/+", "/", path)
