"""Every body that KIE sends as an answer or in a callback (kie-api.md §1 to §3)."""

import zlib
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.kie.encoding import encode, encode_param
from sandbox.kie.fault import KieFault
from sandbox.kie.task import Task

Body = dict[str, Any]
LONG_BYTES = 2 * 2**20
"""The size of a long answer: KIE's usual ones have some hundred bytes."""
BOMB_MIB = 400
"""What a packed answer unpacks to."""

UNAUTHORIZED: Body = {
    "code": 401,
    "msg": "Unauthorized – Authentication failed. "
    "Please check that your Authorization and Content-Type headers are correctly set.",
}
READ_UNAUTHORIZED: Body = {"code": 401, "msg": "Unauthorized"}
NO_TASK_ID: Body = {"code": 400, "msg": "taskId parameter is required"}
NO_CREDITS: Body = {
    "code": 402,
    "msg": "Credits insufficient : Your current balance isn't enough to run this request. "
    "Please top up to continue.",
}


def refusal(code: int, message: str) -> Body:
    """Return the body of an error; its code stands in the body, not in the HTTP status."""
    return {"code": code, "msg": message, "data": None}


UNKNOWN_MODEL = refusal(
    422,
    "The model name you specified is not supported. Please verify your input and use one of "
    "the supported models provided by KIE.",
)
TASK_NULL = refusal(422, "recordInfo is null")
NO_CALLBACK_URL = refusal(422, "callBackUrl is required")
WRONG_URL = refusal(422, "url is wrong")
TOO_FREQUENT = refusal(429, "Your call frequency is too high. Please try again later.")
MAINTENANCE = refusal(455, "The service is currently under maintenance. Please try again later.")
SERVER_ERROR = refusal(500, "Server exception, please try again later or contact customer service")
UNAVAILABLE = refusal(503, "Service unavailable, please try again later")
MODEL_OFF: Mapping[str, Body] = MappingProxyType(
    {
        "paused": refusal(500, "This interface is temporarily paused, please use another one."),
        "unpublished": refusal(422, "The page does not exist or is not published"),
        "disabled": refusal(505, "Feature disabled"),
    }
)
SWITCHED_OFF = refusal(505, "Feature Disabled - The requested feature is currently disabled")

SUCCEEDED = "Playground task completed successfully."
FAILED = "Playground task failed."


class KieResponse(JSONResponse):
    """A JSON answer with KIE's own spelling of the content type."""

    media_type = "application/json;charset=UTF-8"


class CutResponse(Response):
    """The beginning of an answer, after which the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise more than is sent: the server then hangs up."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"120")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"code":', "more_body": True})


def granted(data: Any) -> Response:
    """Return the envelope of a request that was granted."""
    return KieResponse({"code": 200, "msg": "success", "data": data})


def created(task: Task) -> Response:
    """Return the answer of createTask."""
    data = {"taskId": task.told_id, "recordId": task.told_id}
    if task.fault(KieFault.PACKED_ANSWER):
        return packed()
    if task.fault(KieFault.LONG_ANSWER):
        data = {"filler": "x" * LONG_BYTES, **data}
    return granted(data)


def packed() -> Response:
    """Return an answer that unpacks to a thousand times its size."""
    headers = {"content-encoding": "gzip", "content-type": KieResponse.media_type}
    return Response(_bomb(), headers=headers)


@cache
def _bomb() -> bytes:
    """Repeat one packed block: packing all of it would keep the stand-in busy for seconds."""
    packer = zlib.compressobj(wbits=31)
    head = packer.compress(b'{"code":200,"msg":"success","data":{"filler":"')
    head += packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b"x" * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * BOMB_MIB


def record(task: Task) -> Body:
    """Return `data` of recordInfo: the recorded keys, then those added in August 2026."""
    param = encode_param(task.model, task.fields, task.callback_url)
    code, message = task.failure or (None, None)
    return {
        "taskId": task.told_id,
        "model": task.model,
        "state": task.state,
        "param": param,
        "resultJson": _result_json(task),
        "failCode": code,
        "failMsg": message,
        "costTime": task.cost_time_s,
        "completeTime": task.complete_ms,
        "createTime": task.create_ms,
        "creditsConsumed": task.told_credits,
        "operationType": task.model,
        "response": _response(task),
        "successFlag": 0 if task.is_running else (3 if task.failure else 1),
        "paramJson": param,
    }


def callback(task: Task) -> Body:
    """Return the body that tells of a task's end; keys are alphabetical, at every level."""
    data: Body = {
        "costTime": task.cost_time_s,
        "createTime": _whole_second(task.create_ms),
        "model": task.model,
        "param": encode_param(task.model, task.fields, task.callback_url),
        "state": task.state,
        "taskId": task.told_id,
    }
    data |= _failed_part(task) if task.failure else _succeeded_part(task)
    code, message = (501, FAILED) if task.failure else (200, SUCCEEDED)
    return {"code": code, "data": dict(sorted(data.items())), "msg": message}


