"""An edge reports a bot's Star transactions over the wire."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atelier.wallet.v1 import star_transaction_pb2 as star_pb
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import GenerationClient, GenerationError, connect, translated
from tests.contract.service import serving

HOST = "telegram.example"
TAKEN = star_pb.StarTransaction(
    id="fragment-1",
    amount=3,
    nanostar_amount=5,
    partner=star_pb.STAR_PARTNER_FRAGMENT,
    document_json='{"receiver": {"type": "fragment", "withdrawal_state": {"type": "failed"}}}',
)
PAID = star_pb.StarTransaction(
    id="charge-1",
    is_incoming=True,
    amount=100,
    partner=star_pb.STAR_PARTNER_USER,
    user_id=7,
    transaction_type="invoice_payment",
    invoice_payload="topup:1:small:7",
)

PAID_LATER = star_pb.StarTransaction()
PAID_LATER.CopyFrom(PAID)
PAID_LATER.id = "charge-2"


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[GenerationClient]:
    settings = {"money": "test", "star_packs": "small=100:100"}
    async with (
        serving(database_url, tmp_path, more_settings=settings) as service,
        connect(service.address) as client,
    ):
        yield client


async def report(
    client: GenerationClient, *told: star_pb.StarTransaction, **fields: Any
) -> pb.ReportStarTransactionsResponse:
    wanted: dict[str, Any] = {"bot_id": 9, "telegram_host": HOST, "transactions": told} | fields
    with translated():
        return await client.wallet.ReportStarTransactions(
            pb.ReportStarTransactionsRequest(**wanted)
        )


async def test_a_payment_is_told_and_healed(client: GenerationClient) -> None:
    (found,) = (await report(client, PAID)).differences
    assert (found.transaction.id, found.transaction.user_id) == ("charge-1", 7)
    assert found.transaction.is_incoming
    assert not found.is_healed

    (healed,) = (await report(client, PAID, heal=True)).differences
    assert healed.is_healed
    wallet = (await client.wallet.GetBalance(pb.GetBalanceRequest(owner="telegram:7"))).wallet
    assert wallet.balance == 100


async def test_a_difference_shows_the_whole_transaction(client: GenerationClient) -> None:
    (found,) = (await report(client, TAKEN)).differences
    assert found.transaction.partner == star_pb.STAR_PARTNER_FRAGMENT
    assert (found.transaction.amount, found.transaction.nanostar_amount) == (3, 5)
    assert json.loads(found.transaction.document_json) == json.loads(TAKEN.document_json)


async def test_the_cursor_follows_what_was_reported(client: GenerationClient) -> None:
    page = [
        star_pb.StarTransaction(id=f"ad-{n}", amount=1, partner=star_pb.STAR_PARTNER_TELEGRAM_ADS)
        for n in range(100)
    ]
    answer = await report(client, *page)
    asked = pb.GetStarCursorRequest(bot_id=9)
    assert answer.next_offset == (await client.wallet.GetStarCursor(asked)).offset == 80
    assert (await client.wallet.GetStarCursor(pb.GetStarCursorRequest(bot_id=10))).offset == 0


async def test_more_than_a_page_and_real_stars_are_refused(client: GenerationClient) -> None:
    with pytest.raises(GenerationError) as too_many:
        await report(client, *[TAKEN] * 101)
    assert too_many.value.reason == "INVALID_INPUTS"
    with pytest.raises(GenerationError) as real:
        await report(client, PAID, telegram_host="api.telegram.org", heal=True)
    assert real.value.reason == "MONEY_MODE_MISMATCH"


@pytest.mark.parametrize("document", ["[1]", "{", "NaN", '{"a": 1e999}', r'{"a": "\ud800"}'])
async def test_a_document_that_cannot_be_kept_is_refused(
    client: GenerationClient, document: str
) -> None:
    told = star_pb.StarTransaction(id="t", document_json=document)
    with pytest.raises(GenerationError) as error:
        await report(client, told)
    assert error.value.violations[0].field == "transactions[0].document_json"


async def test_an_operator_has_all_read_again_and_healed(client: GenerationClient) -> None:
    await report(client, PAID)
    found = await client.wallet.ListStarDifferences(pb.ListStarDifferencesRequest())
    assert [(each.bot_id, each.transaction.id) for each in found.differences] == [(9, "charge-1")]
    lease = pb.LeaseRefundsRequest(bot_id=9)
    assert not (await client.wallet.LeaseRefunds(lease)).reads_stars

    order = pb.HealStarsRequest(bot_id=10, reason="updates were lost")
    assert (await client.wallet.HealStars(order)).bot_ids == [9, 10]
    for _ in range(2):  # the first page may have been read before the order
        assert (await client.wallet.LeaseRefunds(lease)).reads_stars
        await report(client, PAID)
    assert not (await client.wallet.LeaseRefunds(lease)).reads_stars

    found = await client.wallet.ListStarDifferences(pb.ListStarDifferencesRequest())
    assert list(found.differences) == []
    assert found.ordered_bot_ids == [10]
    wallet = (await client.wallet.GetBalance(pb.GetBalanceRequest(owner="telegram:7"))).wallet
    assert wallet.balance == 100
    (later,) = (await report(client, PAID_LATER)).differences  # the order is carried out
    assert not later.is_healed


async def test_what_came_from_nobody_is_settled(client: GenerationClient) -> None:
    given = star_pb.StarTransaction(
        id="gift-1", is_incoming=True, amount=70, partner=star_pb.STAR_PARTNER_OTHER
    )
    await report(client, given)
    wish: dict[str, Any] = {"bot_id": 9, "transaction_id": "gift-1", "is_incoming": True}
    wish["reason"] = "he sent a photo of it"
    credit = pb.StarCredit(owner="telegram:7", credits=77)
    for _ in range(2):
        answer = await client.wallet.SettleStarTransaction(
            pb.SettleStarTransactionRequest(**wish, credit=credit)
        )
        assert answer.settled_as == "owner telegram:7 77"
    wallet = (await client.wallet.GetBalance(pb.GetBalanceRequest(owner="telegram:7"))).wallet
    assert wallet.balance == 77

    with pytest.raises(GenerationError) as other, translated():
        await client.wallet.SettleStarTransaction(
            pb.SettleStarTransactionRequest(**wish, is_bot_owners=True)
        )
    assert other.value.reason == "STAR_NOT_SETTLED"
    with pytest.raises(GenerationError) as nothing, translated():
        await client.wallet.SettleStarTransaction(pb.SettleStarTransactionRequest(**wish))
    assert nothing.value.violations[0].field == "verdict"
    report_ = await client.wallet.CheckLedger(pb.CheckLedgerRequest())
    assert list(report_.differences) == []
