"""An operator who types the commands of the handbook."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from tests.contract.service import Service, serving
from tests.contract.tool import Grpcurl

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operator.md").read_text()
WALLET = "atelier.wallet.v1.WalletService"
OWNER = "telegram:123456789"
FIRST_DAY = PAGE.partition("\n## The first day\n")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^ *wallet (\w+) '(.*)'$", FIRST_DAY, re.MULTILINE)


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    settings = {"money": "test", "star_packs": "small=100:50"}
    async with serving(database_url, tmp_path / "media", more_settings=settings) as made:
        yield made


async def bought(service: Service) -> str:
    """Have the pack bought; return the id of the top-up."""
    request = pb.RecordTopUpRequest(
        provider="telegram_stars",
        external_id="stx1",
        owner=OWNER,
        pack_id="small",
        amount=50,
        currency="XTR",
        telegram_host="127.0.0.1",
        bot_id=7,
    )
    return (await WalletServiceStub(service.channel).RecordTopUp(request)).top_up.id


async def test_each_command_of_the_page_does_what_it_says(service: Service) -> None:
    assert len(COMMANDS) == 8
    top_up_id = await bought(service)
    for method, request in COMMANDS:
        told = json.loads(request.replace("…", top_up_id))
        answer = await Grpcurl().call(service.address, f"{WALLET}/{method}", request=told)
        assert answer.refusal is None, (method, answer.refusal)
    sales = (await WalletServiceStub(service.channel).GetSales(pb.GetSalesRequest())).sales
    assert not sales.is_open


def test_each_setting_of_the_page_is_in_the_example() -> None:
    rows = FIRST_DAY.partition("| setting |")[2].partition("\n\n")[0]
    names = {name for row in rows.splitlines() for name in re.findall(r"`([A-Z_]+)`", row)}
    example = (ROOT / ".env.example").read_text()
    assert len(names) >= 10
    assert all(f"\n{name}=" in example for name in names - {"MONEY=live"})
