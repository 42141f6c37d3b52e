"""A model of which a task costs more than was quoted goes off sale until the operator looks."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from generation_svc.domain.cost_excess import ExcessBound
from generation_svc.domain.error import Unavailable, UnknownModel
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.schema import JsonObject
from generation_svc.engine.maintenance.excess import switch_off_dear
from generation_svc.lifecycle.current_catalog import refresh
from generation_svc.usecase.change_catalog import change_override, overrides
from tests.e2e.program import until
from tests.lifecycle import CALLER, SUCCESS, Harness, OpenBench
from tests.money import FREE, IMAGEN, check_ledger, grant

MODEL = IMAGEN["model_id"]
DEAR = replace(SUCCESS, cost=Decimal(12))


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    """A replica that sells, to somebody who has credits."""
    harness = await open_bench(money=MoneyMode.TEST)
    await grant(harness, 1000)
    return harness


async def dear_job(harness: Harness) -> None:
    """Have the provider take 12 credits for a job that was quoted with 8."""
    await harness.run(**IMAGEN)
    await harness.callback(DEAR)
    await harness.fetch_all()


async def test_a_dear_model_goes_off_sale_with_the_next_sweep(harness: Harness) -> None:
    await dear_job(harness)
    await harness.accept(**IMAGEN)  # nobody has looked yet

    await harness.sweep()

    with pytest.raises(UnknownModel):
        await harness.accept(**IMAGEN)
    await harness.accept(**FREE)
    await harness.accept(model_id="google/imagen4-fast")
    (override,) = (await overrides(harness.deps)).values()
    assert override.is_off
    assert override.reason.startswith("cost 12 above quote 8 (attempt ")
    await check_ledger(harness)


async def test_what_the_operator_switches_on_again_stays_on_until_the_next_dear_task(
    harness: Harness,
) -> None:
    await dear_job(harness)
    await harness.sweep()
    await change_override(harness.deps, CALLER, MODEL, is_off=False)

    await harness.callback(DEAR)  # told once more
    await harness.sweep()
    await harness.accept(**IMAGEN)
    await harness.dispatch_all()

    await harness.callback(DEAR)
    await harness.sweep()
    with pytest.raises(UnknownModel):
        await harness.accept(**IMAGEN)


async def test_a_cost_within_the_bound_of_the_settings_changes_nothing(harness: Harness) -> None:
    bound = ExcessBound(share=Decimal("0.5"))
    money = replace(harness.deps.money, excess_bound=bound)
    harness.deps = replace(harness.deps, money=money)
    await dear_job(harness)
    await harness.sweep()
    assert await overrides(harness.deps) == {}


async def test_what_else_the_operator_wants_of_a_model_stays(harness: Harness) -> None:
    patch: JsonObject = {"title": {"en": "Ours", "ru": "Наша"}}
    await change_override(harness.deps, CALLER, MODEL, patch=patch)
    await dear_job(harness)
    await harness.sweep()
    override = (await overrides(harness.deps))[MODEL]
    assert (override.is_off, override.patch) == (True, patch)


async def test_another_replica_sells_it_no_more_either(
    harness: Harness, open_bench: OpenBench
) -> None:
    replica = await open_bench(money=MoneyMode.TEST, sharing=harness)
    await dear_job(harness)
    await asyncio.gather(switch_off_dear(harness.deps), switch_off_dear(replica.deps))
    async with harness.transaction() as tx:
        assert await tx.catalog.revision() == 1
    await refresh(replica.deps)
    with pytest.raises(UnknownModel):
        await replica.accept(**IMAGEN)


async def test_who_dies_while_switching_off_leaves_it_to_the_next(harness: Harness) -> None:
    await dear_job(harness)
    async with harness.transaction() as tx:
        await tx.catalog.advance(0)  # so that there is a row to wait for
    async with harness.connection.transaction():
        await harness.query("SELECT FROM catalog_state FOR UPDATE")
        dying = asyncio.create_task(switch_off_dear(harness.deps))

        async def is_killed() -> bool:
            rows = await harness.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return bool(rows)

        await until(is_killed, within_s=10, what="the sweep waits for the lock")
        with pytest.raises(Unavailable):
            await dying
    assert await overrides(harness.deps) == {}

    await harness.sweep()
    assert (await overrides(harness.deps))[MODEL].is_off
