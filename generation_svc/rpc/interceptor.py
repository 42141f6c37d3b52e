"""Wraps every call: authentication, guards, log lines, and errors turned into statuses.

The token is looked at before anything of the request is read: authenticate, permission, rate. Then
the guards look at the call in order, and the handler runs.

An exception's own text never reaches a caller unless the error table knows its class. A handler
that let `asyncio.CancelledError` escape would leave its client hanging, so that ends as a status.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeAlias

import grpc
import grpc.aio
import structlog
from grpc_status import rpc_status

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import AtelierError
from generation_svc.domain.limit import MAX_ID_LENGTH
from generation_svc.rpc.call import Call, Guard, ServicerContext
from generation_svc.rpc.caller import NOBODY, Anybody, Callers, calling, token_of
from generation_svc.rpc.decoding import check_metadata, checked, lenient, only_message
from generation_svc.rpc.error_table import is_known, status_of
from generation_svc.rpc.meter import RpcMeter
from generation_svc.rpc.method import MethodNotFound
from generation_svc.rpc.permission import check_permission
from generation_svc.rpc.unread import UnreadAnswers
from runtime.correlation import CORRELATION_KEY, new_correlation_id

CONTRACT = "/atelier."
"""How the services of the contract begin; the others are asked without a token."""
UNKNOWN_METHOD = "?"
"""What metrics call every RPC that there is not: a client chooses its name."""
_FOR_EVER = nullcontext()
"""How long a call counts that comes without a token."""
_logger = structlog.get_logger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler: those of the contract, health, reflection, and of what there is not."""

    def __init__(
        self,
        callers: Callers | None = None,
        *,
        guards: Sequence[Guard] = (),
        unread: UnreadAnswers | None = None,
        meter: RpcMeter | None = None,
    ) -> None:
        self._callers = callers or Anybody()
        self.meter = meter or RpcMeter()
        self.unread = unread or UnreadAnswers(meter=self.meter)
        # First: who leaves answers unread is refused before the call takes a place of its own.
        self._guards = (self.unread.guard, *guards)

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Return the handler as this caller gets it: guarded, or refusing."""
        handler = await continuation(details)
        method, token = details.method.rpartition("/")[2], token_of(details.invocation_metadata)
        caller, call_kind = NOBODY, method if handler else UNKNOWN_METHOD
        try:
            check_metadata(details.invocation_metadata)
            # gRPC would answer UNIMPLEMENTED by itself, with no details and no line in the metrics.
            if handler is None:
                raise MethodNotFound(details.method)
            if details.method.startswith(CONTRACT):
                caller = self._callers.identify(token)
                check_permission(caller, method=details.method)
                self._callers.count_call(caller)
        except AtelierError as error:
            return self._refusing(error, method=call_kind, caller=caller)
        return self._answering(handler, method=method, caller=caller, token=token)

    def _answering(self, handler: Handler, *, method: str, caller: Caller, token: str) -> Handler:
        guarded = self._guarded(handler, token=token)
        serialize = None if handler.response_streaming else handler.response_serializer
        wrapped = self._wrap(guarded, method=method, caller=caller, serialize=serialize)
        return _rebuild(handler, wrapped)

    def _refusing(self, error: AtelierError, *, method: str, caller: Caller) -> Handler:
        """Return a handler that refuses; it takes a stream, which it does not read."""

        async def refuse(requests: Any, call: Call) -> None:
            raise error

        wrapped = self._wrap(refuse, method=method, caller=caller)
        # This kind fits whatever the client calls: gRPC waits for no message before it asks us.
        return grpc.stream_stream_rpc_method_handler(wrapped)

    def _guarded(self, handler: Handler, *, token: str) -> Any:
        behaviour = getattr(handler, _kind(handler))

        async def guarded(requests: Any, call: Call) -> Any:
            async with call.interrupt:
                with self._valid(token, call):
                    for guard in self._guards:
                        guard(call)
                    if not handler.request_streaming:
                        return await behaviour(await only_message(call.context), call.context)
                    return await behaviour(checked(requests), call.context)

        return guarded

    def _valid(self, token: str, call: Call) -> AbstractContextManager[None]:
        if call.caller is NOBODY:
            return _FOR_EVER
        return self._callers.while_valid(token, caller=call.caller, end=call.interrupt.now)

    def _wrap(
        self,
        behaviour: Callable[[Any, Call], Awaitable[Any]],
        *,
        method: str,
        caller: Caller,
        serialize: Callable[[Any], bytes] | None = None,
    ) -> Any:
        async def wrapped(requests: Any, context: ServicerContext) -> Any:
            call = Call(method=method, caller=caller, context=context)
            with calling(caller), _observed(call, meter=self.meter):
                try:
                    answer = await behaviour(requests, call)
                    return self._given(call, answer, serialize=serialize)
                # The handler has called abort(), which has set the status that the client gets.
                except grpc.aio.AbortError:
                    raise
                # The client is gone or its deadline has passed. If neither is so, grpc.aio sends
                # nothing by itself, and the client would wait for ever.
                except asyncio.CancelledError:
                    await context.abort(grpc.StatusCode.CANCELLED, "The call was cancelled.")
                except Exception as error:  # noqa: BLE001 - the one place where every error becomes a status
                    self.unread.hold(call)
                    await _abort(context, error)

        return wrapped

    def _given(self, call: Call, answer: Any, *, serialize: Callable[[Any], bytes] | None) -> Any:
        """Return an answer as bytes, counted until it has left; of a stream its end is counted."""
        if serialize is None:
            self.unread.hold(call)
            return answer
        # Serialized here and not by gRPC, whose serializer is None for these: so its size is known.
        data = serialize(answer)
        self.unread.answer(call, data)
        return data


def correlation_id(context: ServicerContext) -> str:
    """Return the id under which this call logs: the caller's own, or a new one."""
    for key, value in context.invocation_metadata() or ():
        if key == CORRELATION_KEY and isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH:
            return value
    return new_correlation_id()


