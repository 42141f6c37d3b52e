"""Who paid without an update is told of it: by the next edge that asks, and once."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from generation_svc.domain.error import PermissionDenied
from generation_svc.domain.top_up import TopUp, TopUpState
from generation_svc.usecase.money.tell_top_up import lease_untold, report_told
from tests.integration.test_star_list import BOT, payment, refunded, report
from tests.integration.test_top_up import EDGE, opened, record
from tests.lifecycle import Harness, OpenBench


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await opened(open_bench)


async def lease(harness: Harness, limit: int = 5) -> Sequence[TopUp]:
    return await lease_untold(harness.deps, EDGE, bot_id=BOT, limit=limit)


async def told(harness: Harness, top_up: TopUp) -> None:
    await report_told(harness.deps, EDGE, top_up_id=str(top_up.id), state=top_up.state)


async def time_passes(harness: Harness) -> None:
    """Let an update have been waited for, or a lease have run out."""
    await harness.query("UPDATE top_up SET tell_time = tell_time - interval '1 min' RETURNING id")


async def test_what_an_update_brought_is_not_told_again(harness: Harness) -> None:
    await record(harness)
    await report(harness, payment(), heal=True)
    await time_passes(harness)
    assert await lease(harness) == []


async def test_what_only_the_list_told_of_is_leased_until_it_is_told(harness: Harness) -> None:
    await report(harness, payment(), heal=True)
    assert await lease(harness) == []  # its update may still come
    await time_passes(harness)
    assert await lease(harness, limit=0) == ()
    [leased] = await lease(harness)
    assert (leased.external_id, leased.state) == ("charge-1", TopUpState.CREDITED)
    assert await lease(harness) == []  # it is somebody's now
    await time_passes(harness)
    [again] = await lease(harness)  # who was killed has told nothing
    for _ in range(2):
        await told(harness, again)
    await time_passes(harness)
    assert await lease(harness) == []


async def test_what_went_back_is_told_also_after_its_coming_was(harness: Harness) -> None:
    await report(harness, payment(), heal=True)
    await time_passes(harness)
    [credited] = await lease(harness)
    await report(harness, payment(), refunded(), heal=True)
    await told(harness, credited)  # late, and about what it was
    await time_passes(harness)
    [gone] = await lease(harness)
    assert gone.state is TopUpState.CHARGED_BACK
    await told(harness, gone)
    await time_passes(harness)
    assert await lease(harness) == []


async def test_what_a_restored_backup_lacks_was_told_before(harness: Harness) -> None:
    async with harness.transaction() as tx:
        await tx.epochs.close_restored("restored")
    await report(harness, payment(), heal=True)
    await report(harness, payment(), refunded(), heal=True)
    await time_passes(harness)
    assert await lease(harness) == []


async def test_only_the_bots_own_edge_tells(harness: Harness) -> None:
    await report(harness, payment(), heal=True)
    await time_passes(harness)
    stranger = replace(EDGE, bot_ids=frozenset())
    with pytest.raises(PermissionDenied):
        await lease_untold(harness.deps, stranger, bot_id=BOT, limit=1)
    [leased] = await lease(harness)
    with pytest.raises(PermissionDenied):
        await report_told(harness.deps, stranger, top_up_id=str(leased.id), state=leased.state)
