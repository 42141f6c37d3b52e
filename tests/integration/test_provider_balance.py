"""Paid jobs are accepted as far as the accounts at the provider cover them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from generation_svc.domain.account import Account
from generation_svc.domain.error import ProviderUnreachable
from generation_svc.domain.job import DelayReason, Job
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.money_error import ProviderBalanceLow
from generation_svc.engine.maintenance.accounts import watch_accounts
from generation_svc.provider.kie.client import open_kie
from tests.integration.sandbox_kie import SandboxKie, sandbox_kie
from tests.lifecycle import Harness, OpenBench
from tests.money import FREE, IMAGEN, grant

AGE = 601
"""In seconds: so old is what nobody goes by."""


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    """A replica that sells, to somebody who has credits."""
    return await selling(open_bench)


async def selling(open_bench: OpenBench, *, accounts: Sequence[str] = ()) -> Harness:
    harness = await open_bench(money=MoneyMode.TEST, accounts=accounts)
    await grant(harness, 1000)
    return harness


async def told(harness: Harness, balance: int) -> None:
    """Have the provider tell a balance."""
    harness.provider.left = Decimal(balance)
    await harness.later(minutes=1)
    await watch_accounts(harness.deps)
    harness.deps.money.balance.expire()


async def accepted(harness: Harness, count: int) -> int:
    """Ask for so many jobs of 8 credits at once; return how many were accepted."""
    asked = [harness.accept(destination=None, **IMAGEN) for _ in range(count)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in outcomes if not isinstance(each, Job)]
    assert all(isinstance(each, ProviderBalanceLow) for each in refused), refused
    return count - len(refused)


async def test_paid_jobs_are_accepted_as_far_as_the_balance_goes(harness: Harness) -> None:
    await told(harness, 30)
    assert await accepted(harness, 10) == 3
    await harness.accept(**FREE)
    value = harness.registry.get_sample_value
    assert value("atelier_provider_unaffordable_jobs_total", {"limit": "balance"}) == 7


async def test_what_was_never_told_refuses_nothing(harness: Harness) -> None:
    harness.provider.left = ProviderUnreachable("no answer", code="")
    await watch_accounts(harness.deps)
    assert await accepted(harness, 10) == 10


async def test_what_was_told_long_ago_refuses_nothing_though_it_was_asked_for_since(
    harness: Harness,
) -> None:
    await told(harness, 0)
    assert await accepted(harness, 1) == 0
    await harness.later(seconds=AGE)
    harness.provider.left = ProviderUnreachable("no answer", code="")
    await watch_accounts(harness.deps)
    harness.deps.money.balance.expire()
    assert await accepted(harness, 1) == 1


async def test_what_is_queued_and_what_the_provider_took_since_is_counted(
    harness: Harness, open_bench: OpenBench
) -> None:
    await told(harness, 30)
    await harness.run(**IMAGEN)  # the provider took it after it told the balance
    await harness.accept(**IMAGEN)
    replica = await open_bench(money=MoneyMode.TEST, sharing=harness)
    assert await accepted(replica, 5) == 1

    await told(harness, 22)  # it told of the one that it took
    assert await accepted(harness, 5) == 0
    await told(harness, 24 + 8)
    assert await accepted(harness, 5) == 2


async def test_a_job_that_is_done_needs_no_cover(harness: Harness) -> None:
    await told(harness, 8)
    await harness.made(destination=None, **IMAGEN)
    harness.deps.money.balance.expire()
    assert await accepted(harness, 5) == 1


async def test_an_account_that_refuses_us_covers_nothing(open_bench: OpenBench) -> None:
    harness = await selling(open_bench, accounts=("default", "second"))
    await told(harness, 16)
    assert await accepted(harness, 10) == 4
    async with harness.transaction() as tx:
        await tx.breaker.trip(
            Account("kie", "second"),
            reason=DelayReason.PROVIDER_ACCOUNT,
            threshold=1,
            interval=harness.deps.timing.probe_interval,
        )
    await told(harness, 40)
    assert await accepted(harness, 10) == 1


async def test_nothing_is_asked_of_the_balance_where_nothing_is_sold(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench()
    await told(harness, 0)
    await harness.accept(**FREE)


@pytest.fixture
async def kie() -> AsyncIterator[SandboxKie]:
    async with sandbox_kie(credits=20) as sandbox:
        yield sandbox


async def test_the_balance_of_the_sandbox_is_what_counts(harness: Harness, kie: SandboxKie) -> None:
    async with open_kie({"default": "key"}, api_url=kie.url) as client:
        provider = replace(harness.deps.provider, client=client)
        harness.deps = replace(harness.deps, provider=provider)
        await watch_accounts(harness.deps)
        assert await accepted(harness, 5) == 2
        await harness.dispatch_all()  # the sandbox takes 8 credits for each
        await harness.later(minutes=1)
        await watch_accounts(harness.deps)
        harness.deps.money.balance.expire()
        assert await accepted(harness, 5) == 0
