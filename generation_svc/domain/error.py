"""Every condition that a caller can act on, as an exception with its data.

`AtelierError` is the root. No class knows a gRPC status: `rpc.error_table` gives each one its
status and its `ErrorReason`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from generation_svc.domain.failure import FailureReason


class AtelierError(Exception):
    """The request failed in a way that the caller can act on."""

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
            " ".join(f"{v.field}: {v.description}".removeprefix(": ") for v in violations)
        )


class UnsoldReason(StrEnum):
    """Why new jobs may not use a model that there is; callers are told the word."""

    WITHDRAWN = "withdrawn"
    """Its document says why."""
    UNPAID = "unpaid"
    """It costs money, and models that cost money are not on offer here."""
    SWITCHED_OFF = "switched_off"
    """The operator has switched it off."""
    NO_CALLBACKS = "no_callbacks"
    """The provider runs it only where it can report the result, which it cannot here."""


_UNSOLD: Mapping[UnsoldReason, str] = {
    UnsoldReason.WITHDRAWN: "it was withdrawn",
    UnsoldReason.UNPAID: "models that cost money are not on offer here",
    UnsoldReason.SWITCHED_OFF: "the operator has switched it off",
    UnsoldReason.NO_CALLBACKS: "the provider needs an address for callbacks, and has none here",
}


class UnknownModel(AtelierError):
    """No model on offer has this id."""

    why: UnsoldReason | None = None
    """Why it is not on offer, where there is such a model."""

    def __init__(self, model_id: str, *, nearest: str | None) -> None:
        self.model_id = model_id
        self.nearest = nearest
        hint = f" Did you mean {nearest!r}?" if nearest else " ListModels lists all models."
        super().__init__(f"Model {model_id!r} not found.{hint}")


class UnsoldModel(UnknownModel):
    """There is such a model, and new jobs may not use it."""

    def __init__(self, model_id: str, *, why: UnsoldReason, detail: str = "") -> None:
        self.model_id, self.nearest, self.why = model_id, None, why
        said = f": {detail}" if detail else ""
        text = f"Model {model_id!r} is not on offer, since {_UNSOLD[why]}{said}"
        AtelierError.__init__(self, text if text.endswith(".") else f"{text}.")


class ModelUnavailable(AtelierError):
    """The provider has switched a model off; it is tried again after a while."""

    def __init__(self, model_id: str, *, retry_after: timedelta) -> None:
        self.model_id = model_id
        self.retry_after = retry_after
        super().__init__(f"The provider has temporarily switched off model {model_id!r}.")


class UnknownPrice(AtelierError):
    """A model has no price for these inputs."""

    def __init__(self, model_id: str, *, reason: str) -> None:
        self.model_id = model_id
        super().__init__(f"Model {model_id!r} has no price for these inputs: {reason}")


class UploadMissing(InvalidInputs):
    """The price follows the length of media that is not ours to measure."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.field = fields[0]
        words = "The price follows its length: upload it with UploadInput and give upload:<id>."
        super().__init__(tuple(FieldViolation(field, words) for field in fields))


class ConsentMissing(AtelierError):
    """The owner has not agreed to have a voice or a face copied."""

    def __init__(self, owner: str, *, kind: str) -> None:
        self.owner = owner
        self.kind = kind
        super().__init__(
            f"The model copies a person's {kind}: owner {owner!r} has to agree first, as"
            " RecordConsent records it."
        )


class InvalidDocument(AtelierError):
    """A document that is to change the catalog cannot be used."""

    def __init__(self, model_id: str, problem: str) -> None:
        self.model_id = model_id
        self.problem = problem
        super().__init__(f"{model_id}: {problem}")


class CatalogChanged(AtelierError):
    """The catalog has changed since a change of it was reviewed."""

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__("The catalog has changed meanwhile; review the change again.")


class JobNotFound(AtelierError):
    """No job of this caller has this id."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"Job {job_id!r} not found.")


class MediaNotFound(AtelierError):
    """No media of this caller has this id."""

    def __init__(self, media_id: str) -> None:
        self.media_id = media_id
        super().__init__(f"Media {media_id!r} not found.")


class ReferenceUnavailable(AtelierError):
    """The task of an earlier job, or its account, is no longer available at the provider."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"The provider can no longer continue job {job_id!r}.")


class MediaExpired(AtelierError):
    """The bytes of the media are no longer kept."""

    def __init__(self, media_id: str) -> None:
        self.media_id = media_id
        super().__init__(f"Media {media_id!r} has expired: its bytes are no longer kept.")


class JobExpired(AtelierError):
    """A request_id was used for a job that is no longer kept."""

    def __init__(self, request_id: str, *, job_id: str) -> None:
        self.request_id = request_id
        self.job_id = job_id
        super().__init__(
            f"request_id {request_id!r} was already used for job {job_id!r}, which is no longer"
            " kept. Use another request_id for a new job."
        )


