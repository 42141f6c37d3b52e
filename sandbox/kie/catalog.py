"""The models that KIE has: those of the documents, and those that were added while it runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sandbox.kie.document import entry_of
from sandbox.kie.entry import Entry, Json, Price

BUILT_FILE = "KIE_SOURCE_OF_TRUTH.json"
_ROOT = Path(__file__).parents[2]
FOLDERS = (_ROOT / "models", _ROOT / "generation_svc/models")
"""Where the documents are: in a checkout, and beside an installed wheel's packages."""


@dataclass
class Change:
    """How a model differs from its document."""

    price: Price | None = None
    off: Literal["", "paused", "unpublished", "disabled"] = ""
    """In which of KIE's ways it is switched off."""
    success_rates: list[float | None] = field(default_factory=list)
    """The percentages of the newest buckets of `/success-rate`; none means no traffic."""
    is_synced: bool = True
    """Whether KIE has a schema of it."""


class Catalog:
    """Entries by model id, read when they are first asked for."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: dict[str, Json] | None = None
        self.clear()

    def clear(self) -> None:
        """Forget what was added and changed."""
        self._entries: dict[str, Entry] = {}
        self._changes: dict[str, Change] = {}

    def find(self, model: str) -> Entry | None:
        """Return the entry of a model, or none for one that KIE does not have."""
        if model in self._entries or model not in self._documents:
            return self._entries.get(model)
        if entry := entry_of(self._documents[model]):
            self._entries[model] = entry
        return entry

    def shape(self, model: str) -> str:
        """Return where the record of the model has its result."""
        entry = self.find(model)
        return entry.shape if entry else ""

    def ids(self) -> list[str]:
        """Return the ids of all models, sorted."""
        return sorted({*self._documents, *self._entries})

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, by id."""
        return (entry for model in self.ids() if (entry := self.find(model)))

    def add(self, entry: Entry) -> None:
        """Have one more model, or another one under the same id."""
        self.remove(entry.model)
        self._entries[entry.model] = entry

    def remove(self, model: str) -> None:
        """Have an added model no more, and undo what was changed of one."""
        self._entries.pop(model, None)
        self._changes.pop(model, None)

    def change(self, model: str) -> Change:
        """Return what is changed of a model, which can be changed further."""
        return self._changes.setdefault(model, Change())

    def price(self, entry: Entry) -> Price:
        """Return what the model costs now."""
        return self.change(entry.model).price or entry.price

    @property
    def _documents(self) -> dict[str, Json]:
        if self._read is None:
            self._read = {each["id"]: each for each in _documents_in(self._folder)}
        return self._read


def _documents_in(folder: Path | None) -> Iterator[Json]:
    """Yield the documents that are offered now; withdrawn ones are gone at KIE as well."""
    for place in [folder] if folder else FOLDERS:
        if (file := place / BUILT_FILE).exists():
            built: dict[str, Any] = json.loads(file.read_bytes())
            yield from (each for each in built["models"] if _is_offered(each))
            return


def _is_offered(document: Json) -> bool:
    return bool(document.get("offers")) and not document.get("withdrawn")
