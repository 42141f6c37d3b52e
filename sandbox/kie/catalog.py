"""The models that KIE has: those of the documents, and those that were added while it runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox.kie.document import entry_of
from sandbox.kie.entry import Entry, Json, Price

BUILT_FILE = "KIE_SOURCE_OF_TRUTH.json"
_ROOT = Path(__file__).parents[2]
FOLDERS = (_ROOT / "models", _ROOT / "generation_svc/models")
"""Where the documents are: in a checkout, and beside an installed wheel's packages."""


class Catalog:
    """Entries by model id, read when they are first asked for."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: dict[str, Json] | None = None
        self.clear()

    def clear(self) -> None:
        """Forget what was added, changed and switched off."""
        self._entries: dict[str, Entry] = {}
        self._prices: dict[str, Price] = {}
        self._off: dict[str, str] = {}
        self._rates: dict[str, list[float | None]] = {}

    def find(self, model: str) -> Entry | None:
        """Return the entry of a model, or none for one that KIE does not have."""
        if model in self._entries or model not in self._documents:
            return self._entries.get(model)
        if entry := entry_of(self._documents[model]):
            self._entries[model] = entry
        return entry

    def ids(self) -> list[str]:
        """Return the ids of all models, sorted."""
        return sorted({*self._documents, *self._entries})

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, by id."""
        return (entry for model in self.ids() if (entry := self.find(model)))

    def add(self, entry: Entry) -> None:
        """Have one more model, or another one under the same id."""
        self._entries[entry.model] = entry
        self._prices.pop(entry.model, None)

    def remove(self, model: str) -> None:
        """Have an added model no more."""
        self._entries.pop(model, None)

    def price(self, entry: Entry) -> Price:
        """Return what the model costs now."""
        return self._prices.get(entry.model, entry.price)

    def set_price(self, model: str, price: Price) -> None:
        """Let the model cost something else."""
        self._prices[model] = price

    def is_price_set(self, model: str) -> bool:
        """Return whether its price differs from that of its document."""
        return model in self._prices

    def off(self, model: str) -> str:
        """Return how the model is switched off, empty for one that is on."""
        return self._off.get(model, "")

    def switch(self, model: str, *, off: str) -> None:
        """Switch a model off in one of KIE's ways, or on with an empty text."""
        self._off[model] = off

    def success_rates(self, model: str) -> list[float | None]:
        """Return what was set for the buckets of the last day, the newest last."""
        return self._rates.get(model, [])

    def set_success_rates(self, model: str, rates: list[float | None]) -> None:
        """Set the rates of the newest buckets; none means no traffic."""
        self._rates[model] = rates

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
