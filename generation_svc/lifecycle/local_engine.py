"""The engine of this process, as it is seen by what callers start.

A use case may claim an item in its own transaction and have it done here, if there is a place; and
it may tell when a row will be due, so that nobody has to look. Both are shortcuts: without an
engine, or without a place, whoever looks finds the row.
"""

from datetime import timedelta
from typing import Any, Protocol, TypeVar

from generation_svc.domain.port.transaction import Transaction

_Item = TypeVar("_Item", contravariant=True)


class Slot(Protocol[_Item]):
    """A reserved place; whoever has it starts an item there, or releases it."""

    def start(self, item: _Item, /) -> None:
        """Have an item done that was claimed for this process, now that its claim is committed."""

    def release(self) -> None:
        """Give the place back; this does nothing once an item was started there."""


class Scheduler(Protocol):
    """One kind of work."""

    def try_reserve(self) -> Slot[Any] | None:
        """Reserve a place if one is free and the service does not stop."""

    def due_in(self, span: timedelta, /) -> None:
        """Look for work after so long, if none is to be looked for earlier."""


class LocalEngine:
    """The schedulers of this process, by the topic of what they do; none where no engine runs."""

    def __init__(self) -> None:
        self._schedulers: dict[str, Scheduler] = {}

    def add(self, topic: str, scheduler: Scheduler) -> None:
        """Let use cases reach a scheduler."""
        self._schedulers[topic] = scheduler

    def try_reserve(self, topic: str) -> Slot[Any] | None:
        """Reserve a place for an item that the caller is about to claim, if there is one."""
        scheduler = self._schedulers.get(topic)
        return scheduler.try_reserve() if scheduler else None

    def due_in(self, topic: str, span: timedelta) -> None:
        """Tell when a committed row will be due; a hint that may be wrong."""
        if scheduler := self._schedulers.get(topic):
            scheduler.due_in(span)

    def due_after(self, tx: Transaction, topic: str, *, span: timedelta) -> None:
        """Tell when a row that this transaction writes will be due, once it is durable."""
        if scheduler := self._schedulers.get(topic):
            tx.at_end(lambda is_durable: scheduler.due_in(span) if is_durable else None)
