"""Wakes tasks that wait for a topic."""

import asyncio
from contextlib import AbstractContextManager
from typing import Protocol


class Notifier(Protocol):
    """Wakes those who wait for a topic; a hint, so every waiter has a slow poll behind it."""

    def watch(self, *topics: str) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set whenever one of the topics is announced, by any replica."""

    def call_for_help(self, topic: str) -> None:
        """Wake all who wait for a topic, at once and in every replica."""
