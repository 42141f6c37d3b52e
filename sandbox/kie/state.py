"""Everything that the KIE stand-in remembers, in one place and in memory."""

from dataclasses import dataclass

from starlette.requests import Request

from sandbox.fault import FaultBook
from sandbox.kie.account import ONLY, Account
from sandbox.kie.catalog import Catalog
from sandbox.kie.fault import KieFault
from sandbox.kie.file import FileStore
from sandbox.kie.journal import Journal
from sandbox.kie.settings import FIXED_SETTINGS, KieSettings
from sandbox.kie.task import Task


@dataclass(frozen=True)
class Asset:
    """Something that a task made and later tasks may name: a song, a persona, a voice."""

    kind: str
    account: str
    url: str = ""
    """Where it can be heard, for songs and stems."""
    words: str = ""
    """What is sung."""


class Kie:
    """The accounts at KIE with their tasks, the files, and what is to go wrong."""

    def __init__(self, settings: KieSettings) -> None:
        self._initial = settings.model_copy(deep=True)
        self.settings = settings
        self.faults = FaultBook(KieFault, seed=settings.seed)
        self.files = FileStore(settings.base_url)
        self.journal = Journal()
        self.catalog = Catalog(settings.models_path)
        self.clear()

    def clear(self) -> None:
        """Forget every task, file, request and fault, and fill the accounts again."""
        self.tasks: dict[str, Task] = {}
        self.assets: dict[str, Asset] = {}
        self.planted: dict[str, bytes] = {}
        """What models give for a prompt, instead of what they would make."""
        self.catalog.clear()
        self.accounts: dict[str, Account] = {}
        for name in self.settings.api_keys or (ONLY,):
            self.account(name)
        self.faults.clear()
        self.files.clear()
        self.journal.clear()

    def restore(self) -> None:
        """Take every setting back to its value at start."""
        for name in type(self._initial).model_fields:
            if name not in FIXED_SETTINGS:
                setattr(self.settings, name, getattr(self._initial, name))

    def account(self, name: str) -> Account:
        """Return an account, opened full if it was not there yet."""
        opened = Account(name=name, credits=self.settings.credits)
        return self.accounts.setdefault(name, opened)

    def account_of(self, key: str) -> Account | None:
        """Return the account that a key opens; none for a wrong or a revoked one."""
        name = self._name_of(key)
        account = self.account(name) if name else None
        return None if account is None or account.is_revoked else account

    def _name_of(self, key: str) -> str | None:
        if keys := self.settings.api_keys:
            return next((name for name, expected in keys.items() if key == expected), None)
        expected = self.settings.api_key
        return ONLY if (key == expected if expected else key.strip()) else None

    def running_count(self, account: Account) -> int:
        """Return the number of tasks of an account that have not ended."""
        return sum(task.is_running for task in self.tasks.values() if task.account == account.name)

    def admits_creation(self, account: Account) -> bool:
        """Count a createTask and say whether both limits of the account allow it."""
        limit, span_s = self.settings.create_limit, self.settings.create_window_s
        has_room = self.running_count(account) < self.settings.max_concurrent
        return account.create_window.admit(limit=limit, span_s=span_s) and has_room

    def admits_read(self, account: Account) -> bool:
        """Count a recordInfo and say whether the limit of the account allows it."""
        return account.read_window.admit(limit=self.settings.read_limit, span_s=1.0)

    def admits_description(self, account: Account) -> bool:
        """Count a request for what KIE says of its models, and say whether it is allowed."""
        limit, span_s = self.settings.description_limit, self.settings.description_window_s
        return account.description_window.admit(limit=limit, span_s=span_s)

    def duration_of(self, model: str) -> float:
        """Return how long a task of the model takes, in seconds."""
        return self.settings.model_duration_s.get(model, self.settings.duration_s)


def kie_of(request: Request) -> Kie:
    """Return the stand-in that the request came to."""
    kie: Kie = request.app.state.kie
    return kie
