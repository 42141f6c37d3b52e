"""A place for one item that was claimed by somebody else in this process."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """A reserved place; whoever has it starts an item there, or releases it."""

    def __init__(self, *, start: Callable[[T], None], release: Callable[[], None]) -> None:
        self._start, self._release = start, release
        self._is_used = False

    def start(self, item: T, /) -> None:
        """Have an item done that was claimed for this process, now that its claim is committed."""
        assert not self._is_used, "a slot is used once"
        self._is_used = True
        self._start(item)

    def release(self) -> None:
        """Give the place back; this does nothing once an item was started there."""
        if not self._is_used:
            self._is_used = True
            self._release()
