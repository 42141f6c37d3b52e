"""What was called and how it was answered, for tests and the curious."""

import itertools
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field

from sandbox.telegram.model import Json
from sandbox.telegram.param import Params

KEPT = 10_000


@dataclass
class CallRecord:
    """One call of the Bot API; `status` is none while it runs and 0 if the answer was lost."""

    id: int
    bot_id: int
    method: str
    params: Json
    files: list[Json]
    time: float = field(default_factory=time.time)
    seconds: float | None = None
    status: int | None = None
    description: str | None = None
    fault: str | None = None

    def finish(self, status: int, description: str | None = None) -> None:
        """Note the answer."""
        self.status, self.description = status, description
        self.seconds = time.time() - self.time


class Journal:
    """Keeps the latest calls and counts them all."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._records: deque[CallRecord] = deque(maxlen=KEPT)
        self.counters: Counter[str] = Counter()

    def open(self, method: str, *, bot_id: int, params: Params) -> CallRecord:
        """Note a call that has just come in."""
        files = [
            {"field": name, "name": file.name, "size": len(file.data)}
            for name, file in params.files.items()
        ]
        record = CallRecord(next(self._numbers), bot_id, method, params.values, files)
        self._records.append(record)
        self.counters[f"calls.{method}"] += 1
        return record

    def close(self, record: CallRecord, *, status: int, description: str | None = None) -> None:
        """Note how a call ended."""
        record.finish(status, description)
        self.counters[f"answers.{status or 'lost'}"] += 1

    def listed(self, *, method: str, chat_id: str, bot_id: str) -> list[Json]:
        """Return the calls that match every condition given."""
        wanted = {"method": method, "bot_id": bot_id}
        return [
            asdict(record)
            for record in self._records
            if all(not value or str(getattr(record, key)) == value for key, value in wanted.items())
            and (not chat_id or str(record.params.get("chat_id")) == chat_id)
        ]

    def clear(self) -> None:
        """Forget every call and count."""
        self._records.clear()
        self.counters.clear()
