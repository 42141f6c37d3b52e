"""The rules by which credits move, with any numbers."""

from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation_svc.domain.ledger import (
    AccountKind,
    Delivered,
    Transfer,
    TransferKind,
    price_of,
    set_off,
    taken_back,
)
from tests.ledger_rule import Hold, TopUpShare, captured_amount, returned, split, untouched

AMOUNT = st.integers(0, 10**9)
COST = st.decimals(min_value=0, max_value=10**6, places=3)
MARGIN = st.decimals(min_value=Decimal("0.01"), max_value=1000, places=4)


def hold(*, granted: int, paid: int, margin: Decimal = Decimal(1), promised: int = 1) -> Hold:
    return Hold(
        uuid4(), "user:1", "acme/film", granted=granted, paid=paid, margin=margin, promised=promised
    )


HOLD = st.builds(hold, granted=AMOUNT, paid=AMOUNT, margin=MARGIN, promised=st.integers(1, 20))
DELIVERED = st.builds(
    Delivered,
    st.integers(0, 20),
    missing=st.integers(0, 20),
    measured_cost=st.none() | COST,
)


@given(COST, MARGIN)
def test_a_price_covers_its_cost_by_less_than_a_credit(cost: Decimal, margin: Decimal) -> None:
    price = price_of(cost, margin=margin)
    assert price >= 1
    assert cost * margin <= price
    assert price == 1 or price < cost * margin + 1


@pytest.mark.parametrize(
    ("cost", "margin", "price"),
    [("0.5", "1", 1), ("19.2", "1", 20), ("8", "1.3", 11), ("2.5", "2", 5), ("0", "9", 1)],
)
def test_prices(cost: str, margin: str, price: int) -> None:
    assert price_of(Decimal(cost), margin=Decimal(margin)) == price


@given(AMOUNT, AMOUNT)
def test_granted_credits_go_first(amount: int, granted: int) -> None:
    first, rest = split(amount, granted=granted)
    assert first + rest == amount
    assert 0 <= first <= granted
    assert rest == 0 or first == granted


@given(HOLD, DELIVERED)
def test_what_is_captured_is_never_more_than_what_is_held(one: Hold, delivered: Delivered) -> None:
    captured = captured_amount(one, delivered)
    assert 0 <= captured <= one.total
    assert delivered.count or captured == 0
    if delivered.measured_cost is None and delivered.count >= one.promised:
        assert delivered.missing or captured == one.total


@given(HOLD, DELIVERED)
def test_what_is_captured_and_what_goes_back_is_what_was_held(
    one: Hold, delivered: Delivered
) -> None:
    captured = captured_amount(one, delivered)
    granted, paid = returned(one, captured=captured)
    assert 0 <= granted <= one.granted
    assert 0 <= paid <= one.paid
    assert captured + granted + paid == one.total
    assert granted == 0 or paid == one.paid  # the granted part is taken first


@given(HOLD, st.integers(1, 20), st.integers(0, 20))
def test_more_that_is_delivered_never_costs_less(one: Hold, count: int, missing: int) -> None:
    fewer = captured_amount(one, Delivered(count, missing + 1))
    assert fewer <= captured_amount(one, Delivered(count + 1, missing))


@pytest.mark.parametrize(
    ("delivered", "captured"),
    [
        (Delivered(4), 20),
        (Delivered(3, missing=1), 15),
        (Delivered(1), 5),
        (Delivered(6), 20),
        (Delivered(0, missing=4), 0),
        (Delivered(4, measured_cost=Decimal("9.1")), 14),
        (Delivered(4, measured_cost=Decimal(900)), 20),
        (Delivered(4, measured_cost=Decimal(0)), 1),
        (Delivered(3, missing=1, measured_cost=Decimal("9.1")), 10),
    ],
)
def test_captures(delivered: Delivered, captured: int) -> None:
    one = hold(granted=5, paid=15, margin=Decimal("1.5"), promised=4)
    assert captured_amount(one, delivered) == captured


@given(AMOUNT, AMOUNT)
def test_a_top_up_pays_the_debt_first(amount: int, debt: int) -> None:
    pays, left = set_off(amount, debt=debt)
    assert pays + left == amount
    assert pays == debt or left == 0


@given(AMOUNT, AMOUNT)
def test_what_the_paid_credits_do_not_bear_is_a_debt(amount: int, paid: int) -> None:
    borne, debt = taken_back(amount, paid=paid)
    assert borne + debt == amount
    assert 0 <= borne <= paid
    assert debt == 0 or borne == paid


@given(st.lists(st.integers(1, 1000)), st.integers(0, 10_000))
def test_top_ups_are_spent_oldest_first(amounts: list[int], spent: int) -> None:
    top_ups = [TopUpShare(uuid4(), amount) for amount in amounts]
    paid = max(sum(amounts) - spent, 0)

    whole, rest = set[UUID](), min(spent, sum(amounts))
    for each in top_ups:
        if rest <= 0:
            whole.add(each.id)
        rest -= each.credits

    assert untouched(top_ups, paid=paid) == whole


@pytest.mark.parametrize(
    ("source", "target", "change"),
    [
        (AccountKind.GRANTS, AccountKind.GRANTED, 7),
        (AccountKind.PAID, AccountKind.HELD, -7),
        (AccountKind.HELD, AccountKind.INCOME, 0),
        (AccountKind.EXCHANGE, AccountKind.DEBT, 0),
    ],
)
def test_a_transfer_changes_the_balance_by_what_can_be_spent(
    source: AccountKind, target: AccountKind, change: int
) -> None:
    assert Transfer(TransferKind.CORRECTION, source, target, 7, cause="a").change == change