def foreign_callback(task: Task, family: str) -> Body:
    """Return the same news in the shape of another family, `runway` or `suno`."""
    url = task.urls[0] if task.urls else ""
    code, message = (200, "All generated successfully.") if url else (400, FAILED)
    if family == "suno":
        track = {"id": task.id, "audio_url": url, "prompt": task.fields.get("prompt", "")}
        kind = "complete" if url else "error"
        data: Body = {"callbackType": kind, "task_id": task.id, "data": [track]}
    else:
        data = {"image_url": "", "task_id": task.id, "video_id": task.id, "video_url": url}
    return {"code": code, "msg": message, "data": data}


def song_callback(task: Task, stage: str, songs: list[Body]) -> Body:
    """Return what Suno's family tells of songs at a stage: `text`, `first` or `complete`.

    The first two come before the end; `text` knows no links yet, `first` those of one song.
    """
    shown = {"text": [_unheard(each) for each in songs], "first": songs[:1]}.get(stage, songs)
    data = {"callbackType": stage, "data": shown, "task_id": task.told_id}
    return {"code": 200, "data": data, "msg": "All generated successfully."}


def song_failure(task: Task) -> Body:
    """Return what Suno's family tells of songs that were not made."""
    code, message = task.failure or ("", "")
    data = {"callbackType": "error", "data": None, "task_id": task.told_id}
    return {"code": int(code) if code.isdigit() else 501, "data": data, "msg": message}


def _unheard(song: Body) -> Body:
    return {**song, "audio_url": "", "stream_audio_url": "", "duration": None}


def dead_record(task: Task) -> Body | None:
    """Return the envelope of a task that died inside KIE, or none when it is alive."""
    fault = task.fault(KieFault.TASK_DEAD)
    if fault is None:
        return None
    return refusal(int(fault.code or 501), fault.message or "Generation failed.")


def _succeeded_part(task: Task) -> Body:
    return {
        "completeTime": task.complete_ms,
        **({} if task.told_credits is None else {"creditsConsumed": task.told_credits}),
        "resultJson": _result_json(task),
        **({"response": _response(task)} if _response(task) else {}),
        "updateTime": _whole_second(task.create_ms),
    }


def _failed_part(task: Task) -> Body:
    code, message = task.failure or ("", "")
    ended = _whole_second(task.complete_ms or task.create_ms)
    return {"completeTime": ended, "failCode": code, "failMsg": message, "updateTime": ended}


def _result_json(task: Task) -> str:
    place = _place(task)
    if not _has_result(task) or place in ("response", "missing"):
        return ""
    result = encode(_result(task))
    return encode(result) if place == "twice" else result


def _response(task: Task) -> Body | None:
    is_known = (task.shape or "data" in task.told) and _place(task) != "missing"
    is_told = bool(is_known) or _place(task) == "response"
    return _result(task) if is_told and _has_result(task) else None


def _result(task: Task) -> Body:
    """Return where the results are: songs stand in objects that describe them (§9)."""
    return task.told or {"resultUrls": task.urls}


def _has_result(task: Task) -> bool:
    return bool(task.urls or task.told)


def _place(task: Task) -> str:
    fault = task.fault(KieFault.RESULT_PLACE)
    return (fault.variant or "response") if fault else ""


def _whole_second(moment_ms: int) -> int:
    return moment_ms // 1000 * 1000