class StorageQuotaReached(AtelierError):
    """The results and uploads that are kept have reached a limit in bytes."""

    def __init__(self, subject: str, *, limit_bytes: int) -> None:
        self.subject = subject
        self.limit_bytes = limit_bytes
        super().__init__(
            f"The results and uploads of {subject} have reached the limit of"
            f" {limit_bytes // 2**20} MiB. Wait until older ones expire, or ask the operator for"
            " more space."
        )


class RequestIdReused(AtelierError):
    """A request_id was used before with a different request."""

    def __init__(self, request_id: str, *, job_id: str) -> None:
        self.request_id = request_id
        self.job_id = job_id
        super().__init__(
            f"request_id {request_id!r} was already used for job {job_id!r} with a different"
            " request."
        )


class TooManyActiveJobs(AtelierError):
    """The owner already has as many unfinished jobs as are allowed at once."""

    def __init__(self, owner: str, *, limit: int, retry_after: timedelta) -> None:
        self.owner = owner
        self.limit = limit
        self.retry_after = retry_after
        super().__init__(f"Owner {owner!r} already has {limit} unfinished jobs, the most allowed.")


class RevisionOutOfRange(AtelierError):
    """after_revision is greater than the job's revision."""

    def __init__(self, after_revision: int, *, revision: int) -> None:
        self.after_revision = after_revision
        self.revision = revision
        super().__init__(
            f"after_revision must be at most {revision}, the job's revision, not {after_revision}."
        )


class ReadOutOfRange(InvalidInputs):
    """read_offset is beyond the end of the media."""

    def __init__(self, offset: int, *, size_bytes: int) -> None:
        description = f"Must be at most {size_bytes}, the size of the media, not {offset}."
        super().__init__((FieldViolation("read_offset", description),))


class UploadRejected(AtelierError):
    """The upload is not media that a model accepts."""


class UploadTooLarge(UploadRejected):
    """The uploaded file is larger than a model accepts."""

    def __init__(self, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"The file is larger than {limit_bytes // 2**20} MiB.")


class SessionConflict(AtelierError):
    """The session has been written by someone else since it was read."""

    def __init__(self, *, version: int) -> None:
        self.version = version
        super().__init__(f"The session has changed: its version is now {version}. Read it again.")


class StaleLease(AtelierError):
    """The lease token is unknown, already used or expired."""


class PauseTooLong(InvalidInputs):
    """The next try of a delivery is put off for longer than is allowed."""

    def __init__(self, *, most: timedelta) -> None:
        hours = most // timedelta(hours=1)
        field = "try_again.not_before_time"
        super().__init__((FieldViolation(field, f"Must be at most {hours} hours from now."),))


class InvalidPageToken(AtelierError):
    """page_token must be the next_page_token of the same query, unchanged."""


class Unavailable(AtelierError):
    """The service is temporarily unavailable; repeat the call."""


class NotExamined(Unavailable):
    """The uploaded file could not be examined; repeat the call."""


class Unauthenticated(AtelierError):
    """The call has no valid token. Send it as metadata: `authorization: Bearer <token>`."""


class PermissionDenied(AtelierError):
    """The caller may not do this; `detail` names the missing scope, owner or bot."""

    def __init__(self, message: str, **detail: str) -> None:
        self.detail = detail
        super().__init__(message)


class RateLimited(AtelierError):
    """A caller or an owner has exceeded its rate limit."""

    def __init__(self, subject: str, *, retry_after: timedelta) -> None:
        self.subject = subject
        self.retry_after = retry_after
        super().__init__(f"Rate limit exceeded for {subject}.")


class Overloaded(AtelierError):
    """The service has no capacity for more at the moment."""

    def __init__(self, part: str, *, retry_after: timedelta) -> None:
        self.part = part
        self.retry_after = retry_after
        super().__init__(f"The service is overloaded ({part}). Try again later.")


class CallTooLong(AtelierError):
    """The call exceeded the time limit of the service."""


class WebhookDisabled(AtelierError):
    """The webhook was disabled when its address answered 410 Gone; EnableWebhook enables it."""

    def __init__(self, url: str) -> None:
        self.url = url  # not in the message, which is logged: it may hold a secret
        super().__init__()


class WebhookNotFound(AtelierError):
    """The service has never posted to this address for this caller."""

    def __init__(self, url: str) -> None:
        self.url = url  # not in the message, which is logged: it may hold a secret
        super().__init__()


class WebhookSecretMissing(AtelierError):
    """The caller has no key for signing webhooks; its entry in the callers' file needs one."""


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
    """The provider did not say whether it created the task."""


class LinkDead(AtelierError):
    """The link to a result no longer works."""


class FetchFailed(AtelierError):
    """A result could not be downloaded from the provider; it is tried again."""


class HostUnreachable(FetchFailed):
    """The host of a result was unreachable or busy; the result may still exist."""


class ResultRejected(AtelierError):
    """A result is too large, is not what it should be, or is on a host that is not allowed."""


class ResultTooLarge(ResultRejected):
    """A result is larger than the service stores; trying again would not help."""
