"""Every row of the error table on the wire: status, reason, details, and nothing internal."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.error_reason_pb2 import ErrorReason
from atelier.generation.v1.generation_service_pb2_grpc import (
    GenerationServiceStub,
)
from generation_svc.domain import error as domain
from generation_svc.domain import link_error as link
from generation_svc.domain import money_error as money
from generation_svc.domain.money import ClosedSales
from generation_svc.rpc.decoding import MessageTooLarge
from generation_svc.rpc.draining import ServerDraining
from generation_svc.rpc.error_table import DOMAIN, INTERNAL, TABLE, status_of
from generation_svc.rpc.interceptor import CallInterceptor
from generation_svc.rpc.method import MethodNotFound, ServiceNotFound
from tests.contract.failure import Refusal, refusal_of, refused

pytestmark = pytest.mark.usefixtures("within_one_day")

PROTO = Path("proto/atelier/generation/v1/error_reason.proto")
SECRET = "postgresql://atelier:hunter2@db/atelier"
RETRYABLE = {
    "TOO_MANY_ACTIVE_JOBS",
    "RATE_LIMITED",
    "MODEL_UNAVAILABLE",
    "OVERLOADED",
    "CALL_TOO_LONG",
    "DAILY_CAP_REACHED",
    "FREE_ALLOWANCE_USED",
    "SERVER_DRAINING",
    "TEMPORARILY_UNAVAILABLE",
}
LONG = "д" * 100_000
Code = grpc.StatusCode

ROWS: list[tuple[Exception, grpc.StatusCode, str]] = [
    (
        domain.InvalidInputs((domain.FieldViolation("inputs.prompt", "Required."),)),
        Code.INVALID_ARGUMENT,
        "INVALID_INPUTS",
    ),
    (domain.ReadOutOfRange(9, size_bytes=3), Code.OUT_OF_RANGE, "INVALID_INPUTS"),
    (domain.UnknownModel("z-imgae", nearest="z-image"), Code.NOT_FOUND, "MODEL_NOT_FOUND"),
    (
        domain.UnsoldModel("x", why=domain.UnsoldReason.WITHDRAWN, detail="gone"),
        Code.NOT_FOUND,
        "MODEL_NOT_FOUND",
    ),
    (
        domain.ModelUnavailable("z-image", retry_after=timedelta(minutes=10)),
        Code.FAILED_PRECONDITION,
        "MODEL_UNAVAILABLE",
    ),
    (domain.InvalidDocument("a/b", "no label"), Code.INVALID_ARGUMENT, "CATALOG_INVALID"),
    (domain.CatalogChanged("1.2"), Code.ABORTED, "CATALOG_CHANGED"),
    (domain.JobNotFound("7"), Code.NOT_FOUND, "JOB_NOT_FOUND"),
    (domain.MediaNotFound("7"), Code.NOT_FOUND, "MEDIA_NOT_FOUND"),
    (domain.MediaExpired("7"), Code.NOT_FOUND, "MEDIA_EXPIRED"),
    (domain.JobExpired("a", job_id="7"), Code.FAILED_PRECONDITION, "JOB_EXPIRED"),
    (
        domain.StorageQuotaReached("telegram:7", limit_bytes=5 * 2**30),
        Code.RESOURCE_EXHAUSTED,
        "STORAGE_QUOTA_EXCEEDED",
    ),
    (domain.RequestIdReused("a", job_id="7"), Code.ALREADY_EXISTS, "REQUEST_ID_REUSED"),
    (
        domain.TooManyActiveJobs("telegram:7", limit=20, retry_after=timedelta(seconds=5)),
        Code.RESOURCE_EXHAUSTED,
        "TOO_MANY_ACTIVE_JOBS",
    ),
    (domain.RevisionOutOfRange(9, revision=3), Code.OUT_OF_RANGE, "REVISION_OUT_OF_RANGE"),
    (domain.UploadRejected(), Code.INVALID_ARGUMENT, "UPLOAD_REJECTED"),
    (domain.UploadTooLarge(limit_bytes=10485760), Code.INVALID_ARGUMENT, "UPLOAD_TOO_LARGE"),
    (domain.SessionConflict(version=8), Code.ABORTED, "SESSION_CONFLICT"),
    (domain.StaleLease(), Code.FAILED_PRECONDITION, "STALE_LEASE"),
    (domain.PauseTooLong(most=timedelta(hours=24)), Code.INVALID_ARGUMENT, "INVALID_INPUTS"),
    (domain.InvalidPageToken(), Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"),
    (ServerDraining(), Code.UNAVAILABLE, "SERVER_DRAINING"),
    (MethodNotFound("/a.B/C"), Code.UNIMPLEMENTED, "METHOD_NOT_FOUND"),
    (ServiceNotFound("a.B"), Code.NOT_FOUND, "METHOD_NOT_FOUND"),
    (MessageTooLarge("message", limit_bytes=9), Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"),
    (domain.Unavailable(), Code.UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
    (domain.Unauthenticated(), Code.UNAUTHENTICATED, "UNAUTHENTICATED"),
    (domain.PermissionDenied("no", missing="money"), Code.PERMISSION_DENIED, "PERMISSION_DENIED"),
    (domain.PermissionDenied("no", owner="o"), Code.PERMISSION_DENIED, "PERMISSION_DENIED"),
    (domain.PermissionDenied("no", bot_id="7"), Code.PERMISSION_DENIED, "PERMISSION_DENIED"),
    (
        domain.RateLimited("owner o", retry_after=timedelta(seconds=1)),
        Code.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
    ),
    (
        domain.Overloaded("queue", retry_after=timedelta(seconds=1)),
        Code.RESOURCE_EXHAUSTED,
        "OVERLOADED",
    ),
    (domain.CallTooLong(), Code.DEADLINE_EXCEEDED, "CALL_TOO_LONG"),
    (domain.WebhookDisabled("https://a.example"), Code.FAILED_PRECONDITION, "WEBHOOK_DISABLED"),
    (domain.WebhookNotFound("https://a.example"), Code.NOT_FOUND, "WEBHOOK_NOT_FOUND"),
    (domain.WebhookSecretMissing(), Code.FAILED_PRECONDITION, "WEBHOOK_SECRET_MISSING"),
    (domain.ReferenceUnavailable("j"), Code.FAILED_PRECONDITION, "REFERENCE_UNAVAILABLE"),
    (
        domain.UnknownPrice("veo/edit", reason="KIE names no price."),
        Code.FAILED_PRECONDITION,
        "PRICE_UNKNOWN",
    ),
    (
        money.InsufficientCredits(price=12, balance=5),
        Code.FAILED_PRECONDITION,
        "INSUFFICIENT_CREDITS",
    ),
    (money.PriceChanged(price=12, agreed=10), Code.FAILED_PRECONDITION, "PRICE_CHANGED"),
    (money.GrantReused("gift-7", field="credits"), Code.ALREADY_EXISTS, "REQUEST_ID_REUSED"),
    (money.OwnerBlocked("telegram:7"), Code.FAILED_PRECONDITION, "OWNER_BLOCKED"),
    (money.OwnerBlocked("telegram:7", payer="shop"), Code.FAILED_PRECONDITION, "OWNER_BLOCKED"),
    (money.SalesClosed(ClosedSales("look")), Code.FAILED_PRECONDITION, "SALES_CLOSED"),
    (
        money.SalesClosed(ClosedSales("look", is_restored=True, time=datetime.now(UTC))),
        Code.FAILED_PRECONDITION,
        "SALES_CLOSED",
    ),
    (
        money.MoneyModeMismatch("live", advice="set MONEY=test."),
        Code.FAILED_PRECONDITION,
        "MONEY_MODE_MISMATCH",
    ),
    (money.ProviderBalanceLow("veo/edit"), Code.FAILED_PRECONDITION, "PROVIDER_BALANCE_LOW"),
    (
        money.DailyCapReached("free", retry_after=timedelta(hours=2)),
        Code.FAILED_PRECONDITION,
        "DAILY_CAP_REACHED",
    ),
    (
        money.TopUpCapReached(limit=250, used=200, credits_=60, retry_after=timedelta(hours=2)),
        Code.FAILED_PRECONDITION,
        "DAILY_CAP_REACHED",
    ),
    (
        money.FreeAllowanceUsed(daily_count=10, retry_after=timedelta(hours=2)),
        Code.FAILED_PRECONDITION,
        "FREE_ALLOWANCE_USED",
    ),
    (money.TopUpInvalid("amount is 90"), Code.FAILED_PRECONDITION, "TOP_UP_INVALID"),
    (
        money.TopUpReused("telegram_stars", external_id="stx0", field="amount"),
        Code.ALREADY_EXISTS,
        "TOP_UP_REUSED",
    ),
    (money.StarNotFound("a"), Code.NOT_FOUND, "STAR_NOT_FOUND"),
    (money.StarNotSettled("it is not"), Code.FAILED_PRECONDITION, "STAR_NOT_SETTLED"),
    (money.TopUpNotFound("a"), Code.NOT_FOUND, "TOP_UP_NOT_FOUND"),
    (money.TopUpSpent("a"), Code.FAILED_PRECONDITION, "TOP_UP_SPENT"),
    (money.RecoveryMissing(), Code.FAILED_PRECONDITION, "RECOVERY_REQUIRED"),
    (money.MoneyOff(), Code.FAILED_PRECONDITION, "MONEY_OFF"),
    (domain.UploadMissing(("inputs.video",)), Code.INVALID_ARGUMENT, "UPLOAD_REQUIRED"),
    (
        domain.ConsentMissing("telegram:7", kind="voice"),
        Code.FAILED_PRECONDITION,
        "CONSENT_REQUIRED",
    ),
    (link.MediaLinkInvalid(), Code.NOT_FOUND, "MEDIA_LINK_INVALID"),
    (link.UploadLinkInvalid(), Code.NOT_FOUND, "UPLOAD_LINK_INVALID"),
    (link.UploadLinksDisabled(), Code.FAILED_PRECONDITION, "UPLOAD_LINKS_OFF"),
    (RuntimeError(SECRET), Code.INTERNAL, "INTERNAL"),
]

TOO_LONG = {
    "id": domain.JobNotFound(LONG),
    "model": domain.UnknownModel(LONG, nearest=None),
    "violations": domain.InvalidInputs(
        tuple(domain.FieldViolation(f"inputs.{n}", LONG[:1000]) for n in range(1000))
    ),
}


def failing(error: BaseException) -> grpc.GenericRpcHandler:
    """Return a service of which each call fails with the error."""

    async def handle(request: Any, context: Any) -> Any:
        raise error

    codec = {"request_deserializer": bytes, "response_serializer": bytes}
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "GetJob": grpc.unary_unary_rpc_method_handler(handle, **codec),
        "StreamJobUpdates": grpc.unary_stream_rpc_method_handler(handle, **codec),
    }
    return grpc.method_handlers_generic_handler("atelier.generation.v1.GenerationService", methods)


def test_each_violation_is_told_in_a_sentence_of_its_own() -> None:
    wrong = (("", "Required."), ("inputs.seed", "Must be at least 1."), ("owner", "Required."))
    error = domain.InvalidInputs(tuple(domain.FieldViolation(*each) for each in wrong))
    assert str(error) == "Required. inputs.seed: Must be at least 1. owner: Required."


async def fail(error: BaseException, *, in_stream: bool = False) -> Refusal:
    """Return what a client gets when a handler raises the error."""
    server = grpc.aio.server(interceptors=(CallInterceptor(),))
    server.add_generic_rpc_handlers((failing(error),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = GenerationServiceStub(channel)
            if in_stream:
                return await refused(stub.StreamJobUpdates(pb.StreamJobUpdatesRequest()).read())
            return await refused(stub.GetJob(pb.GetJobRequest()))
    finally:
        await server.stop(grace=None)


def examples() -> dict[str, list[set[str]]]:
    """Read which metadata the contract shows for each reason."""
    pattern = r'"reason": "(\w+)", "domain": "atelier.internal", "metadata": \{(.*?)\} \}'
    shown: dict[str, list[set[str]]] = {}
    for reason, metadata in re.findall(pattern, PROTO.read_text()):
        shown.setdefault(reason, []).append(set(re.findall(r'"(\w+)":', metadata)))
    return shown


@pytest.mark.parametrize("in_stream", [False, True], ids=["call", "stream"])
@pytest.mark.parametrize(
    ("error", "code", "reason"), [pytest.param(*row, id=type(row[0]).__name__) for row in ROWS]
)
async def test_an_error_reaches_the_client_as_its_row_says(
    error: Exception, code: grpc.StatusCode, reason: str, in_stream: bool
) -> None:
    refusal = await fail(error, in_stream=in_stream)
    assert (refusal.code, refusal.domain, refusal.reason) == (code, DOMAIN, reason)
    assert (refusal.retry_seconds is not None) == (reason in RETRYABLE)
    assert set(refusal.metadata) in examples()[reason]
    assert bool(refusal.violations) == (reason in ("INVALID_INPUTS", "UPLOAD_REQUIRED"))


def test_the_table_and_the_contract_name_the_same_reasons() -> None:
    named = {
        name.removeprefix("ERROR_REASON_") for name in ErrorReason.DESCRIPTOR.values_by_name
    } - {"UNSPECIFIED", "WEBHOOK_UNSUPPORTED"}
    sent = {entry.reason for entry in (*TABLE.values(), INTERNAL)}
    assert sent == named == {reason for _, _, reason in ROWS}
    assert {type(error) for error, _, _ in ROWS} >= set(TABLE)


def test_every_error_of_the_domain_is_known_or_stays_inside() -> None:
    inside = (domain.ProviderError, domain.LinkDead, domain.FetchFailed, domain.ResultRejected)
    told = {
        kind
        for kind in (*vars(domain).values(), *vars(link).values(), *vars(money).values())
        if isinstance(kind, type)
        and issubclass(kind, domain.AtelierError)
        and not issubclass(kind, inside)
    }
    unknown = {kind for kind in told if not issubclass(kind, tuple(TABLE))}
    assert unknown == {domain.AtelierError}


@pytest.mark.parametrize("in_stream", [False, True], ids=["call", "stream"])
async def test_the_text_of_an_unexpected_error_stays_inside(in_stream: bool) -> None:
    refusal = await fail(ValueError(SECRET), in_stream=in_stream)
    assert "hunter2" not in repr(refusal)
    assert refusal.metadata == {}


async def test_a_handler_that_was_cancelled_does_not_leave_its_client_hanging() -> None:
    async with asyncio.timeout(5):
        refusal = await fail(asyncio.CancelledError())
    assert refusal.code is Code.CANCELLED


@pytest.mark.parametrize("error", [pytest.param(error, id=id_) for id_, error in TOO_LONG.items()])
async def test_details_fit_into_the_trailers(error: Exception) -> None:
    refusal = await fail(error)
    assert refusal.code is refusal_of(status_of(error)).code
    assert refusal.reason
