import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from generation_svc.domain.error import SessionConflict
from generation_svc.domain.port import SessionRecord
from tests.lifecycle import Bench, OpenBench

SPAN = timedelta(seconds=30)


async def put(bench: Bench, session: SessionRecord, *, caller: str = "edge") -> SessionRecord:
    async with bench.transaction() as tx:
        return await tx.edge.put_session(session, caller=caller)


async def get(bench: Bench, *, caller: str = "edge") -> SessionRecord:
    async with bench.transaction() as tx:
        return await tx.edge.get_session(7, key="chat:1", caller=caller)


async def lease(bench: Bench, holder: str, *, span: timedelta = SPAN, caller: str = "edge") -> bool:
    async with bench.transaction() as tx:
        is_granted, _ = await tx.edge.lease_updates(7, holder=holder, span=span, caller=caller)
    return is_granted


async def test_a_session_is_kept_version_by_version(bench: Bench) -> None:
    fresh = await get(bench)
    assert (fresh.version, fresh.data, fresh.update_time) == (0, b"", None)

    first = await put(bench, replace(fresh, data=b"\x00one"))
    second = await put(bench, replace(first, data=b"two"))

    assert (first.version, second.version) == (1, 2)
    assert await get(bench) == second
    assert (await get(bench, caller="b")).version == 0


@pytest.mark.parametrize("version", [0, 1, 3])
async def test_a_stale_version_conflicts_and_names_the_present_one(
    bench: Bench, version: int
) -> None:
    session = await put(bench, await get(bench))
    await put(bench, session)

    with pytest.raises(SessionConflict) as conflict:
        await put(bench, replace(session, version=version))

    assert conflict.value.version == 2


async def test_of_many_writers_at_once_one_wins(bench: Bench) -> None:
    for _ in range(2):  # the first write, then a later one
        session = await get(bench)
        outcomes = await asyncio.gather(
            *(put(bench, session) for _ in range(20)), return_exceptions=True
        )
        assert sum(isinstance(each, SessionRecord) for each in outcomes) == 1
        assert sum(isinstance(each, SessionConflict) for each in outcomes) == 19


async def test_one_holder_polls_for_a_bot(bench: Bench, open_bench: OpenBench) -> None:
    other = await open_bench()
    holders = [(each, f"holder-{n}") for n in range(10) for each in (bench, other)]

    granted = await asyncio.gather(*(lease(each, f"{name}") for each, name in holders))
    winners = {name for (_, name), is_granted in zip(holders, granted, strict=True) if is_granted}

    assert len(winners) == 1
    assert await lease(bench, winners.pop())  # keeps it


async def test_a_lease_is_taken_over_once_it_ran_out_or_was_given_up(bench: Bench) -> None:
    assert await lease(bench, "a")
    await bench.later(seconds=29)
    assert not await lease(bench, "b")
    await bench.later(seconds=2)
    assert await lease(bench, "b")
    assert not await lease(bench, "a")

    assert not await lease(bench, "a", span=timedelta(0))  # not its own to give up
    assert not await lease(bench, "a")
    await lease(bench, "b", span=timedelta(0))
    assert await lease(bench, "a")


async def test_another_caller_does_not_share_a_holder_name(bench: Bench) -> None:
    assert await lease(bench, "a")
    assert not await lease(bench, "a", caller="b")
    await lease(bench, "a", span=timedelta(0), caller="b")
    assert not await lease(bench, "c")
