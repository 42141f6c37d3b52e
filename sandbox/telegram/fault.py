"""Faults that can be switched on: which calls they hit, and how often."""

import itertools
import random
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from sandbox.telegram.error import (
    ApiError,
    blocked,
    chat_not_found,
    query_too_old,
    too_many_requests,
    unauthorized,
)
from sandbox.telegram.model import Json

FaultKind: TypeAlias = Literal[
    "too_many_requests",
    "server_error",
    "answer_lost",
    "timeout",
    "blocked",
    "chat_not_found",
    "late_callback",
    "token_revoked",
]
CHAT_KINDS = {"blocked", "chat_not_found"}
"""The faults that only a call about a chat can meet."""

SERVER_ERRORS = {500: "Internal Server Error", 502: "Bad Gateway"}


class FaultRule(BaseModel):
    """What goes wrong, for which calls, and how often; no condition means every call."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    method: str | None = None
    chat_id: int | None = None
    bot_id: int | None = None
    times: int | None = Field(default=None, ge=1)
    """How many calls are hit before the fault ends; none means until it is deleted."""
    rate: float = Field(default=1, gt=0, le=1)
    """The share of matching calls that is hit, drawn with `seed`."""
    seed: int = 0
    retry_after: int = Field(default=3, ge=1)
    """The seconds that `too_many_requests` asks to wait."""
    status: Literal[500, 502] = 502
    """The status of `server_error`."""
    seconds: float = Field(default=0, ge=0)
    """How long `answer_lost` and `timeout` keep the caller waiting before the cut."""

    def matches(self, method: str, *, chat_id: str, bot_id: int) -> bool:
        """Tell whether the conditions hold for a call."""
        if self.kind == "late_callback" and method.lower() != "answercallbackquery":
            return False
        if self.kind in CHAT_KINDS and not chat_id:
            return False
        return (
            self.method in (None, method)
            and self.chat_id in (None, _integer(chat_id))
            and self.bot_id in (None, bot_id)
        )

    def error(self) -> ApiError | None:
        """Return the refusal that the fault answers with, if it answers at all."""
        match self.kind:
            case "too_many_requests":
                return too_many_requests(self.retry_after)
            case "server_error":
                return ApiError(self.status, SERVER_ERRORS[self.status])
            case "blocked":
                return blocked()
            case "chat_not_found":
                return chat_not_found()
            case "late_callback":
                return query_too_old()
            case "token_revoked":
                return unauthorized()
            case "answer_lost" | "timeout":
                return None


class Fault:
    """A rule that is switched on."""

    def __init__(self, number: int, rule: FaultRule) -> None:
        self.number = number
        self.rule = rule
        self.hits = 0
        self._random = random.Random(rule.seed)

    def draw(self) -> bool:
        """Tell whether the next matching call is hit, and count it."""
        is_used_up = self.rule.times is not None and self.hits >= self.rule.times
        is_hit = not is_used_up and self._random.random() < self.rule.rate
        self.hits += is_hit
        return is_hit

    def to_json(self) -> Json:
        """Return the fault as the sandbox's own API shows it."""
        return {"id": self.number, "hits": self.hits} | self.rule.model_dump()


class Faults:
    """The faults that are switched on, oldest first."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._faults: dict[int, Fault] = {}

    def add(self, rule: FaultRule) -> Fault:
        """Switch a fault on."""
        fault = Fault(next(self._numbers), rule)
        self._faults[fault.number] = fault
        return fault

    def remove(self, number: int | None = None) -> None:
        """Switch one fault off, or all of them."""
        if number is None:
            self._faults.clear()
        else:
            self._faults.pop(number, None)

    def listed(self) -> list[Json]:
        """Return every fault, used up or not."""
        return [fault.to_json() for fault in self._faults.values()]

    def pick(self, method: str, *, chat_id: str, bot_id: int) -> FaultRule | None:
        """Return the fault that hits a call, if any."""
        for fault in self._faults.values():
            if fault.rule.matches(method, chat_id=chat_id, bot_id=bot_id) and fault.draw():
                return fault.rule
        return None


def _integer(text: str) -> int | None:
    return int(text) if text.removeprefix("-").isdecimal() else None
