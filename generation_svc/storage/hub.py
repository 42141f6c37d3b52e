"""Wakes those who wait for a topic: in this process at once, in the others by NOTIFY.

A wake-up is a hint. NOTIFY is sent after the commit, from a connection of its own and many at a
time, because inside a transaction it takes a database-wide lock at commit. Whoever waits also
looks by itself now and then, so a hint that is lost costs time and nothing else.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import uuid4

import psycopg
import structlog

_logger = structlog.get_logger(__name__)
CHANNEL = "atelier"
MAX_TOPICS = 100
"""How many topics go into one NOTIFY: its payload must stay under 8000 bytes."""
RETRY_SECONDS = 1.0


class Hub:
    """The topics that somebody in this process waits for."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._origin = uuid4().hex

    @contextmanager
    def watch(self, *topics: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever one of the topics is announced."""
        event = asyncio.Event()
        for topic in topics:
            self._waiters[topic].add(event)
        try:
            yield event
        finally:
            for topic in topics:
                self._forget(topic, event)

    def announce(self, topic: str) -> None:
        """Wake the waiters here, and those of other replicas soon."""
        self._wake(topic)
        self._outbox.put_nowait(topic)

    @asynccontextmanager
    async def connected(self, database_url: str) -> AsyncIterator[None]:
        """Exchange announcements with the other replicas while the block runs."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._for_ever(database_url, send=True), name="hub-notify"),
                group.create_task(self._for_ever(database_url, send=False), name="hub-listen"),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    def _forget(self, topic: str, event: asyncio.Event) -> None:
        self._waiters[topic].discard(event)
        if not self._waiters[topic]:
            del self._waiters[topic]

    def _wake(self, topic: str) -> None:
        for event in self._waiters.get(topic, ()):
            event.set()

    def _wake_all(self) -> None:
        for topic in list(self._waiters):
            self._wake(topic)

    async def _for_ever(self, database_url: str, *, send: bool) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    database_url, autocommit=True, connect_timeout=5
                ) as connection:
                    await (self._send(connection) if send else self._listen(connection))
            except (psycopg.Error, OSError) as error:
                _logger.warning("the hub lost its connection", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _send(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            topics = {await self._outbox.get()}
            with suppress(asyncio.QueueEmpty):
                while len(topics) < MAX_TOPICS:
                    topics.add(self._outbox.get_nowait())
            payload = json.dumps([self._origin, *sorted(topics)])
            await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))

    async def _listen(self, connection: psycopg.AsyncConnection) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        self._wake_all()  # what was announced while nobody listened is not known
        async for notification in connection.notifies():
            origin, *topics = json.loads(notification.payload)
            if origin != self._origin:
                for topic in topics:
                    self._wake(topic)
