import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from generation_svc.domain.error import SessionConflict
from generation_svc.domain.port.session import SessionRecord
from tests.lifecycle import Harness, OpenBench

SPAN = timedelta(seconds=30)


async def put(harness: Harness, session: SessionRecord, *, caller: str = "edge") -> SessionRecord:
    async with harness.transaction() as tx:
        return await tx.edge.put_session(session, caller=caller)


async def get(harness: Harness, *, caller: str = "edge") -> SessionRecord:
    async with harness.transaction() as tx:
        return await tx.edge.get_session(7, key="chat:1", caller=caller)


async def lease(
    harness: Harness, holder: str, *, span: timedelta = SPAN, caller: str = "edge"
) -> bool:
    async with harness.transaction() as tx:
        is_granted, _ = await tx.edge.lease_updates(7, holder=holder, span=span, caller=caller)
    return is_granted


async def test_a_session_is_kept_version_by_version(harness: Harness) -> None:
    fresh = await get(harness)
    assert (fresh.version, fresh.data, fresh.update_time) == (0, b"", None)

    first = await put(harness, replace(fresh, data=b"\x00one"))
    second = await put(harness, replace(first, data=b"two"))

    assert (first.version, second.version) == (1, 2)
    assert await get(harness) == second
    assert (await get(harness, caller="b")).version == 0


@pytest.mark.parametrize("version", [0, 1, 3])
async def test_a_stale_version_conflicts_and_names_the_present_one(
    harness: Harness, version: int
) -> None:
    session = await put(harness, await get(harness))
    await put(harness, session)

    with pytest.raises(SessionConflict) as conflict:
        await put(harness, replace(session, version=version))

    assert conflict.value.version == 2


async def test_of_many_writers_at_once_one_wins(harness: Harness) -> None:
    for _ in range(2):  # the first write, then a later one
        session = await get(harness)
        outcomes = await asyncio.gather(
            *(put(harness, session) for _ in range(20)), return_exceptions=True
        )
        assert sum(isinstance(each, SessionRecord) for each in outcomes) == 1
        assert sum(isinstance(each, SessionConflict) for each in outcomes) == 19


async def test_one_holder_polls_for_a_bot(harness: Harness, open_bench: OpenBench) -> None:
    other = await open_bench()
    holders = [(each, f"holder-{n}") for n in range(10) for each in (harness, other)]

    granted = await asyncio.gather(*(lease(each, f"{name}") for each, name in holders))
    winners = {name for (_, name), is_granted in zip(holders, granted, strict=True) if is_granted}

    assert len(winners) == 1
    assert await lease(harness, winners.pop())  # keeps it


async def test_a_lease_is_taken_over_once_it_ran_out_or_was_given_up(harness: Harness) -> None:
    assert await lease(harness, "a")
    await harness.later(seconds=29)
    assert not await lease(harness, "b")
    await harness.later(seconds=2)
    assert await lease(harness, "b")
    assert not await lease(harness, "a")

    assert not await lease(harness, "a", span=timedelta(0))  # not its own to give up
    assert not await lease(harness, "a")
    await lease(harness, "b", span=timedelta(0))
    assert await lease(harness, "a")


async def test_another_caller_does_not_share_a_holder_name(harness: Harness) -> None:
    assert await lease(harness, "a")
    assert not await lease(harness, "a", caller="b")
    await lease(harness, "a", span=timedelta(0), caller="b")
    assert not await lease(harness, "c")
