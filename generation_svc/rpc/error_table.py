"""The one table that turns a domain error into a gRPC status with its details."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from generation_svc.domain import error as domain
from generation_svc.rpc.draining import ServerDraining

DOMAIN = "atelier"
SHORT_RETRY = timedelta(seconds=1)
"""What a caller is told to wait when nothing better is known."""
MAX_VIOLATIONS = 20
"""How many violations are named: the details travel in trailers of 8 KiB."""

Metadata = Callable[[Any], Mapping[str, str]]


def _nothing(_: Any) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a class of errors is on the wire."""

    code: grpc.StatusCode
    reason: str
    """The name in `ErrorReason`, without its prefix."""
    metadata: Metadata = field(default=_nothing)
    retry: Callable[[Any], timedelta] | None = None


TABLE: Mapping[type[Exception], Entry] = {
    domain.InvalidInputs: Entry(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUTS"),
    domain.UnknownModel: Entry(
        grpc.StatusCode.NOT_FOUND,
        "MODEL_NOT_FOUND",
        lambda e: {"model_id": e.model_id, **({"nearest": e.nearest} if e.nearest else {})},
    ),
    domain.JobNotFound: Entry(
        grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", lambda e: {"job_id": e.job_id}
    ),
    domain.MediaNotFound: Entry(
        grpc.StatusCode.NOT_FOUND, "MEDIA_NOT_FOUND", lambda e: {"media_id": e.media_id}
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
    domain.WebhookUnsupported: Entry(grpc.StatusCode.UNIMPLEMENTED, "WEBHOOK_UNSUPPORTED"),
    domain.Unavailable: Entry(
        grpc.StatusCode.UNAVAILABLE, "TEMPORARILY_UNAVAILABLE", retry=lambda _: SHORT_RETRY
    ),
    ServerDraining: Entry(
        grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", retry=lambda _: SHORT_RETRY
    ),
}
"""Every error that a caller may see, most special class first where one is part of another."""

INTERNAL = Entry(grpc.StatusCode.INTERNAL, "INTERNAL")
"""What an error is that stands in no row: a fault of ours, whose text stays here."""
INTERNAL_MESSAGE = "The service made a mistake; its log has it under this call's correlation id."


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
    info = error_details_pb2.ErrorInfo(
        reason=entry.reason, domain=DOMAIN, metadata=entry.metadata(error)
    )
    details: list[Any] = [info]
    if isinstance(error, domain.InvalidInputs):
        details.append(_bad_request(error))
    if entry.retry:
        delay = Duration()
        delay.FromTimedelta(entry.retry(error))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=entry.code.value[0], message=message[:1000])
    status.details.extend(_packed(detail) for detail in details)
    return status


def _bad_request(error: domain.InvalidInputs) -> error_details_pb2.BadRequest:
    violations = [
        error_details_pb2.BadRequest.FieldViolation(
            field=violation.field, description=violation.description
        )
        for violation in error.violations[:MAX_VIOLATIONS]
    ]
    return error_details_pb2.BadRequest(field_violations=violations)


def _packed(detail: Any) -> any_pb2.Any:
    message = any_pb2.Any()
    message.Pack(detail)
    return message
