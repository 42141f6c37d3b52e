"""`GetStatement`: what an owner's credits did in a period, as a file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pypdf import PdfReader

from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.statement_pb2 import STATEMENT_FORMAT_CSV, STATEMENT_FORMAT_PDF
from atelier.wallet.v1.top_up_pb2 import TopUp
from generation_client import GenerationClient, GenerationError, connect, translated
from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.ledger import Delivered
from generation_svc.domain.money_error import TopUpNotFound
from generation_svc.engine.maintenance.receipts import number_receipts
from generation_svc.lifecycle.epoch import watch_epoch
from generation_svc.server.statement import ProcessStatementWriter
from generation_svc.usecase.money import read_statement
from generation_svc.usecase.money.read_receipt import read_receipt
from tests.contract.service import Service, serving
from tests.contract.test_wallet_service import OWNER, create, grant

SELLER = "Example Studio"


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    settings = {"money": "test", "seller_text": f" {SELLER} "}
    async with serving(database_url, tmp_path, more_settings=settings) as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[GenerationClient]:
    async with connect(service.address) as client:
        yield client


async def statement(client: GenerationClient, **fields: Any) -> pb.GetStatementResponse:
    """Ask for the statement of a day around now, or of what the fields say."""
    now = datetime.now(UTC)
    start, end = fields.pop("start", now - timedelta(hours=12)), fields.pop("end", None)
    request = pb.GetStatementRequest(**{"owner": OWNER, **fields})
    request.start_time.FromDatetime(start)
    request.end_time.FromDatetime(end or now + timedelta(hours=12))
    with translated():
        return await client.wallet.GetStatement(request)


def rows(made: pb.GetStatementResponse) -> list[list[str]]:
    return list(csv.reader(io.StringIO(made.data.decode("utf-8-sig"), newline="")))


async def jobs_of(service: Service, client: GenerationClient) -> None:
    """Give credits, and have one job captured and another one released."""
    await grant(client, 100)
    first, second = [(await create(client, request_id=f"job-{n}")).job for n in range(2)]
    async with service.deps.database.transaction() as tx:
        for job, count in ((first, 1), (second, 0)):
            await tx.ledger.capture(UUID(job.id), Delivered(count))


async def test_a_statement_leads_from_what_was_there_to_what_is_left(
    service: Service, client: GenerationClient
) -> None:
    await jobs_of(service, client)
    made = await statement(client)
    assert made.mime_type == "text/csv; charset=utf-8"
    _, opening, *lines, closing = rows(made)
    assert opening[4] == "0"
    assert [line[1] for line in lines] == [
        "Bonus",
        "Set aside for a job",
        "Set aside for a job",
        "Charged",
        "Not used, returned",
    ]
    balance = (await client.wallet.GetBalance(pb.GetBalanceRequest(owner=OWNER))).wallet.balance
    assert sum(int(line[3]) for line in lines) == int(closing[4]) == balance
    assert lines[1][2] == "Imagen 4"


async def test_a_later_period_begins_with_what_was_left(client: GenerationClient) -> None:
    await grant(client, 100)
    between = datetime.now(UTC)
    await grant(client, 7, request_id="g-2")
    assert [row[4] for row in rows(await statement(client, start=between))] == [
        "Balance",
        "100",
        "107",
        "107",
    ]
    earlier = rows(await statement(client, end=between))
    assert [row[4] for row in earlier] == ["Balance", "0", "100", "100"]
    late = datetime.now(UTC) + timedelta(hours=1)
    assert [row[4] for row in rows(await statement(client, start=late))] == [
        "Balance",
        "107",
        "107",
    ]


async def test_a_pdf_speaks_the_language_that_was_asked_for(client: GenerationClient) -> None:
    await grant(client, 100)
    made = await statement(client, format=STATEMENT_FORMAT_PDF, language_code="ru")
    [page] = PdfReader(io.BytesIO(made.data)).pages
    text = page.extract_text()
    assert made.mime_type == "application/pdf"
    assert made.file_name.startswith("выписка-")
    for words in ("Выписка по кредитам", OWNER, SELLER, "Бонус", "a gift", "тестовые"):
        assert words in text


async def test_documents_are_written_by_one_process_beside_the_service(
    service: Service, client: GenerationClient
) -> None:
    writer = service.deps.statements
    assert isinstance(writer, ProcessStatementWriter)
    top_up = await paid(client)
    await statement(client)
    (pid,) = writer.children.pids
    await receipt(client, top_up.id)
    assert writer.children.pids == {pid} != {os.getpid()}


async def test_of_too_many_lines_the_latest_are_told(
    client: GenerationClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        await grant(client, 10, request_id=f"g-{n}")
    monkeypatch.setattr(read_statement, "MOST_LINES", 2)
    _, opening, *lines, closing = rows(await statement(client))
    assert opening[4] == "30"
    assert "Only the latest" in opening[2]
    assert [line[4] for line in lines] == ["40", "50"]
    assert closing[4] == "50"


@pytest.mark.parametrize(("days", "field"), [(0, "end_time"), (-1, "end_time"), (367, "end_time")])
async def test_a_period_is_a_year_at_most(client: GenerationClient, days: int, field: str) -> None:
    now = datetime.now(UTC)
    with pytest.raises(GenerationError) as refused:
        await statement(client, start=now, end=now + timedelta(days=days))
    assert refused.value.reason == "INVALID_INPUTS"
    assert field in str(refused.value)
    assert rows(await statement(client, start=now, end=now + timedelta(days=366)))


async def test_a_format_that_nobody_knows_is_refused(client: GenerationClient) -> None:
    with pytest.raises(GenerationError) as refused:
        await statement(client, format=9)
    assert refused.value.reason == "INVALID_INPUTS"
    assert rows(await statement(client, format=STATEMENT_FORMAT_CSV))


async def paid(client: GenerationClient) -> TopUp:
    """Record a payment of two rubles."""
    request = pb.RecordTopUpRequest(
        provider="card",
        external_id="c-1",
        owner=OWNER,
        credits=20,
        amount=200,
        currency="RUB",
    )
    return (await client.wallet.RecordTopUp(request)).top_up


async def receipt(client: GenerationClient, top_up_id: str, language: str = "") -> str:
    request = pb.GetReceiptRequest(top_up_id=top_up_id, language_code=language)
    with translated():
        made = await client.wallet.GetReceipt(request)
    assert made.mime_type == "application/pdf"
    [page] = PdfReader(io.BytesIO(made.data)).pages
    return page.extract_text()


async def test_a_receipt_has_its_number_once_it_is_given(
    service: Service, client: GenerationClient
) -> None:
    top_up = await paid(client)
    assert "gets its number within a minute" in await receipt(client, top_up.id)
    await watch_epoch(service.deps.database, service.deps.media.store)  # it covers the payment now
    await number_receipts(service.deps)
    for _ in range(2):
        text = await receipt(client, top_up.id, "ru")
        for words in ("Квитанция № 1-000001", OWNER, SELLER, "2,00 RUB", "тестовые"):
            assert words in text


@pytest.mark.parametrize("top_up_id", ["none", "0198c0de-0000-7000-8000-000000000000"])
async def test_of_no_payment_there_is_no_receipt(client: GenerationClient, top_up_id: str) -> None:
    with pytest.raises(GenerationError) as refused:
        await receipt(client, top_up_id)
    assert refused.value.reason == "TOP_UP_NOT_FOUND"


async def test_a_receipt_of_somebody_elses_owner_is_not_found(
    service: Service, client: GenerationClient
) -> None:
    top_up = await paid(client)
    stranger = Caller("shop", scopes=frozenset({Scope.WALLET_READ}), owner_prefixes=("shop:",))
    with pytest.raises(TopUpNotFound):
        await read_receipt(service.deps, stranger, top_up_id=top_up.id, language="")
    own = replace(stranger, owner_prefixes=("telegram:",))
    assert (await read_receipt(service.deps, own, top_up_id=top_up.id, language="")).top_up
