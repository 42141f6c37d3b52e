"""What every call gets: a correlation id in its log lines, and errors turned into statuses.

An exception's own text never reaches a caller unless the error table knows its class. A handler
that let `asyncio.CancelledError` escape would leave its client hanging, so that ends as a status.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import uuid4

import grpc
import grpc.aio
import structlog
from grpc_status import rpc_status
from prometheus_client import Counter, Histogram

from generation_svc.rpc.error_table import is_known, status_of

CORRELATION_KEY = "x-correlation-id"
_logger = structlog.get_logger(__name__)
_calls = Counter("atelier_rpc_total", "Calls answered.", ("method", "code"))
_seconds = Histogram("atelier_rpc_seconds", "Time to the answer.", ("method",))

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler of the server."""

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Return the handler with its errors translated."""
        handler = await continuation(details)
        if handler is None or not details.method.startswith("/atelier."):
            return handler
        kind = _kind(handler)
        wrapped = _wrap(getattr(handler, kind), method=details.method.rpartition("/")[2])
        return _rebuild(handler, kind=kind, wrapped=wrapped)


def correlation_id(context: Any) -> str:
    """Return the id under which this call logs: the caller's own, or a new one."""
    for key, value in context.invocation_metadata() or ():
        if key == CORRELATION_KEY and isinstance(value, str) and 0 < len(value) <= 128:
            return value
    return uuid4().hex


def _kind(handler: Handler) -> str:
    if handler.request_streaming:
        return "stream_unary"
    return "unary_stream" if handler.response_streaming else "unary_unary"


def _rebuild(handler: Handler, *, kind: str, wrapped: Any) -> Handler:
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    rebuilt: Handler = make(
        wrapped,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return rebuilt


def _wrap(behaviour: Any, *, method: str) -> Any:
    async def wrapped(request: Any, context: Any) -> Any:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(rpc=method, correlation_id=correlation_id(context))
        started = time.perf_counter()
        try:
            return await behaviour(request, context)
        except grpc.aio.AbortError:
            raise
        except asyncio.CancelledError:
            await context.abort(grpc.StatusCode.CANCELLED, "The call was cancelled.")
        except Exception as error:  # noqa: BLE001 - the one place where every error becomes a status
            await _abort(context, error)
        finally:
            _seconds.labels(method).observe(time.perf_counter() - started)
            _calls.labels(method, _code_name(context)).inc()

    return wrapped


async def _abort(context: Any, error: Exception) -> None:
    if is_known(error):
        _logger.info("refused", reason=type(error).__name__, error=str(error))
    else:
        _logger.error("the call failed", exc_info=error)
    status = rpc_status.to_status(status_of(error))
    await context.abort(status.code, status.details, status.trailing_metadata)


def _code_name(context: Any) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else "OK"
