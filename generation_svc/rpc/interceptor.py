"""What every call passes: its caller, its guards, its log lines, and errors turned into statuses.

The token is looked at before anything of the request is read: authenticate, permission, rate. Then
the guards are entered in order, and the handler runs inside them.

An exception's own text never reaches a caller unless the error table knows its class. A handler
that let `asyncio.CancelledError` escape would leave its client hanging, so that ends as a status.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import uuid4

import grpc
import grpc.aio
import structlog
from grpc_status import rpc_status
from prometheus_client import Counter, Histogram

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import AtelierError
from generation_svc.rpc.caller import Anybody, Callers, calling, token_of
from generation_svc.rpc.decoding import checked, lenient
from generation_svc.rpc.error_table import is_known, status_of
from generation_svc.rpc.permission import check_permission

CORRELATION_KEY = "x-correlation-id"
NOBODY = Caller("?")
"""Whoever a refused call is from; no caller can have this name."""
_logger = structlog.get_logger(__name__)
_calls = Counter("atelier_rpc_total", "Calls answered.", ("method", "code"))
_calls_of = Counter("atelier_caller_total", "Calls answered, by who called.", ("caller", "code"))
_seconds = Histogram("atelier_rpc_seconds", "Time to the answer.", ("method",))

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as its guards see it."""

    method: str
    """The name of the RPC, such as `CreateJob`."""
    caller: Caller
    context: Any
    """gRPC's own context: metadata, peer, the time that is left."""


Guard: TypeAlias = Callable[[Call], AbstractAsyncContextManager[None]]
"""What a call is answered inside of; entering it raises the error of a call that is refused."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler of the contract."""

    def __init__(self, callers: Callers | None = None, *, guards: Sequence[Guard] = ()) -> None:
        self._callers = callers or Anybody()
        self._guards = tuple(guards)

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Return the handler as this caller gets it: guarded, or refusing."""
        handler = await continuation(details)
        if handler is None or not details.method.startswith("/atelier."):
            return handler
        method, token = details.method.rpartition("/")[2], token_of(details.invocation_metadata)
        caller = NOBODY
        try:
            caller = self._callers.identify(token)
            check_permission(caller, method=details.method)
            self._callers.count_call(caller)
        except AtelierError as error:
            return _refusing(error, method=method, caller=caller)
        kind = _kind(handler)
        guarded = self._guarded(getattr(handler, kind), token=token)
        return _rebuild(handler, kind=kind, wrapped=_wrap(guarded, method=method, caller=caller))

    def _guarded(self, behaviour: Any, *, token: str) -> Any:
        async def guarded(request: Any, call: Call) -> Any:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(
                    self._callers.while_valid(token, caller=call.caller)
                )
                for guard in self._guards:
                    await stack.enter_async_context(guard(call))
                return await behaviour(request, call.context)

        return guarded


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
        request_deserializer=lenient(handler.request_deserializer),
        response_serializer=handler.response_serializer,
    )
    return rebuilt


def _refusing(error: AtelierError, *, method: str, caller: Caller) -> Handler:
    """Return a handler that refuses; it takes a stream, which it does not read."""

    async def refuse(request: Any, call: Call) -> None:
        raise error

    return grpc.stream_stream_rpc_method_handler(_wrap(refuse, method=method, caller=caller))


def _wrap(behaviour: Callable[[Any, Call], Awaitable[Any]], *, method: str, caller: Caller) -> Any:
    async def wrapped(request: Any, context: Any) -> Any:
        call = Call(method=method, caller=caller, context=context)
        with calling(caller), _observed(call):
            try:
                return await behaviour(checked(request), call)
            except grpc.aio.AbortError:
                raise
            except asyncio.CancelledError:
                await context.abort(grpc.StatusCode.CANCELLED, "The call was cancelled.")
            except Exception as error:  # noqa: BLE001 - the one place where every error becomes a status
                await _abort(context, error)

    return wrapped


@contextmanager
def _observed(call: Call) -> Iterator[None]:
    """Name the call in its log lines, time it and count it."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        rpc=call.method, caller=call.caller.name, correlation_id=correlation_id(call.context)
    )
    started = time.perf_counter()
    try:
        yield
    finally:
        code = _code_name(call.context)
        _seconds.labels(call.method).observe(time.perf_counter() - started)
        _calls.labels(call.method, code).inc()
        _calls_of.labels(call.caller.name, code).inc()


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
