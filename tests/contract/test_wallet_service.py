"""`WalletService`: balances, transfers, grants, over the wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from structlog.testing import capture_logs

from atelier.generation.v1 import generation_service_pb2 as generation_pb
from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import TopUpState
from atelier.wallet.v1.transfer_pb2 import TransferKind
from atelier.wallet.v1.wallet_pb2 import FreeAllowance
from generation_client import GenerationClient, GenerationError, connect, translated
from generation_svc.domain.error import InvalidInputs, Unavailable
from generation_svc.domain.ledger import MOST_CREDITS
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.port.transaction import Transaction
from generation_svc.rpc.caller import LOCAL
from generation_svc.server.money import money_of
from generation_svc.settings import GenerationSettings
from generation_svc.storage.database import open_database
from generation_svc.storage.notifier import Notifier
from generation_svc.usecase.money.grant_credits import GrantRequest, grant_credits
from runtime.process import StartError
from tests.contract.service import Service, serving, struct

pytestmark = pytest.mark.usefixtures("within_one_day")

OWNER = "telegram:7"


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(database_url, tmp_path, more_settings={"money": "test"}) as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[GenerationClient]:
    async with connect(service.address) as client:
        yield client


async def grant(client: GenerationClient, credits_: int, *, request_id: str = "g-1") -> int:
    request = pb.GrantCreditsRequest(
        request_id=request_id, owner=OWNER, credits=credits_, reason="a gift"
    )
    with translated():
        return (await client.wallet.GrantCredits(request)).wallet.balance


async def create(client: GenerationClient, **fields: Any) -> generation_pb.CreateJobResponse:
    request = generation_pb.CreateJobRequest(
        model_id="google/imagen4", inputs=struct({"prompt": "a cat"}), owner=OWNER, **fields
    )
    with translated():
        return await client.generation.CreateJob(request)


async def test_an_owner_that_never_had_anything_has_an_empty_wallet(
    client: GenerationClient,
) -> None:
    wallet = (await client.wallet.GetBalance(pb.GetBalanceRequest(owner=OWNER))).wallet
    assert (wallet.owner, wallet.balance, wallet.held_credits, wallet.debt) == (OWNER, 0, 0, 0)
    assert not wallet.HasField("free_allowance")


async def test_the_balance_tells_what_is_left_of_the_free_jobs_and_when_they_return(
    database_url: str, tmp_path: Path
) -> None:
    more: dict[str, Any] = {"money": "test", "free_jobs_per_day": 1}
    async with (
        serving(database_url, tmp_path, more_settings=more) as service,
        connect(service.address) as client,
    ):

        async def allowance() -> FreeAllowance:
            answer = await client.wallet.GetBalance(pb.GetBalanceRequest(owner=OWNER))
            return answer.wallet.free_allowance

        assert ((await allowance()).daily_count, (await allowance()).remaining_count) == (1, 1)
        wish = generation_pb.CreateJobRequest(
            model_id="z-image", inputs=struct({"prompt": "a cat"}), owner=OWNER
        )
        await client.generation.CreateJob(wish)
        with pytest.raises(GenerationError) as refused, translated():
            await client.generation.CreateJob(wish)
        left = await allowance()
    error = refused.value
    assert (error.code, error.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "FREE_ALLOWANCE_USED",
    )
    assert error.metadata == {"daily_count": "1"}
    assert left.remaining_count == 0
    midnight = left.reset_time.ToDatetime(tzinfo=UTC)
    assert midnight.time() == time(0)
    returned = datetime.now(UTC) + timedelta(seconds=error.retry_after_s or 0)
    assert abs(returned - midnight) < timedelta(minutes=1)


async def test_a_grant_is_made_once_and_named(client: GenerationClient) -> None:
    assert await grant(client, 10) == 10
    assert await grant(client, 10) == 10
    assert await grant(client, -4, request_id="g-2") == 6
    assert await grant(client, -100, request_id="g-3") == 0

    listed = await client.wallet.ListTransfers(pb.ListTransfersRequest(owner=OWNER))
    assert [(each.amount, each.balance_after) for each in listed.transfers] == [
        (-6, 0),
        (-4, 6),
        (10, 10),
    ]
    first = listed.transfers[-1]
    assert first.kind == TransferKind.TRANSFER_KIND_GRANT
    assert (first.actor, first.reason) == ("local", "a gift")


async def test_a_grant_that_found_nothing_takes_nothing_later(client: GenerationClient) -> None:
    async def take(credits_: int = -5) -> pb.GrantCreditsResponse:
        request = pb.GrantCreditsRequest(
            request_id="g-0", owner=OWNER, credits=credits_, reason="a mistake"
        )
        with translated():
            return await client.wallet.GrantCredits(request)

    assert (await take()).changed_credits == 0
    assert await grant(client, 10) == 10
    again = await take()
    assert (again.changed_credits, again.wallet.balance) == (0, 10)
    with pytest.raises(GenerationError) as refused:
        await take(-6)
    assert refused.value.reason == "REQUEST_ID_REUSED"


async def test_a_grant_tells_what_it_changed_also_when_it_comes_again(
    client: GenerationClient,
) -> None:
    await grant(client, 10)
    request = pb.GrantCreditsRequest(request_id="g-2", owner=OWNER, credits=-25, reason="too much")
    first = await client.wallet.GrantCredits(request)
    await grant(client, 3, request_id="g-3")
    again = await client.wallet.GrantCredits(request)
    assert (first.changed_credits, first.wallet.balance) == (-10, 0)
    assert (again.changed_credits, again.wallet.balance) == (-10, 3)


async def test_a_wallet_that_is_full_takes_no_more(
    service: Service, client: GenerationClient
) -> None:
    big = GrantRequest(LOCAL, "g-big", OWNER, 2**62, "a slip")
    for _ in range(2):
        with pytest.raises(InvalidInputs, match="more than 1000000000000000 credits"):
            await grant_credits(service.deps, big)
    await grant_credits(service.deps, replace(big, credits=MOST_CREDITS - 1))
    assert await grant(client, 1) == MOST_CREDITS
    with pytest.raises(GenerationError) as refused:
        await grant(client, 1, request_id="g-2")
    assert refused.value.reason == "INVALID_INPUTS"
    assert [each.field for each in refused.value.violations] == ["credits"]
    payment = pb.RecordTopUpRequest(
        provider="card", external_id="c-1", owner=OWNER, credits=1, amount=1, currency="EUR"
    )
    with pytest.raises(GenerationError) as refused, translated():
        await client.wallet.RecordTopUp(payment)
    assert refused.value.reason == "TOP_UP_INVALID"
    assert await grant(client, -1, request_id="g-3") == MOST_CREDITS - 1
    checked = await client.wallet.CheckLedger(pb.CheckLedgerRequest())
    assert list(checked.differences) == []


async def test_of_grants_to_many_with_one_request_id_one_is_made(
    client: GenerationClient,
) -> None:
    async def give(number: int) -> int:
        request = pb.GrantCreditsRequest(
            request_id="g-1", owner=f"telegram:{number}", credits=10, reason="a gift"
        )
        with translated():
            return (await client.wallet.GrantCredits(request)).wallet.balance

    told = await asyncio.gather(*(give(n) for n in range(1, 9)), return_exceptions=True)
    assert told.count(10) == 1
    refused = [each for each in told if isinstance(each, GenerationError)]
    assert [each.reason for each in refused] == ["REQUEST_ID_REUSED"] * 7


async def test_a_request_id_of_another_grant_is_refused(client: GenerationClient) -> None:
    await grant(client, 10)
    with pytest.raises(GenerationError) as refused:
        await grant(client, 11)
    assert (refused.value.code, refused.value.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
    )
    assert refused.value.metadata == {"request_id": "g-1", "field": "credits"}


async def test_a_late_retry_takes_nothing_that_was_granted_since(client: GenerationClient) -> None:
    assert await grant(client, -5, request_id="taken") == 0
    assert await grant(client, 3) == 3
    assert await grant(client, -5, request_id="taken") == 3
    assert await grant(client, -5, request_id="again") == 0
    assert await grant(client, 4, request_id="more") == 4
    assert await grant(client, -5, request_id="again") == 4


async def test_transfers_come_page_by_page(client: GenerationClient) -> None:
    for n in range(5):
        await grant(client, 1, request_id=f"g-{n}")
    request = pb.ListTransfersRequest(owner=OWNER, page_size=2)
    seen = []
    for _ in range(3):
        page = await client.wallet.ListTransfers(request)
        seen += [each.balance_after for each in page.transfers]
        request.page_token = page.next_page_token
    assert seen == [5, 4, 3, 2, 1]
    assert page.next_page_token == ""


async def test_a_job_that_is_too_dear_says_what_is_missing(client: GenerationClient) -> None:
    await grant(client, 3)
    with pytest.raises(GenerationError) as refused:
        await create(client)
    assert refused.value.reason == "INSUFFICIENT_CREDITS"
    assert dict(refused.value.metadata) == {"price": "8", "balance": "3", "missing": "5"}


async def test_another_price_than_the_agreed_one_is_told(client: GenerationClient) -> None:
    await grant(client, 100)
    with pytest.raises(GenerationError) as refused:
        await create(client, agreed_credits=7)
    assert refused.value.reason == "PRICE_CHANGED"
    assert dict(refused.value.metadata) == {"price": "8", "agreed": "7"}
    job = (await create(client, agreed_credits=8)).job
    assert not job.HasField("charged_credits")
    wallet = (await client.wallet.GetBalance(pb.GetBalanceRequest(owner=OWNER))).wallet
    assert (wallet.balance, wallet.held_credits) == (92, 8)

    request = generation_pb.CancelJobRequest(job_id=job.id)
    job = (await client.generation.CancelJob(request)).job
    assert (job.HasField("charged_credits"), job.charged_credits) == (True, 0)
    listed = await client.wallet.ListTransfers(pb.ListTransfersRequest(owner=OWNER))
    assert [(each.amount, each.model_id) for each in listed.transfers] == [
        (8, "google/imagen4"),
        (-8, "google/imagen4"),
        (100, ""),
    ]


async def test_where_nothing_is_sold_there_are_no_wallets(
    database_url: str, tmp_path: Path
) -> None:
    async with serving(database_url, tmp_path) as service, connect(service.address) as client:
        with pytest.raises(GenerationError) as refused, translated():
            await client.wallet.GetBalance(pb.GetBalanceRequest(owner=OWNER))
    assert refused.value.reason == "MONEY_OFF"


@pytest.mark.parametrize("money", ["live", None])
async def test_a_database_keeps_its_money_for_ever(service: Service, money: str | None) -> None:
    api_url = "https://api.kie.ai" if money == "live" else "http://127.0.0.1:9"
    settings = GenerationSettings(kie_api_key="key", kie_api_url=api_url, money=money)
    with pytest.raises(StartError, match="holds test money for ever: set MONEY=test"):
        await money_of(settings, service.database)


@pytest.mark.parametrize(("seller", "count"), [(" ", 1), ("Example Studio", 0)])
async def test_a_start_with_real_money_says_that_nobody_is_named_as_the_seller(
    database_url: str, seller: str, count: int
) -> None:
    settings = GenerationSettings(
        kie_api_key="key", kie_api_url="https://api.kie.ai", money="live", seller_text=seller
    )
    async with open_database(database_url, notifier=Notifier(), max_connections=2) as database:
        with capture_logs() as logs:
            assert (await money_of(settings, database)).seller == seller.strip()
    assert len([each for each in logs if "SELLER_TEXT is empty" in each["event"]]) == count


async def test_a_start_waits_for_a_database_that_is_away_for_a_moment(service: Service) -> None:
    settings = GenerationSettings(kie_api_key="key", kie_api_url="http://127.0.0.1:9", money="test")
    tries = iter([Unavailable("The database is restarting."), None])

    class Away:
        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[Transaction]:
            if error := next(tries):
                raise error
            async with service.database.transaction() as tx:
                yield tx

    assert (await money_of(settings, cast(Any, Away()))).mode is MoneyMode.TEST
    assert next(tries, None) is None


async def test_test_money_buys_nothing_at_the_real_provider(service: Service) -> None:
    settings = GenerationSettings(kie_api_key="key", kie_api_url="https://api.kie.ai", money="test")
    money = await money_of(settings, service.database)
    assert (money.mode, money.is_provider_real) == (MoneyMode.TEST, True)


PACKS = {
    "money": "test",
    "star_packs": "large=1200:1000, small=100:100",
    "seller_text": "Example\nStudio\n",
}


@pytest.fixture
async def shop(database_url: str, tmp_path: Path) -> AsyncIterator[GenerationClient]:
    served = serving(database_url, tmp_path, more_settings=PACKS)
    async with served as service, connect(service.address) as client:
        yield client


async def pay(
    client: GenerationClient, charge: str = "charge-1", **fields: Any
) -> pb.RecordTopUpResponse:
    paid: dict[str, Any] = {
        "owner": OWNER,
        "pack_id": "small",
        "amount": 100,
        "currency": "XTR",
        "telegram_host": "telegram.example",
        "bot_id": 9,
    }
    request = pb.RecordTopUpRequest(
        provider="telegram_stars",
        external_id=charge,
        **(paid | fields),
    )
    with translated():
        return await client.wallet.RecordTopUp(request)


async def test_packs_are_sold_the_cheapest_first(
    shop: GenerationClient, client: GenerationClient
) -> None:
    sold = await shop.wallet.ListPacks(pb.ListPacksRequest())
    assert [(each.id, each.credits, each.stars) for each in sold.packs] == [
        ("small", 100, 100),
        ("large", 1200, 1000),
    ]
    assert (sold.is_open, sold.is_live, sold.seller_text) == (True, False, "Example\nStudio")
    none = await client.wallet.ListPacks(pb.ListPacksRequest())
    assert (list(none.packs), none.is_open) == ([], False)


async def test_a_payment_is_checked_made_and_listed(shop: GenerationClient) -> None:
    request = pb.CheckTopUpRequest(
        owner=OWNER, pack_id="small", amount=100, currency="XTR", telegram_host="telegram.example"
    )
    await shop.wallet.CheckTopUp(request)
    made = await pay(shop)
    again = await pay(shop)

    assert (made.is_new, again.is_new) == (True, False)
    assert (made.wallet.balance, made.wallet.granted_credits) == (100, 0)
    listed = await shop.wallet.ListTopUps(pb.ListTopUpsRequest(owner=OWNER, page_size=1))
    assert [each.id for each in listed.top_ups] == [made.top_up.id]
    assert listed.top_ups[0].is_refundable
    assert listed.next_page_token == ""


async def test_top_ups_come_page_by_page(shop: GenerationClient) -> None:
    for n in range(3):
        await pay(shop, f"charge-{n}")
    request = pb.ListTopUpsRequest(owner=OWNER, page_size=2)
    seen = []
    for _ in range(2):
        page = await shop.wallet.ListTopUps(request)
        seen += [each.external_id for each in page.top_ups]
        request.page_token = page.next_page_token
    assert seen == ["charge-2", "charge-1", "charge-0"]


async def test_a_payment_that_fits_nothing_is_told_as_such(shop: GenerationClient) -> None:
    with pytest.raises(GenerationError) as refused:
        await pay(shop, amount=90)
    assert refused.value.reason == "TOP_UP_INVALID"
    assert "never cost 90 XTR" in refused.value.metadata["problem"]
    await pay(shop, "charge-2")
    with pytest.raises(GenerationError) as refused:
        await pay(shop, "charge-2", owner="telegram:8")
    assert refused.value.reason == "TOP_UP_REUSED"
    with pytest.raises(GenerationError) as refused:
        await pay(shop, "charge-3", telegram_host="")
    assert refused.value.reason == "INVALID_INPUTS"


async def test_a_refund_goes_by_the_edge(shop: GenerationClient) -> None:
    top_up = (await pay(shop)).top_up
    wish = pb.RefundTopUpRequest(top_up_id=top_up.id, reason="disliked")
    asked = (await shop.wallet.RefundTopUp(wish)).top_up
    assert asked.state == TopUpState.TOP_UP_STATE_REFUNDING
    (leased,) = (await shop.wallet.LeaseRefunds(pb.LeaseRefundsRequest(bot_id=9))).refunds
    assert (leased.user_id, leased.top_up.external_id) == (7, "charge-1")

    report = pb.ReportRefundRequest(top_up_id=top_up.id, lease_token=leased.lease_token)
    ended = (await shop.wallet.ReportRefund(report)).top_up
    assert ended.state == TopUpState.TOP_UP_STATE_REFUNDED
    assert ended.HasField("refund_time")
    report.lease_token = "of somebody else"
    with pytest.raises(GenerationError) as refused, translated():
        await shop.wallet.ReportRefund(report)
    assert refused.value.reason == "STALE_LEASE"
    listed = await shop.wallet.ListTransfers(pb.ListTransfersRequest(owner=OWNER))
    assert [(each.amount, each.balance_after) for each in listed.transfers] == [
        (-100, 0),
        (100, 100),
    ]


async def test_a_restart_with_other_prices_knows_the_earlier_ones(
    database_url: str, tmp_path: Path
) -> None:
    for packs in ("small=100:100", "small=90:120"):
        more = {"money": "test", "star_packs": packs}
        served = serving(database_url, tmp_path, more_settings=more)
        async with served as service, connect(service.address) as client:
            if "90" in packs:
                assert (await pay(client)).top_up.credits == 100
                assert (await pay(client, "charge-2", amount=120)).top_up.credits == 90
