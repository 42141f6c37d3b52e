import asyncio
import time

import psycopg
import pytest

from generation_svc.storage.notifier import CHANNEL, MAX_WAITING, Notifier
from tests.lifecycle import Harness, OpenBench


async def heard(event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(10):
            return await event.wait()
    except TimeoutError:
        return False


async def until_listening(*benches: Harness) -> None:
    """Wait until the hubs hear each other, and have woken all for what they missed before."""
    deadline = time.monotonic() + 10
    while len(await _listeners(benches[0])) < len(benches):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    for harness in benches:
        with harness.deps.database.watch("ready") as ready:
            await harness.query("SELECT pg_notify(%s, %s)", CHANNEL, "test\nready")
            assert await heard(ready)


async def _listeners(harness: Harness) -> list[int]:
    rows = await harness.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE 'LISTEN%' AND state = 'idle'"
    )
    return [row["pid"] for row in rows]


async def test_a_commit_wakes_the_waiters_of_every_replica(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await open_bench()
    await until_listening(harness, other)
    with (
        harness.deps.database.watch("a", "b") as here,
        other.deps.database.watch("b") as there,
        other.deps.database.watch("c") as unconcerned,
    ):
        there.clear()
        unconcerned.clear()
        async with harness.transaction() as tx:
            tx.announce("b")
            await asyncio.sleep(0)
            assert not here.is_set()  # not before the commit
        assert here.is_set()
        assert await heard(there)
        assert not unconcerned.is_set()


async def announce_and_fail(harness: Harness) -> None:
    async with harness.transaction() as tx:
        tx.announce("a")
        raise LookupError


async def test_a_rollback_announces_nothing(harness: Harness) -> None:
    await until_listening(harness)
    with harness.deps.database.watch("a") as event:
        event.clear()
        with pytest.raises(LookupError):
            await announce_and_fail(harness)
        assert not event.is_set()


async def test_a_lost_connection_heals_and_wakes_all_who_may_have_missed_something(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await open_bench()
    await until_listening(harness, other)
    with other.deps.database.watch("a") as event:
        event.clear()
        await harness.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> ALL(%s)",
            [each.connection.info.backend_pid for each in (harness, other)],
        )
        assert await heard(event)
        await until_listening(harness, other)
        event.clear()
        async with harness.transaction() as tx:  # the pool heals, too
            tx.announce("a")
        assert await heard(event)


async def test_nothing_remains_of_those_who_watched(harness: Harness) -> None:
    notifier = Notifier()
    for n in range(100):
        with notifier.watch(f"job:{n}", "shared"), notifier.watch("shared"):
            notifier.announce("shared")
    assert not notifier._waiters


async def test_more_announcements_than_one_notify_can_carry_all_arrive(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await open_bench()
    await until_listening(harness, other)
    topics = [f"queue:{n}/{'я' * 60}" for n in range(300)]
    watch = other.deps.database.watch
    with watch(topics[0]) as first, watch(topics[-1]) as last:
        async with harness.transaction() as tx:
            for each in topics:
                tx.announce(each)
        assert await heard(first)
        assert await heard(last)


async def test_a_hub_without_a_connection_keeps_no_more_than_it_may() -> None:
    notifier = Notifier()
    for n in range(2 * MAX_WAITING):
        notifier.announce(f"job:{n}")
    assert len(notifier._outbox) == MAX_WAITING


async def test_what_somebody_else_notifies_harms_nothing(
    harness: Harness, database_url: str
) -> None:
    await until_listening(harness)
    with psycopg.connect(database_url, autocommit=True) as stranger:
        for payload in ("", "{", "[1, 2]", "x" * 7000):
            stranger.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
        with harness.deps.database.watch("a") as event:
            stranger.execute("SELECT pg_notify(%s, %s)", (CHANNEL, "stranger\na"))
            assert await heard(event)
