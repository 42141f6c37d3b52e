"""How many connections are open at once, and which one goes when there are too many."""

from __future__ import annotations

from typing import Protocol


class Guest(Protocol):
    """One connection."""

    @property
    def is_waiting(self) -> bool:
        """Whether no whole request of it is being answered."""

    def leave(self) -> None:
        """End: somebody else needs the place."""

    def hurry(self) -> None:
        """Answer whatever comes next at once, for there is no place."""


class Crowd:
    """Makes room for a newcomer at the cost of who has been silent longest.

    So that a thousand connections that say nothing keep nobody out. Where all of them are at work,
    the newcomer is answered without being heard; there is never more than one of those.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._guests: dict[Guest, None] = {}

    def enter(self, newcomer: Guest) -> None:
        """Count a connection in."""
        if len(self._guests) >= self._limit:
            waiting = next((guest for guest in self._guests if guest.is_waiting), None)
            if waiting:
                self.exit(waiting)
                waiting.leave()
            else:
                newcomer.hurry()
        self._guests[newcomer] = None

    def exit(self, guest: Guest) -> None:
        """Count a connection out, once or twice."""
        self._guests.pop(guest, None)
