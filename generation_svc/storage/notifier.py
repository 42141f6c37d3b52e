"""Wakes those who wait for a topic: in this process at once, in the others by NOTIFY.

Work that somebody in this process does is announced here alone. A revision is given to those of
this process who follow its job, so that they need not read it.

A wake-up is a hint. NOTIFY is sent after the commit, from a connection of its own and many at a
time, because inside a transaction it takes a database-wide lock at commit. Whoever waits also
looks by itself now and then, so a hint that is lost costs time and nothing else.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol
from uuid import uuid4

import psycopg
import structlog

from generation_svc.domain.job import Job
from generation_svc.domain.port.notifier import WORK_PREFIX
from generation_svc.storage.connection import NETWORK, bounded, check
from generation_svc.storage.follower import JobFollower

_logger = structlog.get_logger(__name__)
CHANNEL = "atelier"
MAX_PAYLOAD = 7900
"""The most bytes of one NOTIFY; PostgreSQL refuses 8000."""
MAX_WAITING = 10_000
"""How many announcements wait for the connection; more are dropped."""
RETRY_SECONDS = 1.0
QUIET_SECONDS = 20.0
"""How long nothing is heard before the connection is asked whether it lives."""
ANSWER_SECONDS = 5.0
"""How long the server may take to answer the notifier."""


class _Waiter(Protocol):
    """An event, or one who follows a job."""

    def set(self) -> None:
        """Hear that something has changed."""


class Notifier:
    """The topics that this process waits for, exchanged with the other replicas."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._outbox: set[str] = set()
        self._filled = asyncio.Event()
        self._origin = uuid4().hex
        self.is_listening = False
        """Whether the announcements of other replicas are heard."""

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

    @contextmanager
    def follow(self, topic: str) -> Iterator[JobFollower]:
        """Follow the job whose revisions are announced under a topic."""
        follower = JobFollower()
        self._waiters[topic].add(follower)
        try:
            yield follower
        finally:
            self._forget(topic, follower)

    def announce(self, topic: str) -> None:
        """Wake the waiters here, and those of other replicas soon; for work those here will do."""
        if topic.startswith(WORK_PREFIX) and topic in self._waiters:
            self._wake(topic)
        else:
            self.call_for_help(topic)

    def call_for_help(self, topic: str) -> None:
        """Wake the waiters here, and those of other replicas soon."""
        self._wake(topic)
        self._tell_others(topic)

    def publish(self, topic: str, revision: Job) -> None:
        """Give a revision to the followers here, and have those of other replicas read it."""
        for waiter in self._waiters.get(topic, ()):
            if isinstance(waiter, JobFollower):
                waiter.give(revision)
            else:
                waiter.set()
        self._tell_others(topic)

    def _tell_others(self, topic: str) -> None:
        if len(self._outbox) < MAX_WAITING:  # the others look by themselves
            self._outbox.add(topic)
            self._filled.set()

    @asynccontextmanager
    async def connected(self, database_url: str) -> AsyncIterator[None]:
        """Exchange announcements with the other replicas while the block runs."""
        async with asyncio.TaskGroup() as group:
            # Two connections: psycopg holds a connection's lock while it waits for notifications,
            # so the one that listens cannot send.
            tasks = [
                group.create_task(self._for_ever(database_url, send=True), name="notifier-notify"),
                group.create_task(self._for_ever(database_url, send=False), name="notifier-listen"),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    def _forget(self, topic: str, waiter: _Waiter) -> None:
        self._waiters[topic].discard(waiter)
        if not self._waiters[topic]:
            del self._waiters[topic]

    def _wake(self, topic: str) -> None:
        # The event is set and stays set: a waiter clears it before it looks, so no news falls
        # between.
        for waiter in self._waiters.get(topic, ()):
            waiter.set()

    def _wake_all(self) -> None:
        for topic in list(self._waiters):
            self._wake(topic)

    async def _for_ever(self, database_url: str, *, send: bool) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    # LISTEN takes effect, and NOTIFY leaves, at the commit.
                    database_url,
                    autocommit=True,
                    **NETWORK,
                ) as connection:
                    await (self._send(connection) if send else self._listen(connection))
            except (psycopg.Error, OSError) as error:
                self.is_listening = self.is_listening and send
                _logger.warning("the notifier lost its connection", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _send(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            # Taken before anything is awaited: what is announced meanwhile goes into a set of its
            # own.
            topics, self._outbox = self._outbox, set()
            try:
                for payload in _payloads(topics, origin=self._origin):
                    with bounded(connection, seconds=ANSWER_SECONDS):
                        await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
            except psycopg.Error:
                # Together with what was announced meanwhile; telling a topic twice does no harm.
                self._outbox |= topics
                self._filled.set()
                raise

    async def _listen(self, connection: psycopg.AsyncConnection) -> None:
        with bounded(connection, seconds=ANSWER_SECONDS):
            await connection.execute(f"LISTEN {CHANNEL}")
        self.is_listening = True
        self._wake_all()  # what was announced while nobody listened is not known
        while True:
            async for notification in connection.notifies(timeout=QUIET_SECONDS):
                self._hear(notification.payload)
            # A server that has vanished, or a proxy that dropped the connection, closes nothing:
            # without this question it would be listened to for ever.
            await check(connection)

    def _hear(self, payload: str) -> None:
        origin, topics = _read_payload(payload)
        # Our own waiters were woken at the commit, before PostgreSQL knew.
        if origin != self._origin:
            for topic in topics:
                self._wake(topic)


def _payloads(topics: set[str], *, origin: str) -> Iterator[str]:
    """Put as many topics as fit into each payload."""
    batch, size = [origin], len(origin)
    for topic in sorted(topics):
        if size + len(topic.encode()) >= MAX_PAYLOAD and len(batch) > 1:
            yield "\n".join(batch)
            batch, size = [origin], len(origin)
        batch.append(topic)
        size += len(topic.encode()) + 1
    yield "\n".join(batch)


def _read_payload(payload: str) -> tuple[str, list[str]]:
    """Read what `_payloads` wrote; foreign payloads name no topic that is known here."""
    origin, *topics = payload.split("\n")
    return origin, topics
