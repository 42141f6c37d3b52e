"""Odd input at every RPC of `WalletService`: a refusal names the field, and nothing is written.

One field after the other of a request that is right becomes odd: texts, whole numbers, times and
enums that a client could send. What is accepted must be within the contract; what is refused is
INVALID_ARGUMENT with that field, or a refusal with a reason of its own, and leaves no trace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from atelier.wallet.v1 import star_transaction_pb2
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.top_up import MOST_AMOUNT
from tests.contract.failure import Refusal, refusal_of_error
from tests.contract.service import Service, serving
from tests.contract.test_contract_bound import FIELDS, PARTS, WALLET, Field
from tests.postgres import migrated_database

NUL, LONG = "a\0b", "ы" * 300
TEXTS = (
    "",
    NUL,
    LONG,
    "a\nb",
    "\r\t\x1b[31m",
    "🧾" * 30,
    "\u202eabc\u2069",
    "שלום",
    "٣",
    " ",
    "'; --",
)
NUMBERS = {
    FieldDescriptor.TYPE_INT32: (0, -1, -(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (0, -1, -(2**63), 2**63 - 1, 2**53 + 1),
}
TIMES = (
    Timestamp(),
    Timestamp(seconds=-62135596800),  # the year 1
    Timestamp(seconds=253402300799, nanos=999999999),  # the end of the year 9999
    Timestamp(seconds=2**63 - 1),
    Timestamp(seconds=-1, nanos=-1),
    Timestamp(seconds=1, nanos=2**31 - 1),
)
ENUMS = (-1, 99, 2**31 - 1)
SAID = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
}
"""What a refusal of odd input may be: the caller's own doing, and no fault of the service."""
TABLES = (
    "credit_grant",
    "margin_rule",
    "money_cursor",
    "money_state",
    "receipt",
    "star_transaction",
    "top_up",
    "transfer",
    "wallet",
    "wallet_import",
)
_CONTENT = "md5(string_agg(each::text, '' ORDER BY each::text))"
STAMP = " UNION ALL ".join(
    f"SELECT '{name}' AS name, count(*) AS rows, {_CONTENT} AS content FROM {name} AS each"
    for name in TABLES
)
RPCS = [each for each in FIELDS if each.method.containing_service.full_name.startswith(WALLET)]


