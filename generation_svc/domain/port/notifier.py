"""Wakes tasks that wait for a topic, and gives those who follow a job its revisions."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from generation_svc.domain.job import Job

WORK_PREFIX = "work:"
"""The topics that begin with this are work: it is enough if one who hears of it does it."""


class Follower(Protocol):
    """One who follows a job."""

    async def has_news(self, *, after: int, seconds: float) -> bool:
        """Wait until the job has changed since a revision, but no longer than that."""

    def reach(self, revision: int) -> None:
        """Say how far the job is; whoever waits after an earlier revision has news."""

    def take(self, *, after: int) -> Sequence[Job] | None:
        """Return the revisions after `after` without a gap, or None: they have to be read."""


class Notifier(Protocol):
    """Wakes those who wait for a topic; a hint, so every waiter has a slow poll behind it."""

    def watch(self, *topics: str) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set whenever one of the topics is announced, by any replica."""

    def follow(self, topic: str) -> AbstractContextManager[Follower]:
        """Follow the job whose revisions are announced under a topic."""

    def call_for_help(self, topic: str) -> None:
        """Wake all who wait for a topic, at once and in every replica."""
