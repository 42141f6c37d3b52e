"""Every condition that a caller can act on, as an exception with its data.

`AtelierError` is the root. No class knows a gRPC status: `rpc.error_table` gives each one its
status and its `ErrorReason`.
"""

from dataclasses import dataclass
from datetime import timedelta

from generation_svc.domain.failure import FailureReason


class AtelierError(Exception):
    """Something went wrong in a way the caller can act on."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that is wrong and what would be right."""

    field: str
    """The path of the field, such as `inputs.aspect_ratio`."""
    description: str
    """A sentence in English that a person can act on."""


class InvalidInputs(AtelierError):
    """The request has fields that are missing or wrong."""

    def __init__(self, violations: tuple[FieldViolation, ...]) -> None:
        self.violations = violations
        super().__init__(
            "; ".join(f"{v.field}: {v.description}".removeprefix(": ") for v in violations)
        )


class UnknownModel(AtelierError):
    """No model has this id."""

    def __init__(self, model_id: str, *, nearest: str | None) -> None:
        self.model_id = model_id
        self.nearest = nearest
        hint = f" Did you mean {nearest!r}?" if nearest else " ListModels names them all."
        super().__init__(f"There is no model {model_id!r}.{hint}")


class ModelUnavailable(AtelierError):
    """The provider has switched a model off; it is asked for it again after a while."""

    def __init__(self, model_id: str, *, retry_after: timedelta) -> None:
        self.model_id = model_id
        self.retry_after = retry_after
        super().__init__(f"The provider has switched model {model_id!r} off for the moment.")


class JobNotFound(AtelierError):
    """No job of this caller has this id."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"There is no job {job_id!r} of yours.")


class MediaNotFound(AtelierError):
    """No media of this caller has this id."""

    def __init__(self, media_id: str) -> None:
        self.media_id = media_id
        super().__init__(f"There is no media {media_id!r} of yours.")


class ReferenceUnavailable(AtelierError):
    """What a job refers to is not there any more: the earlier job's task, or the account of it."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"The provider can no longer continue job {job_id!r}.")


class MediaExpired(AtelierError):
    """The bytes of media are kept no longer."""

    def __init__(self, media_id: str) -> None:
        self.media_id = media_id
        super().__init__(f"Media {media_id!r} has expired: its bytes are no longer kept.")


class JobExpired(AtelierError):
    """A request_id made a job that is kept no longer."""

    def __init__(self, request_id: str, *, job_id: str) -> None:
        self.request_id = request_id
        self.job_id = job_id
        super().__init__(
            f"request_id {request_id!r} made job {job_id!r}, which is no longer kept;"
            " use another request_id for a new job."
        )


class StorageQuotaReached(AtelierError):
    """So many bytes of results and uploads are kept that nothing new is taken."""

    def __init__(self, subject: str, *, limit_bytes: int) -> None:
        self.subject = subject
        self.limit_bytes = limit_bytes
        super().__init__(
            f"The results and uploads of {subject} take up the {limit_bytes // 2**20} MiB that are"
            " kept at most. Wait until older ones expire, or ask the operator for more room."
        )


class RequestIdReused(AtelierError):
    """A request_id was used before with other content."""

    def __init__(self, request_id: str, *, job_id: str) -> None:
        self.request_id = request_id
        self.job_id = job_id
        super().__init__(f"request_id {request_id!r} already made job {job_id} from other content.")


class TooManyActiveJobs(AtelierError):
    """The owner already has as many unfinished jobs as are allowed at once."""

    def __init__(self, owner: str, *, limit: int, retry_after: timedelta) -> None:
        self.owner = owner
        self.limit = limit
        self.retry_after = retry_after
        super().__init__(f"{owner!r} has {limit} unfinished jobs, the most allowed at once.")


class RevisionOutOfRange(AtelierError):
    """after_revision is ahead of the job."""

    def __init__(self, after_revision: int, *, revision: int) -> None:
        self.after_revision = after_revision
        self.revision = revision
        super().__init__(f"The job is at revision {revision}, behind {after_revision}.")


class ReadOutOfRange(InvalidInputs):
    """The bytes that are asked for begin beyond the end of the media."""

    def __init__(self, offset: int, *, size_bytes: int) -> None:
        description = f"Must be at most {size_bytes}, the size of the media, not {offset}."
        super().__init__((FieldViolation("read_offset", description),))


