"""Maps domain errors to gRPC statuses with their details, in one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from generation_svc.domain import error as domain
from generation_svc.domain import link_error as link
from generation_svc.domain import money_error as money
from generation_svc.rpc.decoding import MessageTooLarge
from generation_svc.rpc.draining import ServerDraining
from generation_svc.rpc.method import MethodNotFound, ServiceNotFound

DOMAIN = "atelier.internal"
"""The domain of the reasons; `.internal` is reserved for private use."""
SHORT_RETRY = timedelta(seconds=1)
"""The default retry delay."""
MAX_TEXT_BYTES = 300
"""The size of a message or of one text in its details.

All of them travel in trailers of 8 KiB, the message twice and with up to three bytes for one.
"""
MAX_VIOLATION_BYTES = 3000
"""The size of all the violations that are named."""

Metadata = Callable[[Any], Mapping[str, str]]


def _nothing(_: Any) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Entry:
    """How a class of errors is sent."""

    code: grpc.StatusCode
    reason: str
    """The name in `ErrorReason`, without its prefix."""
    metadata: Metadata = field(default=_nothing)
    retry: Callable[[Any], timedelta] | None = None


TABLE: Mapping[type[Exception], Entry] = {
    domain.PauseTooLong: Entry(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUTS"),
    domain.ReadOutOfRange: Entry(grpc.StatusCode.OUT_OF_RANGE, "INVALID_INPUTS"),
    domain.UploadMissing: Entry(
        grpc.StatusCode.INVALID_ARGUMENT, "UPLOAD_REQUIRED", lambda e: {"field": e.field}
    ),
    domain.InvalidInputs: Entry(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUTS"),
    domain.UnknownModel: Entry(
        grpc.StatusCode.NOT_FOUND,
        "MODEL_NOT_FOUND",
        lambda e: {
            "model_id": e.model_id,
            **({"nearest": e.nearest} if e.nearest else {}),
            **({"why": e.why} if e.why else {}),
        },
    ),
    domain.ModelUnavailable: Entry(
        grpc.StatusCode.FAILED_PRECONDITION,
        "MODEL_UNAVAILABLE",
        lambda e: {"model_id": e.model_id},
        lambda e: e.retry_after,
    ),
    domain.UnknownPrice: Entry(
        grpc.StatusCode.FAILED_PRECONDITION, "PRICE_UNKNOWN", lambda e: {"model_id": e.model_id}
    ),
    money.InsufficientCredits: Entry(
        grpc.StatusCode.FAILED_PRECONDITION,
        "INSUFFICIENT_CREDITS",
        lambda e: {"price": str(e.price), "balance": str(e.balance), "missing": str(e.missing)},
    ),
    money.PriceChanged: Entry(
        grpc.StatusCode.FAILED_PRECONDITION,
        "PRICE_CHANGED",
        lambda e: {"price": str(e.price), "agreed": str(e.agreed)},
    ),
    money.OwnerBlocked: Entry(
        grpc.StatusCode.FAILED_PRECONDITION,
        "OWNER_BLOCKED",
        lambda e: {"owner": e.owner, **({"payer": e.payer} if e.payer else {})},
    ),
    money.SalesClosed: Entry(
        grpc.StatusCode.FAILED_PRECONDITION, "SALES_CLOSED", lambda e: e.detail
    ),
    money.MoneyModeMismatch: Entry(
        grpc.StatusCode.FAILED_PRECONDITION, "MONEY_MODE_MISMATCH", lambda e: {"mode": e.mode}
    ),
    money.ProviderBalanceLow: Entry(
        grpc.StatusCode.FAILED_PRECONDITION,
        "PROVIDER_BALANCE_LOW",
        lambda e: {"model_id": e.model_id},
    ),
    money.DailyCapReached: Entry(
        grpc.StatusCode.FAILED_PRECONDITION,
        "DAILY_CAP_REACHED",
        lambda e: e.detail,
        lambda e: e.retry_after,
    ),
    money.FreeAllowanceUsed: Entry(
        grpc.StatusCode.FAILED_PRECONDITION,
        "FREE_ALLOWANCE_USED",
        lambda e: {"daily_count": str(e.daily_count)},
        lambda e: e.retry_after,
    ),
    money.TopUpInvalid: Entry(
        grpc.StatusCode.FAILED_PRECONDITION, "TOP_UP_INVALID", lambda e: {"problem": e.problem}
    ),
    money.TopUpReused: Entry(
        grpc.StatusCode.ALREADY_EXISTS,
        "TOP_UP_REUSED",
        lambda e: {"provider": e.provider, "external_id": e.external_id, "field": e.field},
    ),
    money.StarNotFound: Entry(
        grpc.StatusCode.NOT_FOUND,
        "STAR_NOT_FOUND",
        lambda e: {"transaction_id": e.transaction_id},
    ),
    money.StarNotSettled: Entry(
        grpc.StatusCode.FAILED_PRECONDITION, "STAR_NOT_SETTLED", lambda e: {"problem": e.problem}
    ),
    money.GrantReused: Entry(
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
        lambda e: {"request_id": e.request_id, "field": e.field},
    ),
    money.TopUpNotFound: Entry(
        grpc.StatusCode.NOT_FOUND, "TOP_UP_NOT_FOUND", lambda e: {"top_up_id": e.top_up_id}
    ),
    money.TopUpSpent: Entry(
        grpc.StatusCode.FAILED_PRECONDITION, "TOP_UP_SPENT", lambda e: {"top_up_id": e.top_up_id}
    ),
    money.RecoveryMissing: Entry(grpc.StatusCode.FAILED_PRECONDITION, "RECOVERY_REQUIRED"),
    money.MoneyOff: Entry(grpc.StatusCode.FAILED_PRECONDITION, "MONEY_OFF"),
    domain.ConsentMissing: Entry(
        grpc.StatusCode.FAILED_PRECONDITION,
        "CONSENT_REQUIRED",
        lambda e: {"owner": e.owner, "kind": e.kind},
    ),
    domain.JobNotFound: Entry(
        grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", lambda e: {"job_id": e.job_id}
    ),
    domain.MediaNotFound: Entry(
        grpc.StatusCode.NOT_FOUND, "MEDIA_NOT_FOUND", lambda e: {"media_id": e.media_id}
    ),
    domain.ReferenceUnavailable: Entry(
        grpc.StatusCode.FAILED_PRECONDITION,
        "REFERENCE_UNAVAILABLE",
        lambda e: {"job_id": e.job_id},
    ),
    domain.MediaExpired: Entry(
        grpc.StatusCode.NOT_FOUND, "MEDIA_EXPIRED", lambda e: {"media_id": e.media_id}
    ),
    domain.JobExpired: Entry(
        grpc.StatusCode.FAILED_PRECONDITION,
        "JOB_EXPIRED",
        lambda e: {"request_id": e.request_id, "job_id": e.job_id},
    ),
    domain.StorageQuotaReached: Entry(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "STORAGE_QUOTA_EXCEEDED",
        lambda e: {"subject": e.subject, "limit_bytes": str(e.limit_bytes)},
    ),
    domain.RequestIdReused: Entry(
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
        lambda e: {"request_id": e.request_id, "job_id": e.job_id},
    ),
    domain.TooManyActiveJobs: Entry(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "TOO_MANY_ACTIVE_JOBS",
        lambda e: {"owner": e.owner, "limit": str(e.limit)},
        lambda e: e.retry_after,
    ),
    domain.RevisionOutOfRange: Entry(
        grpc.StatusCode.OUT_OF_RANGE,
        "REVISION_OUT_OF_RANGE",
        lambda e: {"revision": str(e.revision)},
    ),
    domain.UploadTooLarge: Entry(
        grpc.StatusCode.INVALID_ARGUMENT,
        "UPLOAD_TOO_LARGE",
        lambda e: {"limit_bytes": str(e.limit_bytes)},
    ),
    domain.UploadRejected: Entry(grpc.StatusCode.INVALID_ARGUMENT, "UPLOAD_REJECTED"),
    domain.SessionConflict: Entry(
        grpc.StatusCode.ABORTED, "SESSION_CONFLICT", lambda e: {"version": str(e.version)}
    ),
    domain.StaleLease: Entry(grpc.StatusCode.FAILED_PRECONDITION, "STALE_LEASE"),
    domain.InvalidPageToken: Entry(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"),
    domain.Unauthenticated: Entry(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    domain.PermissionDenied: Entry(
        grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", lambda e: e.detail
    ),
    domain.RateLimited: Entry(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
        lambda e: {"subject": e.subject},
        lambda e: e.retry_after,
    ),
    domain.Overloaded: Entry(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "OVERLOADED",
        lambda e: {"part": e.part},
        lambda e: e.retry_after,
    ),
    domain.CallTooLong: Entry(
        grpc.StatusCode.DEADLINE_EXCEEDED, "CALL_TOO_LONG", retry=lambda _: SHORT_RETRY
    ),
    domain.InvalidDocument: Entry(
        grpc.StatusCode.INVALID_ARGUMENT,
        "CATALOG_INVALID",
        lambda e: {"model_id": e.model_id, "problem": e.problem},
    ),
    domain.CatalogChanged: Entry(
        grpc.StatusCode.ABORTED, "CATALOG_CHANGED", lambda e: {"catalog_version": e.version}
    ),
    domain.WebhookDisabled: Entry(
        grpc.StatusCode.FAILED_PRECONDITION, "WEBHOOK_DISABLED", lambda e: {"url": e.url}
    ),
    domain.WebhookNotFound: Entry(
        grpc.StatusCode.NOT_FOUND, "WEBHOOK_NOT_FOUND", lambda e: {"url": e.url}
    ),
    domain.WebhookSecretMissing: Entry(
        grpc.StatusCode.FAILED_PRECONDITION, "WEBHOOK_SECRET_MISSING"
    ),
    link.MediaLinkInvalid: Entry(grpc.StatusCode.NOT_FOUND, "MEDIA_LINK_INVALID"),
    link.UploadLinkInvalid: Entry(grpc.StatusCode.NOT_FOUND, "UPLOAD_LINK_INVALID"),
    link.UploadLinksDisabled: Entry(grpc.StatusCode.FAILED_PRECONDITION, "UPLOAD_LINKS_OFF"),
    domain.Unavailable: Entry(
        grpc.StatusCode.UNAVAILABLE, "TEMPORARILY_UNAVAILABLE", retry=lambda _: SHORT_RETRY
    ),
    ServerDraining: Entry(
        grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", retry=lambda _: SHORT_RETRY
    ),
    MethodNotFound: Entry(
        grpc.StatusCode.UNIMPLEMENTED, "METHOD_NOT_FOUND", lambda e: {"name": e.name}
    ),
    ServiceNotFound: Entry(
        grpc.StatusCode.NOT_FOUND, "METHOD_NOT_FOUND", lambda e: {"name": e.name}
    ),
    MessageTooLarge: Entry(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "MESSAGE_TOO_LARGE",
        lambda e: {"part": e.part, "limit_bytes": str(e.limit_bytes)},
    ),
}
"""Every error that a caller may see, most special class first where one is part of another."""

INTERNAL = Entry(grpc.StatusCode.INTERNAL, "INTERNAL")
"""What any other error becomes: a fault of the service, whose text callers do not see."""
INTERNAL_MESSAGE = (
    "Internal error. The service's log has the details under this call's correlation id."
)


def status_of(error: Exception) -> status_pb2.Status:
    """Return the status that the caller gets for an error."""
    for kind, entry in TABLE.items():
        if isinstance(error, kind):
            return _status(entry, message=str(error), error=error)
    return _status(INTERNAL, message=INTERNAL_MESSAGE, error=error)


def is_known(error: Exception) -> bool:
    """Return whether the table has a row for this error."""
    return isinstance(error, tuple(TABLE))


def _status(entry: Entry, *, message: str, error: Exception) -> status_pb2.Status:
    metadata = {key: _cut(text) for key, text in entry.metadata(error).items()}
    info = error_details_pb2.ErrorInfo(reason=entry.reason, domain=DOMAIN, metadata=metadata)
    details: list[Any] = [info]
    if isinstance(error, domain.InvalidInputs):
        details.append(_bad_request(error))
    if entry.retry:
        delay = Duration()
        delay.FromTimedelta(entry.retry(error))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=entry.code.value[0], message=_cut(message))
    status.details.extend(_packed(detail) for detail in details)
    return status


def _bad_request(error: domain.InvalidInputs) -> error_details_pb2.BadRequest:
    message = error_details_pb2.BadRequest()
    for violation in error.violations:
        # While there is room for one more of the greatest size: a field and a description.
        if message.ByteSize() > MAX_VIOLATION_BYTES - 2 * MAX_TEXT_BYTES:
            break
        message.field_violations.add(
            field=_cut(violation.field), description=_cut(violation.description)
        )
    return message


def _cut(text: str) -> str:
    """Return the text, or as much of it as a trailer may hold."""
    if len(text.encode()) <= MAX_TEXT_BYTES:
        return text
    # The cut may fall into a character, which is left out then.
    return text.encode()[: MAX_TEXT_BYTES - 3].decode(errors="ignore") + "…"


def _packed(detail: Any) -> any_pb2.Any:
    message = any_pb2.Any()
    message.Pack(detail)
    return message
