"""Everything that the KIE stand-in remembers, in one place and in memory."""

from starlette.requests import Request

from sandbox.fault import FaultBook
from sandbox.kie.fault import KieFault
from sandbox.kie.file import FileStore
from sandbox.kie.journal import Journal
from sandbox.kie.limit import Window
from sandbox.kie.settings import FIXED_SETTINGS, KieSettings
from sandbox.kie.task import Task


class Kie:
    """One account at KIE with its tasks, files, credits and limits, and what is to go wrong."""

    def __init__(self, settings: KieSettings) -> None:
        self._initial = settings.model_copy(deep=True)
        self.settings = settings
        self.faults = FaultBook(KieFault, seed=settings.seed)
        self.files = FileStore(settings.base_url)
        self.journal = Journal()
        self.clear()

    def clear(self) -> None:
        """Forget every task, file, request and fault, and fill the account again."""
        self.tasks: dict[str, Task] = {}
        self.credits = self.settings.credits
        self.create_window, self.read_window = Window(), Window()
        self.faults.clear()
        self.files.clear()
        self.journal.clear()

    def restore(self) -> None:
        """Take every setting back to its value at start."""
        for name in type(self._initial).model_fields:
            if name not in FIXED_SETTINGS:
                setattr(self.settings, name, getattr(self._initial, name))

    @property
    def running_count(self) -> int:
        """The number of tasks that have not ended."""
        return sum(task.is_running for task in self.tasks.values())

    def admits_creation(self) -> bool:
        """Count a createTask and say whether both limits allow it."""
        limit, span_s = self.settings.create_limit, self.settings.create_window_s
        has_room = self.running_count < self.settings.max_concurrent
        return self.create_window.admit(limit=limit, span_s=span_s) and has_room

    def admits_read(self) -> bool:
        """Count a recordInfo and say whether the limit allows it."""
        return self.read_window.admit(limit=self.settings.read_limit, span_s=1.0)

    def duration_of(self, model: str) -> float:
        """Return how long a task of the model takes, in seconds."""
        return self.settings.model_duration_s.get(model, self.settings.duration_s)


def kie_of(request: Request) -> Kie:
    """Return the stand-in that the request came to."""
    kie: Kie = request.app.state.kie
    return kie
