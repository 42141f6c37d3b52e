"""Whose money a caller reaches: that of its own owners and its wallet, to the letter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor

from atelier.generation.v1 import generation_service_pb2 as generation_pb
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import GenerationClient
from generation_svc.caller import CallerDirectory, Grant
from generation_svc.domain.caller import Caller, Scope
from tests.contract.caller_harness import (
    CALLS,
    OURS,
    CallerHarness,
    Subject,
    caller_bench,
    outcome,
    token_hash,
)
from tests.contract.failure import refused
from tests.contract.service import struct

pytestmark = pytest.mark.usefixtures("within_one_day")

SERVICE = pb.DESCRIPTOR.services_by_name["WalletService"]
EDGE_SCOPES = frozenset({Scope.WALLET_READ, Scope.WALLET_TOPUP, Scope.OWN_JOBS})
EVERYONE = (
    Caller("shop", scopes=EDGE_SCOPES, owner_prefixes=("bot:1:", "телега:")),
    Caller("payer", scopes=EDGE_SCOPES, owner_prefixes=("bot:2:",), wallet="acme"),
    Caller("debtor", scopes=EDGE_SCOPES, wallet="acme", monthly_credits=20),
    Caller("reader", scopes=frozenset({Scope.WALLET_READ}), wallet="acme"),
    Caller("operator", scopes=frozenset({Scope.WALLET_OPERATE, Scope.WALLET_READ})),
)
FOREIGN = {
    "longer than the prefix's number": "bot:12:7",
    "shorter than the prefix": "bot:1",
    "longer than the name": "shop2",
    "shorter than the name": "sho",
    "a space before": " bot:1:7",
    "another case": "Bot:1:7",
    "wide digits": "bot:１:7",
    "Cyrillic letters": "bоt:1:7",
    "a joiner of no width": "bot\u200d:1:7",
    "composed otherwise": "телега\u0301:7",
    "a wallet of others": "acme",
    "nearly the caller": "shop ",
}
"""Owners that are not the shop's, by how they look as if they were."""


def has_owner(method: MethodDescriptor) -> bool:
    return "owner" in method.input_type.fields_by_name


NAMED = [f"WalletService/{each.name}" for each in SERVICE.methods if has_owner(each)]


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[CallerHarness]:
    grants = [Grant(each, frozenset({token_hash(each.name)}), 1e6, 1e6) for each in EVERYONE]
    opened = caller_bench(database_url, tmp_path, callers=CallerDirectory(grants))
    async with opened as desk:
        yield desk


async def give(desk: CallerHarness, owner: str, credits_: int) -> None:
    request = pb.GrantCreditsRequest(
        request_id=f"for {owner}", owner=owner, credits=credits_, reason="a test"
    )
    await (await desk.client("operator")).wallet.GrantCredits(request)


async def balance(client: GenerationClient, owner: str = "") -> tuple[str, int]:
    wallet = (await client.wallet.GetBalance(pb.GetBalanceRequest(owner=owner))).wallet
    return wallet.owner, wallet.balance


@pytest.mark.parametrize("owner", FOREIGN.values(), ids=FOREIGN)
async def test_an_owner_that_only_looks_like_ones_own_is_anothers(
    desk: CallerHarness, owner: str
) -> None:
    await give(desk, owner, 100)
    shop = await desk.client("shop")
    told = {rpc: await outcome(CALLS[rpc](shop, Subject(owner=owner))) for rpc in NAMED}
    assert told == dict.fromkeys(NAMED, "denied")
    assert await balance(await desk.client("operator"), owner) == (owner, 100)


async def test_owners_that_look_alike_have_a_wallet_each(desk: CallerHarness) -> None:
    owners = ["bot:1:7", "bot:1:07", "bot:1:７", "bot:1:7 ", "bot:1:7\u200d", "bot:1:77"]
    for number, owner in enumerate(owners, start=1):
        await give(desk, owner, number)
    shop = await desk.client("shop")
    assert [await balance(shop, each) for each in owners] == [
        (owner, number) for number, owner in enumerate(owners, start=1)
    ]
    for number, owner in enumerate(owners, start=1):
        listed = await shop.wallet.ListTransfers(pb.ListTransfersRequest(owner=owner))
        assert [each.amount for each in listed.transfers] == [number]


async def test_a_page_of_one_owner_opens_nothing_of_another(desk: CallerHarness) -> None:
    for owner in ("bot:1:7", "bot:1:8", "bot:2:7"):
        await give(desk, owner, 1)
        await give(desk, f"{owner}0", 1)
    operator, shop = await desk.client("operator"), await desk.client("shop")
    for number in range(2):
        grant = pb.GrantCreditsRequest(
            request_id=f"{number}", owner="bot:1:7", credits=1, reason="a test"
        )
        await operator.wallet.GrantCredits(grant)
    first = pb.ListTransfersRequest(owner="bot:1:7", page_size=1)
    token = (await shop.wallet.ListTransfers(first)).next_page_token
    for client, owner in ((shop, "bot:1:8"), (operator, "bot:1:7"), (operator, "bot:2:7")):
        turned = pb.ListTransfersRequest(owner=owner, page_token=token)
        assert (await refused(client.wallet.ListTransfers(turned))).reason == "INVALID_PAGE_TOKEN"