class UploadRejected(AtelierError):
    """The uploaded bytes are nothing that a model can take."""


class UploadTooLarge(UploadRejected):
    """The uploaded file has more bytes than a model can take."""

    def __init__(self, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"The file has more than {limit_bytes // 2**20} MiB.")


class SessionConflict(AtelierError):
    """The session was written by someone else since it was read."""

    def __init__(self, *, version: int) -> None:
        self.version = version
        super().__init__(f"The session is at version {version} now; read it again.")


class StaleLease(AtelierError):
    """The lease token is unknown, was used up, or its time ran out."""


class PauseTooLong(InvalidInputs):
    """The next try of a delivery is to wait for longer than is allowed."""

    def __init__(self, *, most: timedelta) -> None:
        hours = most // timedelta(hours=1)
        field = "try_again.not_before_time"
        super().__init__((FieldViolation(field, f"Must be at most {hours} hours ahead."),))


class InvalidPageToken(AtelierError):
    """page_token is not one that this method returned."""


class Unavailable(AtelierError):
    """A part that the service needs is away for a moment; the call can be repeated."""


class NotExamined(Unavailable):
    """The processes that examine media ended over a file, by no limit of theirs."""


class Unauthenticated(AtelierError):
    """The call carries no token that is known: metadata `authorization: Bearer <token>`."""


class PermissionDenied(AtelierError):
    """The caller may not do this; `detail` names the scope, the owner or the bot it lacks."""

    def __init__(self, message: str, **detail: str) -> None:
        self.detail = detail
        super().__init__(message)


class RateLimited(AtelierError):
    """A caller or an owner calls more often than is allowed."""

    def __init__(self, subject: str, *, retry_after: timedelta) -> None:
        self.subject = subject
        self.retry_after = retry_after
        super().__init__(f"{subject} calls more often than is allowed.")


class Overloaded(AtelierError):
    """The service has as much to do as it can take; it takes more soon."""

    def __init__(self, part: str, *, retry_after: timedelta) -> None:
        self.part = part
        self.retry_after = retry_after
        super().__init__(f"The service takes no more for the moment: {part}.")


class CallTooLong(AtelierError):
    """The call took longer than the service allows one to take."""


class WebhookDisabled(AtelierError):
    """The webhook's address answered 410 Gone, so nothing is posted to it any more."""

    def __init__(self, url: str) -> None:
        self.url = url  # not in the message, which is logged: it may hold a secret
        super().__init__()


class WebhookNotFound(AtelierError):
    """The service never posted to this address for this caller."""

    def __init__(self, url: str) -> None:
        self.url = url  # not in the message, which is logged: it may hold a secret
        super().__init__()


class WebhookSecretMissing(AtelierError):
    """The caller has no key to sign webhooks with; its entry in the callers' file names one."""


class MediaLinkInvalid(AtelierError):
    """The link to media is none of ours, or its time ran out."""


class ProviderError(AtelierError):
    """The provider did not do what it was asked."""

    def __init__(self, message: str | None = None, *, code: str = "") -> None:
        self.code = code
        super().__init__(message)


class ProviderRefused(ProviderError):
    """The provider refused the request for good; there is no task."""

    def __init__(
        self, message: str | None = None, *, code: str, reason: FailureReason, text: str = ""
    ) -> None:
        self.reason = reason
        self.text = text
        """The provider's own words, for the operator; they may repeat the prompt."""
        super().__init__(message, code=code)


class ProviderBusy(ProviderError):
    """The provider said "not now" (429, or a 500 that is no validation); there is no task."""


class ProviderMaintenance(ProviderError):
    """The provider is in maintenance (455); there is no task."""


class ProviderAccount(ProviderError):
    """The provider refuses the account: key, credits or sub-key limit; there is no task."""


class ProviderUnreachable(ProviderError):
    """The provider cannot be reached, or gave no answer to a call that makes no task."""


class ProviderSilent(ProviderError):
    """The provider gave no answer that says whether it has the task."""


class LinkDead(AtelierError):
    """The link to a result gives nothing any more."""


class FetchFailed(AtelierError):
    """A result could not be fetched now; it may be later."""


class HostUnreachable(FetchFailed):
    """A result's host was not reached or said "not now": that says nothing of the result."""


class ResultRejected(AtelierError):
    """A result is too large, is not what it should be, or is on a host that is not allowed."""


class ResultTooLarge(ResultRejected):
    """A result has more bytes than are kept; it will not shrink."""
