"""A payment is credited once, whatever happens; what nobody can credit waits in suspense."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import PermissionDenied
from generation_svc.domain.ledger import AccountKind, Transfer, TransferKind
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.money_error import (
    DailyCapReached,
    MoneyModeMismatch,
    OwnerBlocked,
    SalesClosed,
    TopUpCapReached,
    TopUpInvalid,
    TopUpReused,
)
from generation_svc.domain.top_up import Pack, Payment
from generation_svc.usecase.money.check_top_up import check_top_up
from generation_svc.usecase.money.record_top_up import RecordedTopUp, record_top_up
from tests.lifecycle import Harness, OpenBench
from tests.money import check_ledger, grant, stars, wallet
from tests.statement_count import counting_database

pytestmark = pytest.mark.usefixtures("within_one_day")

OWNER = "telegram:7"
SANDBOX = "telegram.example"
SMALL, LARGE = Pack("small", 100, 100), Pack("large", 1200, 1000)
EDGE = Caller(
    "edge", scopes=frozenset({Scope.WALLET_TOPUP}), owner_prefixes=("telegram:",), bot_ids=None
)
OPERATOR = Caller.trusted("operator")
PAID = Payment("telegram_stars", "charge-1", OWNER, 100, "XTR", pack_id="small", bot_id=9)


async def opened(open_bench: OpenBench, *, cap: int | None = None, **wishes: Any) -> Harness:
    harness = await open_bench(money=MoneyMode.TEST, **wishes)
    money = replace(harness.deps.money, packs=(SMALL, LARGE), daily_credits=cap)
    harness.deps = replace(harness.deps, money=money)
    async with harness.transaction() as tx:
        await tx.money.mark(MoneyMode.TEST)
        await tx.top_ups.offer(money.packs)
    return harness


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await opened(open_bench)


async def record(
    harness: Harness, payment: Payment = PAID, *, caller: Caller = EDGE, host: str = SANDBOX
) -> RecordedTopUp:
    return await record_top_up(harness.deps, caller, payment=payment, telegram_host=host)


async def check(harness: Harness, payment: Payment = PAID, *, host: str = SANDBOX) -> None:
    await check_top_up(harness.deps, EDGE, payment=payment, telegram_host=host)


def of(outcomes: list[Any], kind: type[Any]) -> list[Any]:
    return [each for each in outcomes if isinstance(each, kind)]


async def test_a_payment_is_credited_once(harness: Harness) -> None:
    first, again = await record(harness), await record(harness)

    assert (first.is_new, again.is_new) == (True, False)
    assert first.top_up == again.top_up
    assert first.wallet.paid == again.wallet.paid == 100
    assert await stars(harness) == {"telegram": -100, "exchange": 100}
    await check_ledger(harness)


async def test_a_payment_told_by_two_replicas_at_once_is_credited_once(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await opened(open_bench, sharing=harness)
    made = await asyncio.gather(*(record(each) for each in [harness, other] * 10))

    assert sum(each.is_new for each in made) == 1
    assert len({each.top_up.id for each in made}) == 1
    assert (await wallet(harness, OWNER)).paid == 100
    await check_ledger(harness)


async def test_one_charge_of_two_owners_at_once_is_one_of_them(harness: Harness) -> None:
    payments = [replace(PAID, owner=f"telegram:{n}") for n in range(1, 9)]
    outcomes = await asyncio.gather(
        *(record(harness, each) for each in payments), return_exceptions=True
    )

    assert len(of(outcomes, RecordedTopUp)) == 1
    assert len(of(outcomes, TopUpReused)) == 7
    assert await stars(harness) == {"telegram": -100, "exchange": 100}
    await check_ledger(harness)


async def test_the_same_invoice_paid_twice_is_two_charges(harness: Harness) -> None:
    await record(harness)
    assert (await record(harness, replace(PAID, external_id="charge-2"))).wallet.paid == 200


@pytest.mark.parametrize(
    "other",
    [{"amount": 1000, "pack_id": "large"}, {"owner": "telegram:8"}, {"credits": 550}],
    ids=["amount", "owner", "credits"],
)
async def test_other_content_of_one_charge_is_refused(
    harness: Harness, other: dict[str, Any]
) -> None:
    await record(harness)
    with pytest.raises(TopUpReused, match=f"differs in {next(iter(other))}") as reused:
        await record(harness, replace(PAID, **other))
    assert reused.value.field == next(iter(other))
    assert (await wallet(harness, OWNER)).paid == 100
    assert await stars(harness) == {"telegram": -100, "exchange": 100}


async def test_a_transaction_that_is_cut_off_leaves_nothing(harness: Harness) -> None:
    class Killed(Exception):
        pass

    class Dying:
        def labels(self, *names: str) -> "Dying":
            raise Killed

    alive = harness.deps.meter.debt_credits
    harness.deps.meter.debt_credits = Dying()  # type: ignore[assignment]
    with pytest.raises(Killed):
        await record(harness)
    harness.deps.meter.debt_credits = alive
    assert await stars(harness) == {}
    assert await harness.query("SELECT id FROM top_up") == []

    assert (await record(harness)).is_new
    await check_ledger(harness)


async def test_what_was_invoiced_before_a_price_changed_is_credited_at_its_rate(
    harness: Harness,
) -> None:
    async with harness.transaction() as tx:
        await tx.top_ups.offer([Pack("small", 90, 120)])

    assert (await record(harness)).top_up.credits == 100
    dearer = replace(PAID, external_id="charge-2", amount=120)
    assert (await record(harness, dearer)).top_up.credits == 90


async def test_of_two_rates_at_one_price_the_invoice_says_which(harness: Harness) -> None:
    async with harness.transaction() as tx:
        await tx.top_ups.offer([Pack("small", 90, 100)])

    assert (await record(harness)).top_up.credits == 90
    earlier = replace(PAID, external_id="charge-2", credits=100)
    assert (await record(harness, earlier)).top_up.credits == 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 1},
        {"credits": 5000},
        {"pack_id": "huge"},
        {"pack_id": "", "credits": 100},
        {"owner": "telegram:-100"},
        {"bot_id": None},
    ],
    ids=["amount", "credits", "pack", "no pack", "owner", "bot"],
)
async def test_stars_that_nobody_can_credit_are_kept(
    harness: Harness, wrong: dict[str, Any]
) -> None:
    payment = replace(PAID, **wrong)
    for _ in range(2):
        with pytest.raises(TopUpInvalid):
            await record(harness, payment)

    assert await stars(harness) == {"telegram": -payment.amount, "suspense": payment.amount}
    assert (await wallet(harness, OWNER)).balance == 0
    told = harness.registry.get_sample_value(
        "atelier_money_suspended_payments_total", {"reason": "TopUpInvalid"}
    )
    assert told == 2


async def test_what_is_in_suspense_is_credited_when_the_pack_is_known(harness: Harness) -> None:
    payment = replace(PAID, amount=30, pack_id="tiny")
    with pytest.raises(TopUpInvalid):
        await record(harness, payment)
    async with harness.transaction() as tx:
        await tx.top_ups.offer([Pack("tiny", 25, 30)])

    assert (await record(harness, payment)).wallet.paid == 25
    assert await stars(harness) == {"telegram": -30, "suspense": 0, "exchange": 30}
    await check_ledger(harness)


async def test_an_operator_credits_what_is_in_suspense_and_the_edge_is_content(
    harness: Harness,
) -> None:
    payment = replace(PAID, amount=30, pack_id="tiny")
    with pytest.raises(TopUpInvalid):
        await record(harness, payment)
    with pytest.raises(TopUpReused, match="amount"):  # not with another one than came
        await record(harness, replace(payment, amount=100, pack_id="small"))

    await record(harness, replace(payment, pack_id="", credits=20), caller=OPERATOR)

    assert not (await record(harness, payment)).is_new
    assert (await wallet(harness, OWNER)).paid == 20
    assert await stars(harness) == {"telegram": -30, "suspense": 0, "exchange": 30}


async def test_a_debt_is_paid_first(harness: Harness) -> None:
    await owe(harness, 70)
    assert (await record(harness)).wallet.debt == 0
    has = await wallet(harness, OWNER)
    assert (has.paid, has.debt) == (30, 0)
    await check_ledger(harness)


async def owe(harness: Harness, credits_: int) -> None:
    owed = Transfer(
        TransferKind.CHARGEBACK,
        AccountKind.DEBT,
        AccountKind.EXCHANGE,
        credits_,
        cause="earlier",
        owner=OWNER,
    )
    async with harness.transaction() as tx:
        await tx.ledger.lock([OWNER])
        await tx.ledger.move([owed])


async def block(harness: Harness) -> None:
    await grant(harness, 1, owner=OWNER)
    await harness.query("UPDATE wallet SET is_blocked = true RETURNING owner")


async def close_sales(harness: Harness) -> None:
    await harness.query("UPDATE money_state SET sales_closed_reason = 'look' RETURNING name")


async def test_who_paid_is_credited_whatever_is_closed_or_blocked(harness: Harness) -> None:
    await block(harness)
    await close_sales(harness)
    assert (await record(harness)).wallet.paid == 100


async def test_money_of_another_kind_is_refused(harness: Harness) -> None:
    for host in ("api.telegram.org", "API.Telegram.org."):
        with pytest.raises(MoneyModeMismatch):
            await record(harness, host=host)
        with pytest.raises(MoneyModeMismatch):
            await check(harness, host=host)
    assert await stars(harness) == {}


async def test_a_card_has_a_door_of_its_own(harness: Harness) -> None:
    card = Payment("card", "pi_1", "telegram:7", 499, "EUR", credits=550)
    assert (await record(harness, card, host="")).wallet.paid == 550
    with pytest.raises(TopUpInvalid):
        await record(harness, replace(card, external_id="pi_2", currency="XTR"))
    with pytest.raises(TopUpInvalid):
        await record(harness, replace(PAID, currency="EUR"))
    assert await stars(harness) == {}


async def test_nobody_records_for_another_caller_or_bot(harness: Harness) -> None:
    with pytest.raises(PermissionDenied):
        await record(harness, replace(PAID, owner="shop:7"))
    with pytest.raises(PermissionDenied):
        await record(harness, caller=replace(EDGE, bot_ids=frozenset({1})))


async def test_what_would_be_credited_may_be_paid(harness: Harness) -> None:
    await check(harness)


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 99},
        {"currency": "EUR"},
        {"pack_id": "huge"},
        {"owner": "telegram:x"},
    ],
    ids=["amount", "currency", "pack", "owner"],
)
async def test_what_would_not_be_credited_is_not_paid(
    harness: Harness, wrong: dict[str, Any]
) -> None:
    with pytest.raises(TopUpInvalid):
        await check(harness, replace(PAID, **wrong))


async def test_who_is_blocked_is_told_before_paying(harness: Harness) -> None:
    await block(harness)
    with pytest.raises(OwnerBlocked):
        await check(harness)


async def test_nobody_pays_while_sales_are_closed(harness: Harness) -> None:
    await close_sales(harness)
    with pytest.raises(SalesClosed):
        await check(harness)


async def test_a_check_asks_once_and_waits_for_nobody(harness: Harness, database_url: str) -> None:
    await grant(harness, 1, owner=OWNER)
    counted = counting_database(database_url)
    async with counted as (database, asked), harness.transaction() as tx:
        await tx.top_ups.take_turn(EDGE.name)
        await tx.ledger.lock([OWNER])
        deps = replace(harness.deps, database=database)
        for _ in range(2):  # the first one also asks for the time
            asked.clear()
            checking = check_top_up(deps, EDGE, payment=PAID, telegram_host=SANDBOX)
            await asyncio.wait_for(checking, timeout=5)
        assert len(asked.statements) == 1


async def test_an_edge_records_no_more_in_a_day_than_its_cap(open_bench: OpenBench) -> None:
    harness = await opened(open_bench, cap=250)
    payments = [replace(PAID, external_id=f"charge-{n}") for n in range(6)]
    outcomes = await asyncio.gather(
        *(record(harness, each) for each in payments), return_exceptions=True
    )

    assert len(of(outcomes, RecordedTopUp)) == 2
    refused = of(outcomes, DailyCapReached)
    assert len(refused) == 4
    assert all(timedelta(0) < each.retry_after <= timedelta(days=1) for each in refused)
    assert await stars(harness) == {"telegram": -600, "exchange": 200, "suspense": 400}
    with pytest.raises(DailyCapReached):
        await check(harness)


async def test_what_telegram_confirmed_is_not_counted(open_bench: OpenBench) -> None:
    harness = await opened(open_bench, cap=150)
    second = replace(PAID, external_id="charge-2")
    await record(harness)
    with pytest.raises(DailyCapReached):
        await record(harness, second)
    await harness.query(
        "INSERT INTO star_transaction (bot_id, id, direction, amount, partner, time, state,"
        " document) VALUES (9, 'charge-1', 'in', 100, 'user', now(), 'matched', '{}') RETURNING id"
    )
    await check(harness)
    assert (await record(harness, second)).wallet.paid == 200
    assert await stars(harness) == {"telegram": -200, "exchange": 200, "suspense": 0}


async def test_a_payment_counts_for_the_day_in_which_it_came(open_bench: OpenBench) -> None:
    harness = await opened(open_bench, cap=150)
    await record(harness)
    midnight = "UPDATE top_up SET create_time = date_trunc('day', now(), 'UTC') - %s::interval"
    await harness.query(midnight, "0")
    with pytest.raises(DailyCapReached):
        await check(harness)
    await harness.query(midnight, "1 millisecond")
    await check(harness)
    assert (await record(harness, replace(PAID, external_id="charge-2"))).wallet.paid == 200


async def test_a_card_beyond_the_cap_is_told_what_is_left_and_when(open_bench: OpenBench) -> None:
    harness = await opened(open_bench, cap=600)
    card = Payment("card", "pi_1", "telegram:7", 499, "EUR", credits=550)
    await record(harness, card, host="")
    more = replace(card, external_id="pi_2")
    with pytest.raises(TopUpCapReached) as refusal:
        await record(harness, more, host="")

    told = refusal.value
    assert (told.limit, told.left) == (600, 50)
    assert "At most 600 credits" in str(told)
    assert "50 of them are left" in str(told)
    assert timedelta(0) < told.retry_after <= timedelta(days=1)
    (counted,) = harness.deps.meter.suspended.labels("TopUpCapReached").collect()
    assert counted.samples[0].value == 1
    assert await stars(harness) == {}
    assert (await wallet(harness, OWNER)).paid == 550
    assert (await record(harness, replace(more, credits=50), host="")).wallet.paid == 600


async def test_a_payment_that_no_day_has_room_for_is_not_put_off(open_bench: OpenBench) -> None:
    harness = await opened(open_bench, cap=600)
    card = Payment("card", "pi_1", "telegram:7", 499, "EUR", credits=601)
    with pytest.raises(TopUpCapReached, match="have an operator record the payment") as refusal:
        await record(harness, card, host="")
    assert "again then" not in str(refusal.value)
    assert (await record(harness, card, host="", caller=OPERATOR)).is_new


async def test_a_caller_with_a_cap_of_its_own_is_held_to_that_one(open_bench: OpenBench) -> None:
    card = Payment("card", "pi_0", "telegram:7", 499, "EUR", credits=550)
    for cap in (600, None):
        harness = await opened(open_bench, cap=cap)
        busy = replace(EDGE, name=f"cards-{cap}", daily_top_up_credits=1200)
        for n in range(2):
            payment = replace(card, external_id=f"pi_{cap}_{n}")
            assert (await record(harness, payment, host="", caller=busy)).is_new
        with pytest.raises(TopUpCapReached) as refusal:
            await record(harness, replace(card, external_id="pi"), host="", caller=busy)
        assert (refusal.value.limit, refusal.value.left) == (1200, 100)


async def test_an_operator_has_no_cap_and_uses_up_none(open_bench: OpenBench) -> None:
    harness = await opened(open_bench, cap=150)
    for n in range(2):
        payment = replace(PAID, external_id=f"by-hand-{n}")
        assert (await record(harness, payment, caller=OPERATOR)).is_new
    assert (await record(harness)).is_new