async def test_who_names_no_owner_means_the_wallet_that_pays_for_it(desk: CallerHarness) -> None:
    await give(desk, "acme", 50)
    payer, reader = await desk.client("payer"), await desk.client("reader")
    assert await balance(payer) == await balance(reader) == ("acme", 50)
    assert await balance(await desk.client("shop")) == ("shop", 0)
    listed = await payer.wallet.ListTransfers(pb.ListTransfersRequest())
    assert [each.amount for each in listed.transfers] == [50]


async def test_callers_of_one_wallet_see_no_owners_of_each_other(desk: CallerHarness) -> None:
    reader = await desk.client("reader")
    for owner in ("payer", "bot:2:7", "acme2", "acm"):
        refusal = await refused(reader.wallet.GetBalance(pb.GetBalanceRequest(owner=owner)))
        assert (refusal.reason, refusal.metadata) == ("PERMISSION_DENIED", {"owner": owner})


async def test_a_caller_fills_neither_a_strangers_wallet_nor_the_one_that_pays_for_it(
    desk: CallerHarness,
) -> None:
    paid = pb.RecordTopUpRequest(
        provider="card", external_id="1", owner="acme", credits=10, amount=100, currency="EUR"
    )
    shop, payer = await desk.client("shop"), await desk.client("payer")
    assert (await refused(shop.wallet.RecordTopUp(paid))).reason == "PERMISSION_DENIED"
    for own in (payer, await desk.client("debtor")):
        refusal = await refused(own.wallet.RecordTopUp(paid))
        assert (refusal.reason, refusal.metadata) == (
            "PERMISSION_DENIED",
            {"missing": "wallet_operate"},
        )
    assert await balance(payer) == ("acme", 0)
    made = await (await desk.client("operator")).wallet.RecordTopUp(paid)
    assert (made.wallet.owner, made.wallet.balance) == ("acme", 10)
    paid.owner = "bot:1:7"
    refusal = await refused(shop.wallet.RecordTopUp(paid))
    assert (refusal.reason, refusal.metadata["field"]) == ("TOP_UP_REUSED", "owner")


async def test_a_caller_that_is_paid_for_records_what_its_owners_paid(desk: CallerHarness) -> None:
    paid = pb.RecordTopUpRequest(
        provider="card", external_id="1", owner="bot:2:7", credits=10, amount=100, currency="EUR"
    )
    made = await (await desk.client("payer")).wallet.RecordTopUp(paid)
    assert (made.wallet.owner, made.wallet.balance) == ("bot:2:7", 10)


async def test_what_a_wallet_may_still_owe_is_told_to_whom_it_may_owe_for(
    desk: CallerHarness,
) -> None:
    await give(desk, "acme", 3)
    debtor = await desk.client("debtor")
    wish = generation_pb.CreateJobRequest(
        model_id="google/imagen4", inputs=struct({"prompt": "a cat"})
    )
    await debtor.generation.CreateJob(wish)
    wallet = (await debtor.wallet.GetBalance(pb.GetBalanceRequest())).wallet
    assert (wallet.balance, wallet.held_credits, wallet.debt) == (0, 8, 5)
    limit = wallet.credit_limit
    assert (limit.monthly_credits, limit.remaining_credits) == (20, 15)
    reset = limit.reset_time.ToDatetime(tzinfo=UTC)
    assert (reset.day, reset.time()) == (1, time(0))
    assert timedelta(0) < reset - datetime.now(UTC) <= timedelta(days=31)
    for name in ("payer", "reader", "operator"):
        asked = (await desk.client(name)).wallet.GetBalance(pb.GetBalanceRequest(owner="acme"))
        assert not (await asked).wallet.HasField("credit_limit")
    listed = (await debtor.wallet.ListTransfers(pb.ListTransfersRequest())).transfers
    moved = [(each.amount, each.credits) for each in reversed(listed)]
    assert moved == [(3, 3), (5, 5), (-3, 3), (-5, 5)]


async def test_an_operator_records_stars_of_any_bot_and_an_edge_those_of_its_own(
    desk: CallerHarness,
) -> None:
    paid = pb.RecordTopUpRequest(
        provider="telegram_stars",
        external_id="charge-1",
        owner="telegram:7",
        credits=70,
        amount=100,
        currency="XTR",
        telegram_host="telegram.example",
        bot_id=OURS,
    )
    operator = await desk.client("operator")
    assert (await operator.wallet.RecordTopUp(paid)).wallet.balance == 70
    paid.owner = "bot:1:7"
    refusal = await refused((await desk.client("shop")).wallet.RecordTopUp(paid))
    assert (refusal.reason, refusal.metadata) == ("PERMISSION_DENIED", {"bot_id": str(OURS)})
