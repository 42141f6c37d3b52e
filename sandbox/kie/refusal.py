"""Requests that are not granted: on their own account, or because a fault says so."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from sandbox.fault import Fault, FaultBook
from sandbox.kie import answer
from sandbox.kie.answer import Body, CutResponse, KieResponse
from sandbox.kie.fault import KieFault

CREATE_REFUSALS: Mapping[KieFault, Body] = {
    KieFault.CREATE_429: answer.TOO_FREQUENT,
    KieFault.CREATE_5XX: answer.SERVER_ERROR,
    KieFault.MAINTENANCE: answer.MAINTENANCE,
    KieFault.UNAUTHORIZED: answer.UNAUTHORIZED,
    KieFault.NO_CREDITS: answer.NO_CREDITS,
    KieFault.CREATE_REFUSED: answer.SWITCHED_OFF,
    KieFault.CREATE_UNAVAILABLE: answer.UNAVAILABLE,
    KieFault.MODEL_OFF: answer.MODEL_OFF["paused"],
}
"""The faults that refuse a createTask, each with the usual body."""
READ_REFUSALS: Mapping[KieFault, Body] = {
    KieFault.READ_429: answer.TOO_FREQUENT,
    KieFault.READ_5XX: answer.SERVER_ERROR,
}
"""The faults that refuse a recordInfo, each with the usual body."""
PROXY_FAULTS = (KieFault.CREATE_5XX, KieFault.READ_5XX)
"""The faults of a proxy before KIE, which sends no body of KIE's unless `status` is 200."""


class RefusedError(Exception):
    """A request ends with this body, or with no body of KIE's at all."""

    def __init__(self, body: Body | None, *, status: int = 200) -> None:
        super().__init__(f"{status} {body}")
        self.body, self.status = body, status

    def response(self) -> Response:
        """Return the answer to send."""
        if self.body is None:
            return Response("Bad Gateway", self.status, media_type="text/html")
        return KieResponse(self.body, self.status)


def refuse_by_fault(faults: FaultBook, refusals: Mapping[KieFault, Body], *, subject: str) -> None:
    """Raise RefusedError when one of these faults is to be committed on the subject."""
    for kind, body in refusals.items():
        if fault := faults.take(kind, subject):
            raise _refused(fault, body)


def _refused(fault: Fault, body: Body) -> RefusedError:
    if fault.name in PROXY_FAULTS and fault.status != 200:
        return RefusedError(None, status=fault.status or 500)
    if fault.name == KieFault.MODEL_OFF and fault.variant:
        body = answer.MODEL_OFF[fault.variant]
    changes = {"code": fault.code, "msg": fault.message}
    changed = {key: value for key, value in changes.items() if value is not None}
    usual = 503 if fault.name == KieFault.CREATE_UNAVAILABLE else 200
    return RefusedError(body | changed, status=fault.status or usual)


async def unanswered(request: Request, fault: Fault) -> Response:
    """Say nothing until the client has gone or the fault's seconds are over, then hang up."""
    try:
        async with asyncio.timeout(fault.seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass
    return CutResponse()
