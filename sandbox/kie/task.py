"""A task at KIE: what was asked, how it stands, how it ended."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sandbox.fault import Fault
from sandbox.kie.fault import KieFault


class Failure(NamedTuple):
    """Why a task failed, in KIE's words."""

    code: str
    message: str


INTERNAL_ERROR = Failure("500", "Internal Error, Please try again later.")
INAPPROPRIATE = Failure("500", "Inappropriate content, please try another prompt.")
FETCH_FAILED = Failure(
    "400", "Image fetch failed. Check access settings or use our File Upload API instead."
)

_WORDS = ("prompt", "text", "lyrics", "style", "content")
COST_LATE_S = 5.0
"""How long a cost is not told unless the fault says."""
PENDING_STATES = ("waiting", "queuing", "generating")


def now_ms() -> int:
    """Return the milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(kw_only=True)
class Task:
    """One accepted createTask."""

    model: str
    fields: dict[str, Any]
    """The `input` as it was sent."""
    callback_url: str | None
    account: str
    """The name of the account that it was created on; no other one can read it."""
    credits: float
    """What it consumed; 0 once it failed."""
    duration_s: float
    faults: Mapping[str, Fault] = field(default_factory=dict)
    id: str = ""
    create_ms: int = field(default_factory=now_ms)
    complete_ms: int | None = None
    urls: list[str] = field(default_factory=list)
    """The links of the results, once it succeeded."""
    told: dict[str, Any] = field(default_factory=dict)
    """What `resultJson` says of them where that is more than their links."""
    shape: str = ""
    """Where the record has the result, as `response`, too (kie-api.md §9); empty for the free
    models, of which it was seen in `resultJson` alone."""
    failure: Failure | None = None

    def __post_init__(self) -> None:
        """Give it an id: 32 hexadecimal digits, or a number where a fault says so."""
        is_number = self.fault(KieFault.NUMERIC_ID) is not None
        self.id = str(10**14 + secrets.randbelow(10**14)) if is_number else secrets.token_hex(16)

    @property
    def told_id(self) -> str | int:
        """The id as answers and callbacks tell it."""
        return int(self.id) if self.fault(KieFault.NUMERIC_ID) else self.id

    @property
    def told_credits(self) -> float | None:
        """What it consumed, as far as that is told by now."""
        late = self.fault(KieFault.COST_LATE)
        if late is None or self.failure:
            return self.credits
        if self.complete_ms is None:
            return None
        wait_ms = 1000 * (COST_LATE_S if late.seconds is None else late.seconds)
        return self.credits if now_ms() >= self.complete_ms + wait_ms else None

    def fault(self, kind: KieFault) -> Fault | None:
        """Return the fault of this kind that the task carries, or none."""
        return self.faults.get(kind)

    @property
    def subject(self) -> str:
        """The text that faults are matched against."""
        return subject_of(self.model, self.fields)

    @property
    def is_running(self) -> bool:
        """Whether the task has not ended."""
        return self.complete_ms is None

    @property
    def state(self) -> str:
        """KIE's word for how the task stands now."""
        if not self.is_running:
            return "fail" if self.failure else "success"
        if unknown := self.fault(KieFault.UNKNOWN_STATE):
            return unknown.variant or "paused"
        return "waiting" if self.fault(KieFault.WAITING_FOREVER) else self._pending_state()

    @property
    def age_s(self) -> float:
        """The seconds since createTask."""
        return (now_ms() - self.create_ms) / 1000

    @property
    def cost_time_s(self) -> int | None:
        """The whole seconds it took, once it ended (not milliseconds, as documented)."""
        return None if self.complete_ms is None else (self.complete_ms - self.create_ms) // 1000

    def succeed(self, urls: list[str], *, told: dict[str, Any]) -> None:
        """End the task with results."""
        self.urls, self.told, self.complete_ms = urls, told, now_ms()

    def fail(self, failure: Failure) -> None:
        """End the task with a failure, which costs nothing."""
        self.failure, self.credits, self.complete_ms = failure, 0.0, now_ms()

    def _pending_state(self) -> str:
        share = self.age_s / self.duration_s if self.duration_s else 1
        return PENDING_STATES[min(int(share * len(PENDING_STATES)), len(PENDING_STATES) - 1)]


def subject_of(model: str, fields: Mapping[str, Any]) -> str:
    """Return the text that faults are matched against."""
    words = next((fields[name] for name in _WORDS if fields.get(name)), "")
    return f"{model}\n{words}"
