"""Hands the revisions that this process commits to those of it who follow the job.

They are given as they are, so nobody has to read them. Whoever hears of a change by another
replica, or was given something with a gap, reads the database: what is given is a short cut only.
"""

import asyncio
from collections.abc import Sequence
from math import inf

from generation_svc.domain.job import Job
from runtime.wait import is_set_within

MOST_KEPT = 8
"""How many revisions are kept for one who is slow; older ones are read again."""


class JobFollower:
    """What one who follows a job has not taken yet."""

    __slots__ = ("_after", "_event", "_is_behind", "_revisions")

    def __init__(self) -> None:
        self._after = inf
        """After which revision it waits; before it does, it knows the job as it is."""
        self._event = asyncio.Event()
        self._is_behind = False
        self._revisions: tuple[Job, ...] = ()

    def set(self) -> None:
        """Hear that something was committed which is not given here."""
        self._is_behind = True
        self._event.set()

    def reach(self, revision: int) -> None:
        """Say how far the job is; whoever waits after an earlier revision has news."""
        if revision > self._after:
            self.set()

    def give(self, revision: Job) -> None:
        """Give what this process has committed."""
        self._revisions = (*self._revisions[1 - MOST_KEPT :], revision)
        self._event.set()

    async def has_news(self, *, after: int, seconds: float) -> bool:
        """Wait until the job has changed since a revision, but no longer than that."""
        self._after = after
        return await is_set_within(self._event, seconds)

    def take(self, *, after: int) -> Sequence[Job] | None:
        """Return the revisions after `after` without a gap, or None: they have to be read."""
        self._event.clear()
        is_behind, self._is_behind = self._is_behind, False
        given, self._revisions = self._revisions, ()
        # Two tasks of this process may come back from their commits in another order than that in
        # which the job was locked.
        new = sorted(
            (each for each in given if each.revision > after), key=lambda each: each.revision
        )
        expected = list(range(after + 1, after + 1 + len(new)))
        is_whole = not is_behind and [each.revision for each in new] == expected
        return new if is_whole else None
