"""How models do: what the provider says, and what our own jobs show."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from generation_svc.domain.model_health import ModelHealth, ModelState
from generation_svc.engine.maintenance.health import forget_documents, watch_models
from generation_svc.lifecycle.forecast import forecast
from generation_svc.lifecycle.model_health import health_of
from generation_svc.provider.kie.success_rate import normal_share_of
from tests.lifecycle import Harness, OpenBench

MODEL = "z-image"


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await open_bench()


async def ran(harness: Harness, *, times: int, took: str, ago: str, failure: str = "") -> None:
    """Leave jobs that ended some time ago."""
    values = {"times": times, "took": took, "ago": ago, "failure": failure}
    await harness.query(_RAN.format(**values))


async def state(harness: Harness) -> ModelState | None:
    harness.deps.models.health.expire()
    found = (await health_of(harness.deps)).get(MODEL)
    return found.state if found else None


async def test_nothing_is_said_of_a_model_that_nobody_used(harness: Harness) -> None:
    assert await state(harness) is None


async def test_a_model_that_does_its_work_is_fine(harness: Harness) -> None:
    await ran(harness, times=5, took="10 s", ago="10 min")
    assert await state(harness) is ModelState.FINE


async def test_a_model_that_fails_half_the_time_is_failing(harness: Harness) -> None:
    await ran(harness, times=3, took="10 s", ago="10 min")
    await ran(harness, times=3, took="10 s", ago="10 min", failure="generation_failed")
    assert await state(harness) is ModelState.FAILING


async def test_what_users_asked_for_is_not_the_models_failure(harness: Harness) -> None:
    await ran(harness, times=5, took="10 s", ago="10 min")
    await ran(harness, times=30, took="10 s", ago="10 min", failure="content_refused")
    assert await state(harness) is ModelState.FINE


async def test_what_failed_two_hours_ago_is_forgotten(harness: Harness) -> None:
    await ran(harness, times=9, took="10 s", ago="2 h", failure="generation_failed")
    await ran(harness, times=5, took="10 s", ago="10 min")
    assert await state(harness) is ModelState.FINE


async def test_a_model_is_slow_beside_what_20_jobs_have_shown(harness: Harness) -> None:
    await ran(harness, times=19, took="10 s", ago="3 h")
    await ran(harness, times=5, took="30 s", ago="10 min")
    assert await state(harness) is ModelState.FINE
    await ran(harness, times=1, took="10 s", ago="3 h")
    assert await state(harness) is ModelState.SLOW
    assert (await health_of(harness.deps))[MODEL].usual == timedelta(seconds=10)


async def test_the_forecast_follows_a_model_that_is_slow(harness: Harness) -> None:
    job = await harness.accept()
    before = await forecast(harness.deps, job)
    await ran(harness, times=20, took="10 s", ago="3 h")
    await ran(harness, times=5, took="90 s", ago="10 min")
    assert await state(harness) is ModelState.SLOW
    after = await forecast(harness.deps, job)
    assert before.estimated_remaining is not None
    assert after.estimated_remaining is not None
    assert after.estimated_remaining >= timedelta(seconds=90) > before.estimated_remaining


async def test_the_provider_is_asked_about_used_models_and_rarely(harness: Harness) -> None:
    await watch_models(harness.deps)
    assert harness.provider.asked_about == []
    await harness.accept()
    harness.provider.normal_shares[MODEL] = 0.0
    for _ in range(3):
        await watch_models(harness.deps)
    assert harness.provider.asked_about == [MODEL]
    assert await state(harness) is ModelState.FAILING
    await harness.query("UPDATE model_health SET read_time = now() - interval '11 min'")
    harness.provider.normal_shares[MODEL] = 1.0
    await watch_models(harness.deps)
    assert harness.provider.asked_about == [MODEL, MODEL]
    assert await state(harness) is ModelState.FINE


async def test_of_all_replicas_one_asks(harness: Harness) -> None:
    await harness.accept()
    await asyncio.gather(*(watch_models(harness.deps) for _ in range(5)))
    assert harness.provider.asked_about == [MODEL]


async def test_a_document_outlives_every_job_that_was_made_with_it(harness: Harness) -> None:
    longest = harness.deps.timing.input_grace
    async with harness.transaction() as tx:
        for name in ("needed", "idle", "renewed"):
            await tx.catalog.keep_document(name, {"id": name})
    for name, age in (("needed", longest), ("idle", longest + timedelta(days=1, hours=1))):
        await harness.query(
            f"UPDATE catalog_document SET use_time = now() - interval '{age.total_seconds()} s'"
            f" WHERE digest IN ('{name}', 'renewed')"
        )
    async with harness.transaction() as tx:
        await tx.catalog.keep_document("renewed", {"id": "renewed"})
    await forget_documents(harness.deps)
    async with harness.transaction() as tx:
        names = ("needed", "idle", "renewed")
        kept = [name for name in names if await tx.catalog.document(name)]
    assert kept == ["needed", "renewed"]


@pytest.mark.parametrize(
    ("data", "share"),
    [
        (None, None),
        ([], None),
        ([{"start": "1", "isNormal": None}], None),
        ([{"start": "1", "isNormal": True}, {"start": "2", "isNormal": False}], 0.5),
        ({"buckets": [{"start": "1", "isNormal": True}]}, 1.0),
        ([{"start": f"{n:02}", "isNormal": n >= 18} for n in reversed(range(24))], 1.0),
        ("broken", None),
    ],
)
def test_the_providers_word_is_read(data: Any, share: float | None) -> None:
    assert normal_share_of(data) == share


def test_own_jobs_are_better_witnesses_than_the_provider() -> None:
    assert ModelHealth(succeeded=9, normal_share=0.0).state is ModelState.FINE


_RAN = """
WITH made AS (
    INSERT INTO job (id, caller, owner, model_id, inputs, is_free, credits, correlation_id, state,
        revision, create_time, update_time, start_deadline_time, result, failure)
    SELECT gen_random_uuid(), 'c', 'o', 'z-image', '{{}}', true, 0, '',
        CASE WHEN '{failure}' = '' THEN 'succeeded' ELSE 'failed' END, 1,
        now() - interval '{ago}', now() - interval '{ago}', now(),
        CASE WHEN '{failure}' = '' THEN '{{"media": []}}'::jsonb END,
        CASE WHEN '{failure}' <> ''
             THEN jsonb_build_object('reason', '{failure}', 'message', '') END
    FROM generate_series(1, {times}) RETURNING id, state, update_time)
INSERT INTO attempt (id, job_id, number, state, provider, account, token_hash, submit_time,
    accept_time, end_time, read_tries, fetch_tries, error, task_id)
SELECT gen_random_uuid(), id, 1, 'settled', 'kie', 'default', sha256(id::text::bytea),
    update_time - interval '{took}', update_time - interval '{took}', update_time, 0, 0, '',
    id::text
FROM made WHERE state = 'succeeded'
"""