@pytest.fixture(scope="module")
async def shop(
    postgres: psycopg.Connection, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """One service that sells, for all the tests of this module."""
    settings = {"money": "test", "star_packs": "small=100:1"}
    with migrated_database(postgres, postgres_url) as url:
        folder = tmp_path_factory.mktemp("media")
        async with serving(url, folder, more_settings=settings) as service:
            yield service


async def ask(service: Service, method: str, request: Message | bytes) -> Refusal | None:
    """Make a call with a message or with raw bytes; return what was said against it."""
    data = request if isinstance(request, bytes) else request.SerializeToString()
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = service.channel.unary_unary(
        f"/{WALLET}.WalletService/{method}", request_serializer=bytes
    )
    try:
        await call(data, timeout=30)
    except grpc.aio.AioRpcError as error:
        return refusal_of_error(error)
    return None


async def stamp(service: Service) -> list[Any]:
    """Return what all tables about money hold."""
    async with service.deps.database.transaction() as tx:
        cursor = await tx.ledger._connection.execute(STAMP)  # type: ignore[attr-defined]
        return list(await cursor.fetchall())


def odd_values(field: Field) -> Iterator[Any]:
    kind = field.last.type
    if kind == FieldDescriptor.TYPE_STRING:
        yield from TEXTS
    else:
        yield from NUMBERS.get(kind, ())


METHODS = sorted({each.method.name for each in RPCS})


@pytest.mark.parametrize("method", METHODS)
async def test_an_odd_field_is_named_or_taken_and_no_fault(shop: Service, method: str) -> None:
    wrong: list[tuple[str, Any, object]] = []
    for field in RPCS:
        if field.method.name != method:
            continue
        for value in odd_values(field):
            before = await stamp(shop)
            refusal = await ask(shop, method, _unused(field, value))
            if refusal is None:
                continue
            named = not refusal.violations or field.name in refusal.violations
            said = all(text for text in refusal.violations.values())
            if refusal.code not in SAID or not (named and said and refusal.reason):
                wrong.append((field.name, value, refusal))
            elif before != await stamp(shop) and not _is_kept(refusal):
                wrong.append((field.name, value, "something was written"))
    assert wrong == []


def _unused(field: Field, value: Any) -> Message:
    """Return the odd request under a key that no other one has used."""
    request = field.request(value)
    for key in ("request_id", "external_id"):
        if key in type(request).DESCRIPTOR.fields_by_name and key != field.last.name:
            setattr(request, key, f"{field.name}/{value!r}"[:100].replace("\0", ""))
    return request


def _is_kept(refusal: Refusal) -> bool:
    """Return whether a refusal is one that keeps Stars which came in suspense (RecordTopUp)."""
    return refusal.reason == "TOP_UP_INVALID"


@pytest.mark.parametrize("method", METHODS)
async def test_a_text_that_cannot_be_kept_or_is_too_long_names_its_field(
    shop: Service, method: str
) -> None:
    texts = [
        each
        for each in RPCS
        if each.method.name == method and each.last.type == FieldDescriptor.TYPE_STRING
    ]
    for field in texts:
        for value in (NUL, LONG * 100):
            refusal = await ask(shop, method, field.request(value))
            assert refusal is not None, field.name
            if field.last.name == "page_token":
                assert refusal.reason == "INVALID_PAGE_TOKEN"
            else:
                assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
                assert set(refusal.violations) == {field.name}


@pytest.mark.parametrize("method", METHODS)
async def test_bytes_that_are_no_text_are_refused_with_a_reason(shop: Service, method: str) -> None:
    # Half a surrogate in UTF-8, as the first field, which every client library would refuse.
    for data in (b"\x0a\x03\xed\xa0\xbd", b"\x0a\xff", b"\xff"):
        before = await stamp(shop)
        refusal = await ask(shop, method, data)
        if refusal is not None:
            assert refusal.code in SAID
            assert refusal.reason == "INVALID_INPUTS"
        assert before == await stamp(shop)


def statement(**times: Timestamp | None) -> pb.GetStatementRequest:
    good = {"start_time": Timestamp(seconds=10**9), "end_time": Timestamp(seconds=10**9 + 1)}
    given = {**good, **times}
    return pb.GetStatementRequest(
        owner="telegram:7", start_time=given["start_time"], end_time=given["end_time"]
    )


@pytest.mark.parametrize("name", ["start_time", "end_time"])
@pytest.mark.parametrize("time", [*TIMES[1:], None], ids=str)
async def test_a_time_that_is_none_is_named(
    shop: Service, name: str, time: Timestamp | None
) -> None:
    refusal = await ask(shop, "GetStatement", statement(**{name: time}))
    assert refusal is not None
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(refusal.violations) == {name}


@pytest.mark.parametrize(
    ("start", "end"), [(10**9, 10**9), (10**9, 1), (10**9, 10**9 + 367 * 86400)]
)
async def test_a_period_that_is_none_says_what_one_is(shop: Service, start: int, end: int) -> None:
    times = {"start_time": Timestamp(seconds=start), "end_time": Timestamp(seconds=end)}
    refusal = await ask(shop, "GetStatement", statement(**times))
    assert refusal is not None
    assert refusal.violations == {"end_time": "Must be after start_time, by at most 366 days."}


@pytest.mark.parametrize("value", ENUMS)
async def test_a_format_that_is_none_is_named(shop: Service, value: int) -> None:
    request = statement()
    request.format = value  # type: ignore[assignment]
    refusal = await ask(shop, "GetStatement", request)
    assert refusal is not None
    assert set(refusal.violations) == {"format"}


async def grants(service: Service, owner: str) -> None:
    for number in range(2):
        request = pb.GrantCreditsRequest(owner=owner, credits=1, reason="a gift")
        request.request_id = f"{owner[:100]}/{number}"
        assert await ask(service, "GrantCredits", request) is None


@pytest.mark.parametrize("owner", ["a\nb", "🧾", "\u202eabc", "שלום", "ы" * 128, " "])
async def test_an_owner_of_odd_letters_has_a_wallet_like_any_other(
    shop: Service, owner: str
) -> None:
    stub = shop.channel.unary_unary(
        f"/{WALLET}.WalletService/GetBalance",
        request_serializer=pb.GetBalanceRequest.SerializeToString,
        response_deserializer=pb.GetBalanceResponse.FromString,
    )
    before = (await stub(pb.GetBalanceRequest(owner=owner))).wallet.balance
    await grants(shop, owner)
    answer = await stub(pb.GetBalanceRequest(owner=owner))
    assert (answer.wallet.owner, answer.wallet.balance - before) == (owner, 2)
    for each in (1, 2):
        request = statement()
        request.owner, request.format = owner, each  # type: ignore[assignment]
        assert await ask(shop, "GetStatement", request) is None


@pytest.mark.parametrize("method", ["ListTransfers", "ListTopUps"])
async def test_a_token_of_another_owner_or_list_is_no_token(shop: Service, method: str) -> None:
    await grants(shop, "telegram:7")
    kind = GetMessageClass(getattr(pb, f"{method}Request").DESCRIPTOR)
    listed = shop.channel.unary_unary(
        f"/{WALLET}.WalletService/ListTransfers",
        request_serializer=pb.ListTransfersRequest.SerializeToString,
        response_deserializer=pb.ListTransfersResponse.FromString,
    )
    page = await listed(pb.ListTransfersRequest(owner="telegram:7", page_size=1))
    assert page.next_page_token
    for token in (page.next_page_token, page.next_page_token[:-1], "x", "ы", "AQ==", "A" * 5000):
        refusal = await ask(shop, method, kind(owner="telegram:8", page_token=token))
        assert refusal is not None
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("amount", [0, 1, 2**63 - 1])
@pytest.mark.parametrize("document", ["{}", "huge", "wrong"])
@pytest.mark.parametrize("partner", star_transaction_pb2.StarPartner.values())
async def test_stars_of_any_amount_and_document_are_no_fault(
    shop: Service, amount: int, document: str, partner: int
) -> None:
    texts = {
        "{}": "{}",
        "huge": '{"source": {"type": "user", "affiliate": {"amount": 1e400, "x": 1},'
        ' "transaction_type": "invoice_payment"}}',
        "wrong": '{"source": {"affiliate": {"amount": 9223372036854775807,'
        ' "nanostar_amount": 99999999999999999999}}}',
    }
    request = pb.ReportStarTransactionsRequest(
        bot_id=1, telegram_host="telegram.example", heal=True
    )
    told = request.transactions.add(**PARTS["transactions"])
    told.id, told.amount, told.is_incoming = f"{amount}/{document}/{partner}", amount, True
    told.nanostar_amount, told.user_id = 999_999_999, 7
    told.transaction_type = "invoice_payment"
    told.invoice_payload, told.document_json = "topup:1:small:7", texts[document]
    told.partner = partner  # type: ignore[assignment]
    told.time.seconds = 10**9
    for is_incoming in (True, False):
        told.is_incoming = is_incoming
        refusal = await ask(shop, "ReportStarTransactions", request)
        assert refusal is None or refusal.code in SAID


async def test_the_ledger_is_whole_after_all_that(shop: Service) -> None:
    call = shop.channel.unary_unary(
        f"/{WALLET}.WalletService/CheckLedger",
        request_serializer=pb.CheckLedgerRequest.SerializeToString,
        response_deserializer=pb.CheckLedgerResponse.FromString,
    )
    found = (await call(pb.CheckLedgerRequest())).differences
    # One transaction was told with another amount each time, after the first had been booked.
    rules = {each.rule for each in found if each.subject != "bounds"}
    assert rules <= {"top_up_is_seen_by_telegram"}


@pytest.mark.parametrize("amount", [MOST_AMOUNT + 1, 2**63 - 1])
async def test_more_than_anybody_can_pay_was_never_paid(shop: Service, amount: int) -> None:
    fields: dict[str, Any] = {"owner": "telegram:7", "amount": amount, "pack_id": "small"}
    fields |= {"currency": "XTR", "telegram_host": "telegram.example"}
    paid = pb.RecordTopUpRequest(provider="telegram_stars", external_id="x", bot_id=7, **fields)
    before = await stamp(shop)
    for method, request in (("RecordTopUp", paid), ("CheckTopUp", pb.CheckTopUpRequest(**fields))):
        refusal = await ask(shop, method, request)
        assert refusal is not None
        assert refusal.violations == {"amount": f"Must be from 0 to {MOST_AMOUNT}, not {amount}."}
    card: dict[str, Any] = {"provider": "card", "owner": "o", "credits": 1, "currency": "EUR"}
    request = pb.RecordTopUpRequest(external_id=f"x-{amount}", amount=amount, **card)
    refusal = await ask(shop, "RecordTopUp", request)
    assert refusal is not None
    assert refusal.violations == {"amount": f"Must be from 0 to {MOST_AMOUNT}, not {amount}."}
    assert await stamp(shop) == before
    most = pb.RecordTopUpRequest(external_id=f"x-{amount}", amount=MOST_AMOUNT, **card)
    assert await ask(shop, "RecordTopUp", most) is None
