"""The Bot API's own addresses: `/bot<token>/<method>` and `/file/bot<token>/<path>`."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.telegram.call import Call, Method
from sandbox.telegram.error import ApiError, not_found
from sandbox.telegram.journal import CallRecord
from sandbox.telegram.method import find_method
from sandbox.telegram.param import read_params
from sandbox.telegram.presence import hung_up, while_present
from sandbox.telegram.server import TelegramServer


class CutResponse(Response):
    """Says nothing for a while and then closes the connection in the middle of an answer."""

    def __init__(self, *, seconds: float) -> None:
        super().__init__(b"{}", media_type="application/json")
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise a body and leave without one, which makes the server cut the connection."""
        with suppress(TimeoutError):
            await asyncio.wait_for(hung_up(receive), self._seconds)
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)


async def call_method(request: Request) -> Response:
    """Handle a call of the Bot API."""
    server: TelegramServer = request.app.state.telegram
    try:
        bot = server.bot(request.path_params["token"])
        name, method = find_method(request.path_params["method"])
        params = await read_params(request)
    except ApiError as error:
        server.journal.counters[f"answers.{error.code}"] += 1
        return _refusal(error)
    record = server.journal.open(name, bot_id=bot.id, params=params)
    answer = _answer(Call(server, bot, params), method, record=record)
    try:
        return await _unless_gone(answer, request) if name == "getUpdates" else await answer
    except ApiError as error:
        server.journal.close(record, status=error.code, description=error.description)
        return _refusal(error)
    except ClientDisconnect:
        server.journal.close(record, status=0)
        return Response()


async def download(request: Request) -> Response:
    """Hand out the bytes of a file that `getFile` has named."""
    server: TelegramServer = request.app.state.telegram
    try:
        server.bot(request.path_params["token"])
        file = server.files.by_path(request.path_params["path"])
        if file is None:
            raise not_found()
    except ApiError as error:
        return _refusal(error)
    return Response(server.files.read(file), media_type="application/octet-stream")


async def _answer(call: Call, method: Method, *, record: CallRecord) -> Response:
    """Run the method, unless a fault gets in the way."""
    server, chat_id = call.server, call.params.text("chat_id")
    fault = server.faults.pick(record.method, chat_id=chat_id, bot_id=call.bot.id)
    if fault is None:
        result = await method(call)
        server.journal.close(record, status=200)
        return JSONResponse({"ok": True, "result": result})
    record.fault = fault.kind
    if refusal := fault.error():
        raise refusal
    if fault.kind == "answer_lost":
        with suppress(ApiError):
            await method(call)
    server.journal.close(record, status=0)
    return CutResponse(seconds=fault.seconds)


async def _unless_gone(answer: Coroutine[Any, Any, Response], request: Request) -> Response:
    """Give up a poll whose caller is gone; any other call is carried out all the same."""
    response = await while_present(answer, receive=request.receive)
    if response is None:
        raise ClientDisconnect
    return response


def _refusal(error: ApiError) -> Response:
    return JSONResponse(error.body(), status_code=error.code)