def _kind(handler: Handler) -> str:
    asked = "stream" if handler.request_streaming else "unary"
    return f"{asked}_stream" if handler.response_streaming else f"{asked}_unary"


def _rebuild(handler: Handler, wrapped: Any) -> Handler:
    """Return a handler that is called at once, and reads even a single message by itself.

    gRPC would call the handler of a unary request when its message is there: until then the call
    would be counted nowhere and have no time limit, and one that ends without a message no answer.
    """
    kind = "stream_stream" if handler.response_streaming else "stream_unary"
    rebuilt: Handler = getattr(grpc, f"{kind}_rpc_method_handler")(
        wrapped,
        request_deserializer=lenient(handler.request_deserializer),
        response_serializer=handler.response_serializer if handler.response_streaming else None,
    )
    return rebuilt


@contextmanager
def _observed(call: Call, *, meter: RpcMeter) -> Iterator[None]:
    """Name the call in its log lines, time it and count it."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        rpc=call.method, caller=call.caller.name, correlation_id=correlation_id(call.context)
    )
    started = time.perf_counter()
    try:
        yield
    finally:
        meter.count_call(
            call.method,
            caller=call.caller.name,
            code=_code_name(call.context),
            seconds=time.perf_counter() - started,
        )


async def _abort(context: ServicerContext, error: Exception) -> None:
    if is_known(error):
        _logger.info("refused", reason=type(error).__name__, error=str(error))
    else:
        _logger.error("the call failed", exc_info=error)
    status = rpc_status.to_status(status_of(error))
    try:
        await context.abort(status.code, status.details, status.trailing_metadata)
    except grpc.aio.InternalError as late:
        # gRPC's core ended the call before us: a broken message, one beyond its own limit, or a
        # connection that is gone. Only this way it is not logged as a fault of the handler.
        raise asyncio.CancelledError from late


def _code_name(context: ServicerContext) -> str:
    # An int until somebody has set a code; gRPC then sends OK.
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else "OK"
