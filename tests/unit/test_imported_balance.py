"""What an imported balance is worth: no digit is lost on the way, and it is rounded down once."""

from decimal import Decimal

import pytest

from generation_svc.domain.imported_balance import credits_of, parse_decimal


@pytest.mark.parametrize(
    ("amount", "rate", "credits_"),
    [
        ("10.99", "1", 10),
        ("10.99", "2", 21),
        ("0.1", "10", 1),
        ("0.99", "1", 0),
        ("3", "0.3333333333333333333333333333", 0),
        ("1.00000000000000000000000000000", "0.99999999999999999999999999999", 0),
        ("999999999.9999999999999999999999", "1.000000000000000000000000000000", 999_999_999),
    ],
)
def test_it_is_worth_whole_credits(amount: str, rate: str, credits_: int) -> None:
    assert credits_of(Decimal(amount), rate=Decimal(rate)) == credits_


@pytest.mark.parametrize(
    "text", ["", "1e9", "-1", "+1", "NaN", "inf", ".5", "5.", "1,5", "1_0", "٣"]
)
def test_what_is_not_digits_with_a_point_is_no_number(text: str) -> None:
    assert parse_decimal(text) is None
