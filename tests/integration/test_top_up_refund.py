"""A top-up goes back once: its credits first, then its payment by whoever has the bot's token."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import pytest

from generation_svc.domain.error import PermissionDenied, StaleLease
from generation_svc.domain.money_error import TopUpNotFound, TopUpSpent
from generation_svc.domain.top_up import Payment, TopUp, TopUpState
from generation_svc.engine.maintenance.receipts import number_receipts
from generation_svc.storage.money.top_up_store import PostgresTopUpStore
from generation_svc.usecase.money.lease_refund import RefundReport, lease_refunds, report_refund
from generation_svc.usecase.money.read_wallet import list_top_ups
from generation_svc.usecase.money.refund_top_up import Refund, refund_top_up
from tests.integration.test_top_up import EDGE, OPERATOR, OWNER, PAID, opened, record
from tests.lifecycle import Harness, OpenBench
from tests.money import IMAGEN, PRICE, check_ledger, grant, stars, wallet

BOT = 9


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await opened(open_bench)


async def buy(harness: Harness, charge: str = "charge-1") -> TopUp:
    return (await record(harness, replace(PAID, external_id=charge))).top_up


async def refund(
    harness: Harness, top_up: TopUp, *, forced: bool = False, charged_back: bool = False
) -> TopUp:
    wish = Refund(OPERATOR, str(top_up.id), "disliked", forced, charged_back)
    return await refund_top_up(harness.deps, wish)


async def lease(harness: Harness, limit: int = 5) -> Sequence[TopUp]:
    return await lease_refunds(harness.deps, EDGE, bot_id=BOT, limit=limit)


async def report(harness: Harness, leased: TopUp, error: str = "") -> TopUp:
    told = RefundReport(EDGE, str(leased.id), str(leased.lease_token), error)
    return await report_refund(harness.deps, told)


async def listed(harness: Harness) -> list[TopUp]:
    found = await list_top_ups(harness.deps, OPERATOR, owner=OWNER, after=None, limit=20)
    return list(found)


async def spend(harness: Harness) -> None:
    await harness.accept(owner=OWNER, **IMAGEN)


async def test_an_untouched_top_up_goes_back(harness: Harness) -> None:
    top_up = await buy(harness)
    asked = await refund(harness, top_up)
    assert (asked.state, asked.refund_time) == (TopUpState.REFUNDING, None)
    assert (await wallet(harness, OWNER)).paid == 0

    (leased,) = await lease(harness)
    assert (leased.user_id, leased.external_id) == (7, "charge-1")
    assert await lease(harness) == []
    ended = await report(harness, leased)

    assert ended.state is TopUpState.REFUNDED
    assert ended.refund_time is not None
    assert await report(harness, leased) == ended  # told again
    assert await refund(harness, top_up) == ended  # asked again
    assert await stars(harness) == {"telegram": 0, "exchange": 0}
    await check_ledger(harness)


async def test_two_operators_at_once_refund_once(harness: Harness, open_bench: OpenBench) -> None:
    top_up = await buy(harness)
    await buy(harness, "charge-2")
    other = await opened(open_bench, sharing=harness)

    await asyncio.gather(*(refund(each, top_up, forced=True) for each in [harness, other] * 10))
    leases = await asyncio.gather(*(lease(each) for each in [harness, other] * 5))

    assert sum(len(each) for each in leases) == 1
    assert (await wallet(harness, OWNER)).paid == 100
    assert (await wallet(harness, OWNER)).debt == 0
    await check_ledger(harness)


async def test_what_is_spent_is_refunded_only_by_force_and_leaves_a_debt(
    harness: Harness,
) -> None:
    top_up = await buy(harness)
    await spend(harness)
    with pytest.raises(TopUpSpent):
        await refund(harness, top_up)
    assert (await wallet(harness, OWNER)).paid == 100 - PRICE

    await refund(harness, top_up, forced=True)

    has = await wallet(harness, OWNER)
    assert (has.paid, has.debt, has.held) == (0, PRICE, PRICE)
    await check_ledger(harness)
    await buy(harness, "charge-2")
    assert (await wallet(harness, OWNER)).paid == 100 - PRICE
    await check_ledger(harness)


async def test_of_two_top_ups_the_older_one_is_spent_first(harness: Harness) -> None:
    older, younger = await buy(harness), await buy(harness, "charge-2")
    await spend(harness)

    assert [each.is_refundable for each in await listed(harness)] == [True, False]
    with pytest.raises(TopUpSpent):
        await refund(harness, older)
    assert (await refund(harness, younger)).state is TopUpState.REFUNDING


async def test_what_was_given_is_spent_before_what_was_bought(harness: Harness) -> None:
    top_up = await buy(harness)
    await grant(harness, 50, owner=OWNER)
    await spend(harness)
    assert (await refund(harness, top_up)).state is TopUpState.REFUNDING


async def test_a_job_and_a_refund_at_once_do_not_both_take_the_credits(harness: Harness) -> None:
    for n in range(1, 13):
        owner = f"telegram:{n}"
        top_up = (await record(harness, replace(PAID, external_id=str(n), owner=owner))).top_up
        outcomes = await asyncio.gather(
            refund(harness, top_up), harness.accept(owner=owner, **IMAGEN), return_exceptions=True
        )
        assert sum(not isinstance(each, Exception) for each in outcomes) == 1
        has = await wallet(harness, owner)
        assert (has.paid, has.held, has.debt) in {(0, 0, 0), (100 - PRICE, PRICE, 0)}
    await check_ledger(harness)


async def test_a_chargeback_takes_what_is_there_and_leaves_a_debt(harness: Harness) -> None:
    top_up = await buy(harness)
    await spend(harness)
    taken = await refund(harness, top_up, charged_back=True)

    assert taken.state is TopUpState.CHARGED_BACK
    assert taken.refund_time is not None
    assert await lease(harness) == []
    has = await wallet(harness, OWNER)
    assert (has.paid, has.debt) == (0, PRICE)
    assert await stars(harness) == {"telegram": 0, "exchange": 0}
    await check_ledger(harness)


async def test_what_telegram_takes_back_while_it_is_refunded_is_returned_once(
    harness: Harness,
) -> None:
    top_up = await buy(harness)
    await refund(harness, top_up)
    (leased,) = await lease(harness)
    assert (await refund(harness, top_up, charged_back=True)).state is TopUpState.CHARGED_BACK
    assert (await report(harness, leased)).state is TopUpState.CHARGED_BACK
    assert await stars(harness) == {"telegram": 0, "exchange": 0}
    await check_ledger(harness)


@pytest.mark.parametrize(
    "words", ["Bad Request: CHARGE_ALREADY_REFUNDED", "Charge_already_refunded"]
)
async def test_already_refunded_is_a_success(harness: Harness, words: str) -> None:
    await refund(harness, await buy(harness))
    (leased,) = await lease(harness)
    ended = await report(harness, leased, words)
    assert ended.state is TopUpState.REFUNDED


@pytest.mark.parametrize("words", ["Bad Request: CHARGE_NOT_FOUND", "Charge_not_found"])
async def test_a_payment_that_telegram_does_not_know_gives_the_credits_back(
    harness: Harness, words: str
) -> None:
    top_up = await buy(harness)
    await spend(harness)
    for _ in range(2):  # also a second time
        await refund(harness, top_up, forced=True)
        assert (await wallet(harness, OWNER)).paid == 0
        (leased,) = await lease(harness)
        ended = await report(harness, leased, words)
        assert ended.state is TopUpState.CREDITED
        assert (await report(harness, leased, words)) == ended
        has = await wallet(harness, OWNER)
        assert (has.granted, has.paid, has.debt) == (0, 100 - PRICE, 0)
        await check_ledger(harness)
    told = harness.registry.get_sample_value("atelier_money_refunds_total", {"outcome": "refused"})
    assert told == 2


async def test_another_error_is_tried_again_when_the_lease_is_over(harness: Harness) -> None:
    await refund(harness, await buy(harness))
    (leased,) = await lease(harness)
    assert (await report(harness, leased, "Too Many Requests")).state is TopUpState.REFUNDING
    assert await lease(harness) == []
    await harness.later(seconds=61)
    (again,) = await lease(harness)
    with pytest.raises(StaleLease):
        await report(harness, leased)
    assert (await report(harness, again)).state is TopUpState.REFUNDED


async def test_refunds_that_cannot_be_made_stand_before_no_other(harness: Harness) -> None:
    wanted = [await refund(harness, await buy(harness, charge)) for charge in ("one", "two")]
    leased: list[TopUp] = []
    for _ in range(3):  # nothing comes of any of them
        leased += await lease(harness, limit=1)
        await harness.later(minutes=2)
    first, second, again = [each.id for each in leased]
    assert {first, second} == {each.id for each in wanted}
    assert again == first


async def test_a_late_report_counts_while_nobody_else_has_the_lease(harness: Harness) -> None:
    await refund(harness, await buy(harness))
    (leased,) = await lease(harness)
    await harness.later(seconds=600)
    assert (await report(harness, leased)).state is TopUpState.REFUNDED


async def test_a_payment_from_elsewhere_is_paid_back_there(harness: Harness) -> None:
    card = Payment("card", "pi_1", OWNER, 499, "EUR", credits=550)
    top_up = (await record(harness, card, host="")).top_up
    assert (await refund(harness, top_up)).state is TopUpState.REFUNDED
    assert await lease(harness) == []


async def test_who_may_not_is_told(harness: Harness) -> None:
    with pytest.raises(TopUpNotFound):
        await refund_top_up(harness.deps, Refund(OPERATOR, str(uuid4()), "disliked"))
    with pytest.raises(TopUpNotFound):
        await refund_top_up(harness.deps, Refund(OPERATOR, "no id", "disliked"))
    with pytest.raises(PermissionDenied):
        await lease_refunds(harness.deps, replace(EDGE, bot_ids=frozenset()), bot_id=BOT, limit=1)


async def receipts(harness: Harness) -> list[tuple[int, str]]:
    rows = await harness.query("SELECT number, kind FROM receipt ORDER BY series, number")
    return [(row["number"], row["kind"]) for row in rows]


async def test_receipts_have_numbers_without_gaps(harness: Harness) -> None:
    first = await buy(harness)
    await buy(harness, "charge-2")
    await refund(harness, first, forced=True)
    assert [each.receipt for each in await listed(harness)] == ["", ""]
    await number_receipts(harness.deps)
    assert await receipts(harness) == [(1, "top_up"), (2, "top_up")]

    (leased,) = await lease(harness)
    await report(harness, leased)
    await buy(harness, "charge-3")
    await number_receipts(harness.deps)
    await number_receipts(harness.deps)

    assert await receipts(harness) == [(1, "top_up"), (2, "top_up"), (3, "refund"), (4, "top_up")]
    named = [(each.receipt, each.refund_receipt) for each in await listed(harness)]
    assert named == [("1-000004", ""), ("1-000002", ""), ("1-000001", "1-000003")]


async def test_one_that_came_and_went_gets_both_numbers_at_once(harness: Harness) -> None:
    await refund(harness, await buy(harness), charged_back=True)
    await number_receipts(harness.deps)
    (top_up,) = await listed(harness)
    assert (top_up.receipt, top_up.refund_receipt) == ("1-000001", "1-000002")


async def test_replicas_that_number_at_once_leave_no_gap_and_no_double(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await opened(open_bench, sharing=harness)

    async def numbering(each: Harness) -> None:
        for _ in range(20):
            await number_receipts(each.deps)

    await asyncio.gather(
        *(buy(harness, f"charge-{n}") for n in range(30)), numbering(harness), numbering(other)
    )
    await number_receipts(harness.deps)

    assert await receipts(harness) == [(n, "top_up") for n in range(1, 31)]
    assert len({each.receipt for each in await listed(harness)}) == 20


async def test_a_replica_that_dies_while_it_numbers_loses_no_number(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await opened(open_bench, sharing=harness)
    await buy(harness)

    async def dying() -> None:
        async with harness.transaction() as tx:
            assert await tx.top_ups.number_receipts(limit=20) == 1
            await number_receipts(other.deps)  # has nothing to do meanwhile, and does not wait
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await dying()
    await number_receipts(other.deps)
    assert await receipts(harness) == [(1, "top_up")]


async def test_a_series_after_a_restored_backup_begins_anew(harness: Harness) -> None:
    await buy(harness)
    await number_receipts(harness.deps)
    await harness.query("UPDATE money_state SET receipt_series = 2 RETURNING name")
    await buy(harness, "charge-2")
    await number_receipts(harness.deps)
    assert [each.receipt for each in await listed(harness)] == ["2-000001", "1-000001"]


async def test_top_ups_come_page_by_page(harness: Harness) -> None:
    for n in range(5):
        await buy(harness, f"charge-{n}")
    seen, after = [], None
    for _ in range(3):
        found = await list_top_ups(harness.deps, OPERATOR, owner=OWNER, after=after, limit=2)
        seen += [each.external_id for each in found]
        after = found[-1].id
    assert seen == [f"charge-{n}" for n in (4, 3, 2, 1, 0)]


async def test_the_last_page_of_many_top_ups_reads_each_of_them_once(harness: Harness) -> None:
    many, page = 1000, 100
    await harness.query(
        "INSERT INTO top_up (id, provider, external_id, owner, pack_id, credits, amount, currency,"
        " state, caller, create_time) SELECT gen_random_uuid(), 'card', n::text, %s, '', 1, 1,"
        " 'EUR', 'credited', 'edge', now() - n * interval '1 minute'"
        f" FROM generate_series(1, {many}) AS n",
        OWNER,
    )
    last = await harness.query("SELECT id FROM top_up ORDER BY create_time OFFSET %s LIMIT 1", page)
    read = (
        "SELECT (coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0))::int AS count"
        " FROM pg_stat_xact_user_tables WHERE relname = 'top_up'"
    )
    async with harness.connection.transaction():
        store = PostgresTopUpStore(harness.connection)
        found = await store.page(OWNER, after=last[0]["id"], limit=page)
        (row,) = await harness.query(read)
    assert len(found) == page
    assert row["count"] < 4 * many
