"""What is sold for Stars, as the settings say it, and what a payment bought."""

import pytest
from pydantic import ValidationError

from generation_svc.domain.money import MoneyMode
from generation_svc.domain.top_up import (
    Pack,
    Payment,
    is_at_home,
    parse_packs,
    sold_at,
    telegram_user,
)
from generation_svc.settings import GenerationSettings


def test_packs_are_read_and_put_in_order() -> None:
    assert parse_packs("medium=550:500, small=100:100") == (
        Pack("small", 100, 100),
        Pack("medium", 550, 500),
    )
    assert parse_packs(" ") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("small", "'small' is no pack: write id=credits:stars, such as small=100:100"),
        ("small=100:100,", "'' is no pack"),
        ("small=0:100", "is no pack"),
        ("small=100:0", "is no pack"),
        ("Small=100:100", "is no pack"),
        ("small=1.5:100", "is no pack"),
        ("small=100:10001", "pack 'small' is too large"),
        ("small=1000000001:1", "pack 'small' is too large"),
        ("a=1:1,a=2:2", "two packs have one id"),
        (",".join(f"p{n}=1:1" for n in range(17)), "17 packs are too many"),
    ],
)
def test_packs_that_are_wrong_are_told(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_packs(text)
    with pytest.raises(ValidationError, match=problem):
        GenerationSettings(kie_api_key="key", money="test", star_packs=text)


def test_packs_need_money() -> None:
    with pytest.raises(ValidationError, match="STAR_PACKS is set, but MONEY is empty"):
        GenerationSettings(kie_api_key="key", star_packs="small=100:100")


@pytest.mark.parametrize(
    ("host", "is_real"),
    [
        ("api.telegram.org", True),
        ("API.telegram.org.", True),
        ("api.telegram.org:443", True),
        ("telegram.example", False),
        ("api.telegram.org.example", False),
        ("127.0.0.1:8081", False),
    ],
)
def test_real_stars_are_at_home_in_a_live_ledger_alone(host: str, is_real: bool) -> None:
    assert is_at_home(host, mode=MoneyMode.LIVE) is is_real
    assert is_at_home(host, mode=MoneyMode.TEST) is not is_real


@pytest.mark.parametrize(
    ("owner", "user_id"),
    [("telegram:7", 7), ("telegram:-7", None), ("telegram:9:7", None), ("shop:7", None)],
)
def test_stars_are_paid_by_a_user(owner: str, user_id: int | None) -> None:
    assert telegram_user(owner) == user_id


def test_a_payment_buys_at_the_latest_rate_that_fits_it() -> None:
    packs = [Pack("small", 90, 100), Pack("small", 100, 100)]
    paid = Payment("telegram_stars", "1", "telegram:7", 100, "XTR", pack_id="small")
    told = Payment("telegram_stars", "1", "telegram:7", 100, "XTR", pack_id="small", credits=100)
    wrong = Payment("telegram_stars", "1", "telegram:7", 100, "XTR", pack_id="small", credits=1)
    assert [sold_at(each, packs) for each in (paid, told, wrong)] == [packs[0], packs[1], None]
