"""Handing a callback to the service, with short tries until the time is up."""

from __future__ import annotations

import asyncio

import grpc
import structlog

from atelier.generation.v1 import callback_service_pb2 as pb
from callback_gateway.callback import HandoverError, Outcome
from generation_client import GenerationClient, GenerationError, translated
from runtime.backoff import Backoff

ATTEMPT_S = 4.0
"""How long one try may take, so that a replica that hangs leaves time for another."""

_BACKOFF = Backoff(first_s=0.2, cap_s=1.0)
_logger = structlog.get_logger(__name__)


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
            reason = f"the service was out of reach for {self._timeout_s:g} s"
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
                _logger.debug("callback not taken yet", reason=str(error))
            await asyncio.sleep(delay_s)
        raise AssertionError("a backoff has no end")

    async def _attempt(self, request: pb.ReportCallbackRequest) -> str:
        report = self._client.callback.ReportCallback
        with translated():
            answer = await report(request, timeout=ATTEMPT_S, wait_for_ready=True)
        return pb.CallbackOutcome.Name(answer.outcome).removeprefix("CALLBACK_OUTCOME_").lower()
