"""Faults that a stand-in commits on demand, and the small HTTP API that arms them.

    GET    /sandbox/faults           what is armed
    PUT    /sandbox/faults           a JSON list: replaces everything that is armed
    POST   /sandbox/faults           a JSON object: arms one more
    DELETE /sandbox/faults           disarms everything
    DELETE /sandbox/faults/{name}    disarms one kind

A fault is committed when its `match` occurs in the subject (the model and the prompt, a path, a
method and chat), `rate` of the time, `remaining` times: `{"name": "no_callback", "match": "cat"}`.
"""

import random
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class UnknownFaultError(ValueError):
    """The stand-in has no fault of this name."""


class Fault(BaseModel):
    """One armed fault: what happens, to whom, how often."""

    model_config = ConfigDict(extra="forbid")

    name: str
    """The kind of fault, from the vocabulary of the stand-in."""
    match: str = ""
    """A text that must occur in the subject; empty matches every subject."""
    remaining: int | None = Field(default=None, ge=1)
    """The number of times it is still committed; none means without end."""
    rate: float = Field(default=1.0, ge=0, le=1)
    """The share of matching subjects that it hits."""
    seconds: float | None = Field(default=None, ge=0)
    """How long a delay lasts; none takes the default of the kind."""
    status: int | None = Field(default=None, ge=100, le=599)
    """The HTTP status to answer with, where the kind answers."""
    code: int | str | None = None
    """The code inside the body, where the kind has one."""
    message: str | None = None
    """The text inside the body, where the kind has one."""
    variant: str | None = None
    """Which form of the fault, where the kind has several."""


_FAULTS = TypeAdapter(list[Fault])


class FaultBook:
    """The faults that are armed now; draws are repeatable for a seed."""

    def __init__(self, names: Iterable[str], *, seed: int = 0) -> None:
        self._names = frozenset(str(name) for name in names)
        self._seed = seed
        self._faults: list[Fault] = []
        self._random = random.Random(seed)

    @property
    def armed(self) -> list[Fault]:
        """The armed faults, oldest first."""
        return list(self._faults)

    def add(self, fault: Fault) -> None:
        """Arm one more fault; raises UnknownFaultError."""
        if fault.name not in self._names:
            raise UnknownFaultError(
                f"unknown fault {fault.name!r}; the faults are {', '.join(sorted(self._names))}"
            )
        self._faults.append(fault)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Arm exactly these; raises UnknownFaultError and then arms nothing."""
        self.clear()
        for fault in faults:
            self.add(fault)

    def remove(self, name: str) -> None:
        """Disarm every fault of this name."""
        self._faults = [fault for fault in self._faults if fault.name != name]

    def clear(self) -> None:
        """Disarm everything and start the draws again from the seed."""
        self._faults = []
        self._random = random.Random(self._seed)

    def take(self, name: str, subject: str = "") -> Fault | None:
        """Return the fault to commit now on the subject, counting it, or none."""
        for fault in self._faults:
            if fault.name == name and fault.match in subject and self._random.random() < fault.rate:
                return self._use(fault)
        return None

    def take_all(self, names: Iterable[str], subject: str = "") -> dict[str, Fault]:
        """Return every fault among the names to commit on the subject, by name."""
        taken = ((str(name), self.take(name, subject)) for name in names)
        return {name: fault for name, fault in taken if fault}

    def _use(self, fault: Fault) -> Fault:
        used = fault.model_copy()
        if fault.remaining is not None:
            fault.remaining -= 1
            self._faults = [each for each in self._faults if each.remaining != 0]
        return used


class FaultApi:
    """The HTTP side of a fault book."""

    def __init__(self, book: FaultBook) -> None:
        self._book = book

    def routes(self) -> list[Route]:
        """Return the routes under /sandbox/faults."""
        return [
            Route("/sandbox/faults", self._show, methods=["GET"]),
            Route("/sandbox/faults", self._replace, methods=["PUT"]),
            Route("/sandbox/faults", self._add, methods=["POST"]),
            Route("/sandbox/faults", self._clear, methods=["DELETE"]),
            Route("/sandbox/faults/{name}", self._remove, methods=["DELETE"]),
        ]

    async def _show(self, request: Request) -> Response:
        return JSONResponse([fault.model_dump(exclude_none=True) for fault in self._book.armed])

    async def _replace(self, request: Request) -> Response:
        try:
            self._book.replace(_FAULTS.validate_json(await request.body()))
        except (ValidationError, UnknownFaultError) as error:
            return _refused(error)
        return await self._show(request)

    async def _add(self, request: Request) -> Response:
        try:
            self._book.add(Fault.model_validate_json(await request.body()))
        except (ValidationError, UnknownFaultError) as error:
            return _refused(error)
        return await self._show(request)

    async def _clear(self, request: Request) -> Response:
        self._book.clear()
        return await self._show(request)

    async def _remove(self, request: Request) -> Response:
        self._book.remove(request.path_params["name"])
        return await self._show(request)


def _refused(error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=422)
