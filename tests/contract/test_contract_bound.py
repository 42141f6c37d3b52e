"""The bounds in the comments of the contract are the ones enforced: on each and one beyond it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from atelier.generation.v1 import consent_pb2
from atelier.generation.v1 import delivery_service_pb2 as delivery_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.catalog.media import MAX_DATA_BYTES
from generation_svc.domain.media_input import MAX_ITEM_NUMBER
from generation_svc.rpc.bound import MAX_FILTER_CONDITIONS
from generation_svc.rpc.register import CONTRACT
from tests.contract.comment import (
    Bound,
    bound_in,
    comments,
    contract,
    is_bounded,
    says_what_nothing_means,
)
from tests.contract.failure import Refusal, refusal_of_error, refused
from tests.contract.service import Service, struct

METHODS = [
    method
    for module in CONTRACT
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
WALLET = "atelier.wallet.v1"
AMOUNT = re.compile(r"\b0 (or more|to \d+)")
"""How much there is of money: zero means zero."""
NOBODY = "0198c0de-0000-7000-8000-000000000000"
MAX_WAIT_SECONDS = 0.5
"""How long a call may take: some wait for as long as they are asked to, which proves enough."""
LARGEST = {FieldDescriptor.TYPE_INT32: 2**31 - 1, FieldDescriptor.TYPE_INT64: 2**63 - 1}
BALANCE = {"source": "old", "user_id": "7", "amount": "1", "currency": "RUB"}
TEMPLATES: dict[str, dict[str, Any]] = {
    "CreateJob": {"model_id": "z-image", "inputs": struct({"prompt": "a lighthouse"})},
    "GetJob": {"job_id": NOBODY},
    "WaitJob": {"job_id": NOBODY},
    "StreamJobUpdates": {"job_id": NOBODY},
    "CancelJob": {"job_id": NOBODY},
    "QuoteJob": {"model_id": "z-image", "inputs": struct({"prompt": "a lighthouse"})},
    "RecordConsent": {"kind": consent_pb2.CONSENT_KIND_FACE, "wording_version": "1"},
    "WithdrawConsent": {"kind": consent_pb2.CONSENT_KIND_FACE},
    "GetModel": {"model_id": "z-image"},
    "LeaseDeliveries": {"queue": "bounds"},
    "BeginDelivery": {"lease_token": "none"},
    "ReportDelivery": {"lease_token": "none", "unknown": {}},
    "GetSession": {"bot_id": 1, "key": "bounds"},
    "PutSession": {"bot_id": 1, "key": "bounds"},
    "LeaseUpdates": {"bot_id": 1, "holder": "bounds"},
    "CreateUploadLink": {"owner": "bounds", "draft": "bounds"},
    "TestWebhook": {"url": "https://hook.example/"},
    "EnableWebhook": {"url": "https://hook.example/"},
    "GetModelDocument": {"model_id": "z-image"},
    "SetModelOverride": {"model_id": "z-image"},
    "SwitchModel": {"model_id": "z-image"},
    "CheckTopUp": {
        "owner": "telegram:7",
        "pack_id": "small",
        "amount": 1,
        "currency": "XTR",
        "telegram_host": "telegram.example",
    },
    "RecordTopUp": {
        "provider": "card",
        "external_id": "bounds",
        "owner": "telegram:7",
        "credits": 1,
        "currency": "EUR",
    },
    "RefundTopUp": {"top_up_id": NOBODY, "reason": "bounds"},
    "LeaseRefunds": {"bot_id": 1},
    "ReportRefund": {"top_up_id": NOBODY, "lease_token": "none"},
    "ReportTold": {"top_up_id": NOBODY},
    "GetStarCursor": {"bot_id": 1},
    "ReportStarTransactions": {"bot_id": 1, "telegram_host": "telegram.example"},
    "HealStars": {"reason": "bounds"},
    "SettleStarTransaction": {
        "bot_id": 1,
        "transaction_id": "none",
        "is_bot_owners": True,
        "reason": "bounds",
    },
    "BlockOwner": {"owner": "bounds", "reason": "bounds"},
    "SetMargin": {"factor": "1.5", "reason": "bounds"},
    "ImportBalances": {
        "batch_id": NOBODY,
        "balances": [BALANCE],
        "rate": "1",
        "reason": "bounds",
    },
    "UndoImport": {"batch_id": NOBODY, "reason": "bounds"},
    "SetSales": {"is_open": True, "reason": "bounds"},
    "GetStatement": {"start_time": Timestamp(seconds=1), "end_time": Timestamp(seconds=2)},
    "GetReceipt": {"top_up_id": NOBODY},
    "GetDailyReport": {"first_day": "2026-11-01", "last_day": "2026-11-02"},
    "GrantCredits": {"request_id": "bounds", "owner": "bounds", "credits": 1, "reason": "bounds"},
}
"""What each request needs beside the field that is tried."""
PARTS: dict[str, dict[str, Any]] = {
    "telegram": {"bot_id": 1, "chat_id": 1},
    "queue": {"queue": "bounds"},
    "transactions": {"id": "bounds"},
    "balances": BALANCE,
    "credit": {"owner": "bounds"},
}
OPAQUE = {"google.protobuf.Struct", "google.protobuf.Timestamp"}
"""What has a test of its own below."""
TEXTS = {
    "queue": "q",
    "url": "https://hook.example/",
    "return_uri": "https://chat.example/",
    "filter": "state = JOB_STATE_QUEUED",
    "atelier.generation.v1.ListModelsRequest.filter": "family = flux",
    "patch_json": "{}",
    "document_json": "{}",
    "factor": "1.",
    "rate": "1.",
    "atelier.wallet.v1.ImportedBalance.amount": "1.",
    "first_day": "2026-11-01",
    "last_day": "2026-11-02",
}
"""How the text of a field has to begin, or of what it has to be: by its name, short or full."""
FILLERS = {
    "filter": " ",
    "patch_json": " ",
    "document_json": " ",
    "factor": "0",
    "rate": "0",
    "amount": "0",
}
"""With what such a text may be filled up; with letters if nothing is said."""


@dataclass(frozen=True)
class Field:
    """A field of a request, however deep inside of it."""

    method: MethodDescriptor
    path: tuple[FieldDescriptor, ...]

    @property
    def last(self) -> FieldDescriptor:
        return self.path[-1]

    @property
    def name(self) -> str:
        """The path as violations spell it."""
        return ".".join(each.name + "[0]" * _is_list(each) for each in self.path)

    @property
    def bound(self) -> Bound | None:
        return bound_in(comments()[self.last.full_name])

    @property
    def comment(self) -> str:
        return comments()[self.last.full_name]

    def request(self, value: Any) -> Message:
        """Return a request that is right but for the value of this field."""
        request = GetMessageClass(self.method.input_type)(**TEMPLATES.get(self.method.name, {}))
        inner: Message = request
        for each in self.path[:-1]:
            part = GetMessageClass(_kind(each))(**PARTS.get(each.name, {}))
            if _is_list(each):
                getattr(inner, each.name).append(part)
                inner = getattr(inner, each.name)[0]
                continue
            getattr(inner, each.name).CopyFrom(part)
            getattr(inner, each.name).SetInParent()
            inner = getattr(inner, each.name)
        _put(inner, self.last, value)
        return request


def _put(message: Message, field: FieldDescriptor, value: Any) -> None:
    if isinstance(value, list):
        getattr(message, field.name).extend(value)
    elif field.message_type is None:
        setattr(message, field.name, value)
    elif field.message_type.GetOptions().map_entry:
        getattr(message, field.name).update(value)
    else:
        getattr(message, field.name).CopyFrom(value)


def _is_list(field: FieldDescriptor) -> bool:
    """Return whether a field holds messages, one after the other."""
    return bool(field.is_repeated) and not _is_leaf(field)


def _is_leaf(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is None or kind.GetOptions().map_entry or kind.full_name.startswith("google.")


def _fields(kind: Descriptor, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[Any]:
    for field in kind.fields:
        if _is_leaf(field):
            yield (*path, field)
        else:
            yield from _fields(_kind(field), (*path, field))


def _kind(field: FieldDescriptor) -> Descriptor:
    assert field.message_type is not None
    return field.message_type


def _has_bound(field: FieldDescriptor) -> bool:
    """Return whether a field is one that could hold too much."""
    if field.message_type is not None:
        return field.message_type.full_name not in OPAQUE
    return field.type not in (FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_ENUM)


FIELDS = [
    Field(method, path)
    for method in METHODS
    for path in _fields(method.input_type)
    if _has_bound(path[-1])
]


def _nanos(nanos: int) -> Duration:
    return Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)


def _text(field: Field, length: int) -> str:
    start = TEXTS.get(field.last.full_name, TEXTS.get(field.last.name, "x"))
    filler = FILLERS.get(field.last.name, "x")
    return (start * length if len(start) == 1 else start.ljust(length, filler))[:length]


def _value(field: Field, amount: int, unit: str) -> Any:
    """Return so much of what a field holds, in the unit of its bound."""
    if unit in ("documents", "models"):
        return ["x"] * amount
    if field.last.message_type is not None:
        if field.last.message_type.full_name == "google.protobuf.Duration":
            return _nanos(amount)
        return {f"header-{number}": "x" for number in range(amount)}
    match field.last.type:
        case FieldDescriptor.TYPE_STRING:
            assert unit in ("characters", "bytes", "KiB")
            return _text(field, amount)
        case FieldDescriptor.TYPE_BYTES:
            return bytes(amount)
        case _:
            return amount


def _amounts(field: Field, bound: Bound) -> tuple[list[int], list[int]]:
    """Return what the bound allows at its ends, and what is one beyond them."""
    scale = 10**9 if bound.unit == "s" else 1
    most = bound.size * scale if bound.most is not None else LARGEST[field.last.type]
    least = bound.least * scale
    allowed = [most] if bound.words.endswith(("most", "after", "than")) else [least, most]
    above = [] if bound.most is None else [most + 1]
    may_be_negative = field.last.type in LARGEST or bound.unit == "s"
    below = [least - 1] if may_be_negative or least else []
    if bound.words in ("cut after", "more than"):  # what is beyond is taken, too
        allowed, above = allowed + above, []
    return allowed, above + below


def cases() -> Iterator[Any]:
    for field in FIELDS:
        bound = field.bound
        if bound is None:
            continue
        allowed, beyond = _amounts(field, bound)
        for amount, is_allowed in [*((a, True) for a in allowed), *((b, False) for b in beyond)]:
            value = _value(field, amount, bound.unit)
            name = f"{field.method.name}-{field.name}-{amount}"
            yield pytest.param(field, value, is_allowed, id=name)


async def ask(service: Service, field: Field, value: Any) -> Refusal | None:
    """Make a call and return what was said against it."""
    method, request = field.method, field.request(value)
    sends, receives = (
        "stream" if is_stream else "unary"
        for is_stream in (method.client_streaming, method.server_streaming)
    )
    path = f"/{method.containing_service.full_name}/{method.name}"
    open_call = getattr(service.channel, f"{sends}_{receives}")
    call = open_call(path, request_serializer=type(request).SerializeToString)
    sent = iter([request]) if method.client_streaming else request
    try:
        made = call(sent, timeout=MAX_WAIT_SECONDS)
        await (made.read() if method.server_streaming else made)
    except grpc.aio.AioRpcError as error:
        return refusal_of_error(error)
    return None


@pytest.mark.parametrize(("field", "value", "is_allowed"), [*cases()])
async def test_a_bound_is_the_one_that_the_comment_says(
    idle_service: Service, field: Field, value: Any, is_allowed: bool
) -> None:
    refusal = await ask(idle_service, field, value) or Refusal(grpc.StatusCode.OK)
    if is_allowed:
        assert field.name not in refusal.violations
        assert refusal.reason != "INTERNAL"
    elif field.last.name == "page_token":
        assert refusal.reason == "INVALID_PAGE_TOKEN"
    else:
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert set(refusal.violations) == {field.name}


def test_every_field_of_a_request_states_a_bound() -> None:
    unbounded = {each.name for each in FIELDS if not is_bounded(each.comment)}
    assert not unbounded


def test_every_text_list_and_number_of_the_contract_states_a_bound() -> None:
    free = {
        name
        for file in contract()
        for name in _countable(file.package, file.message_type)
        if not is_bounded(comments()[name])
    }
    assert not free


def test_every_one_of_them_that_may_be_empty_says_what_that_means() -> None:
    silent = {
        name
        for file in contract()
        for name in _countable(file.package, file.message_type)
        if not says_what_nothing_means(comments()[name])
        and not (file.package == WALLET and AMOUNT.search(comments()[name]))
    }
    assert not silent


def _countable(package: str, messages: Any) -> Iterator[str]:
    """Name the fields that hold texts, bytes, numbers, spans of time, lists or maps."""
    for message in messages:
        name = f"{package}.{message.name}"
        for field in message.field:
            is_list = field.label == FieldDescriptor.LABEL_REPEATED
            is_span = field.type_name == ".google.protobuf.Duration"
            is_scalar = not field.type_name and field.type != FieldDescriptor.TYPE_BOOL
            if is_list or is_span or is_scalar:
                yield f"{name}.{field.name}"
        nested = [each for each in message.nested_type if not each.options.map_entry]
        yield from _countable(name, nested)


@pytest.mark.parametrize(
    ("number", "is_taken"),
    [
        (2**53 - 1, True),
        (1 - 2**53, True),
        (2**53, False),
        (2**53 + 1, False),
        (-(2**53), False),
        (1e300, False),
        (0.5, False),
        (math.nan, False),
        (math.inf, False),
        (-math.inf, False),
    ],
)
async def test_a_number_in_a_struct_is_exact_or_refused(
    idle_service: Service, number: float, is_taken: bool
) -> None:
    inputs = struct({"prompt": "a lighthouse"})
    inputs.fields["seed"].CopyFrom(Value(number_value=number))
    request = pb.CreateJobRequest(model_id="qwen/text-to-image", inputs=inputs)
    if is_taken:
        job = (await idle_service.generation.CreateJob(request)).job
        assert job.inputs["seed"] == number
    else:
        refusal = await refused(idle_service.generation.CreateJob(request))
        assert set(refusal.violations) == {"inputs.seed"}


def test_what_a_comment_says_within_a_text_is_what_is_enforced() -> None:
    filtered = comments()["atelier.generation.v1.ListJobsRequest.filter"]
    inputs = comments()["atelier.generation.v1.CreateJobRequest.inputs"]
    assert f"at most {MAX_FILTER_CONDITIONS} conditions" in filtered
    assert f"with n from 1 to {MAX_ITEM_NUMBER} " in inputs
    assert MAX_DATA_BYTES == 2**20
    assert "`data:` up to 1 MiB" in inputs


DAY = 24 * 3600


async def begun(service: Service) -> str:
    """Have a job fail, begin the delivery of its outcome, and return the proof of the lease."""
    job = await service.create(queue={"queue": "pause"})
    await service.fail(job.id)
    wanted = delivery_pb.LeaseDeliveriesRequest(queue="pause")
    (delivery,) = (await service.delivery.LeaseDeliveries(wanted)).deliveries
    begin = delivery_pb.BeginDeliveryRequest(lease_token=delivery.lease_token)
    await service.delivery.BeginDelivery(begin)
    return delivery.lease_token


async def put_off(service: Service, token: str, *, until: float) -> None:
    report = delivery_pb.ReportDeliveryRequest(lease_token=token)
    report.try_again.not_before_time.seconds = int(until)
    await service.delivery.ReportDelivery(report)


async def seconds_ahead(database_url: str) -> float:
    """Return when the one delivery is due, in seconds from now."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT due_time FROM delivery WHERE state = 'pending'")
        ((due_time,),) = await cursor.fetchall()
    return float(due_time.timestamp() - time.time())


@pytest.mark.parametrize("ahead", [DAY + 60, 253_000_000_000 - 2_000_000_000])
async def test_a_delivery_cannot_be_parked(service: Service, database_url: str, ahead: int) -> None:
    token = await begun(service)
    refusal = await refused(put_off(service, token, until=time.time() + ahead))
    assert set(refusal.violations) == {"try_again.not_before_time"}
    await put_off(service, token, until=1)  # the lease is as it was, and the past is now
    assert await seconds_ahead(database_url) < 5


async def test_a_delivery_may_be_put_off_for_a_day(service: Service, database_url: str) -> None:
    await put_off(service, await begun(service), until=time.time() + DAY - 60)
    assert DAY - 120 < await seconds_ahead(database_url) < DAY
