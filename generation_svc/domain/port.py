"""What the use cases need of the storage, as Protocols.

A `Transaction` is one database transaction with a store per aggregate; all that is done in it
happens or nothing does. Rows that several use cases change are locked in one order: the job first.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from generation_svc.domain.attempt import Attempt, AttemptState, Trouble
from generation_svc.domain.caller import Caller
from generation_svc.domain.clock import Clock
from generation_svc.domain.delivery import (
    Delivery,
    DeliveryKind,
    Destination,
    SendingOutcome,
)
from generation_svc.domain.job import DelayReason, Job, Media, Upload
from generation_svc.domain.line import Line
from generation_svc.domain.observation import Observation, Source
from generation_svc.domain.provider import WebhookAnswer
from generation_svc.domain.shared import BudgetStore, ModelStore
from generation_svc.domain.webhook import WebhookEndpoint


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What a request_id stands for."""

    caller: str
    request_id: str
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """A callback as it was stored, before it is applied."""

    id: UUID
    body: bytes
    attempt_id: UUID | None
    is_trusted: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A queued job claimed by one dispatcher."""

    job: Job
    token: UUID
    attempts: int
    """How many attempts the job already has whose fate is not "refused"."""
    is_trial: bool = False
    """Whether its model was switched off, so that it may have to wait or to fail."""


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """Media and where its bytes are."""

    media: Media
    key: str


class JobStore(Protocol):
    """Jobs, their request keys and their events."""

    async def insert(self, job: Job, *, destination: Destination | None) -> int:
        """Write a new job, due at once, with its first event; return its turn."""

    async def remember_request(self, key: RequestKey, *, job_id: UUID) -> tuple[UUID, bytes] | None:
        """Bind a request key to a job; return the job id and hash of an earlier binding."""

    async def find_request(self, request_id: str, *, caller: str) -> tuple[UUID, bytes] | None:
        """Return the job id and hash of an earlier binding."""

    async def forget_requests(self, *, older_than: timedelta, limit: int) -> int:
        """Remove bindings past their time; return how many."""

    async def get(self, job_id: UUID, *, caller: str | None = None) -> Job | None:
        """Read a job; of this caller only, if one is given."""

    async def lock(self, job_id: UUID) -> Job:
        """Read a job and lock its row until the transaction ends."""

    async def save(self, job: Job, *, event: str, detail: Mapping[str, Any] | None = None) -> None:
        """Write the next revision of a locked job, its event and its snapshot."""

    async def note(
        self, job_id: UUID, *, event: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Write an event that takes no revision."""

    async def revisions_of(self, job_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """Read at which revision each of these jobs is."""

    async def revisions(self, job_id: UUID, *, after: int, limit: int) -> Sequence[Job]:
        """Read the revisions after `after`, in order."""

    async def page(
        self, *, caller: str | None, owner: str | None, before: UUID | None, limit: int
    ) -> Sequence[Job]:
        """Read jobs of this caller, of everybody for None, newest first, older than `before`."""

    async def count_active(self, owner: str, *, caller: str) -> int:
        """Count the unfinished jobs of an owner; counts and inserts of one owner take turns."""

    async def destination(self, job_id: UUID) -> Destination | None:
        """Read where the outcome goes."""

    async def count_claims(self, *, lease: timedelta) -> int:
        """Count the claims that will soon take a call; other claims wait for this transaction."""

    async def claim(self, *, lease: timedelta, most_active: int) -> Claim | None:
        """Claim the due job whose turn it is, unless `most_active` tasks are at the provider."""

    async def release(self, claim: Claim, *, due: timedelta) -> None:
        """Give a claim back; the job is due again after a while."""

    async def hasten_postponed(self) -> None:
        """Make every queued job due that waits for nothing but its next try."""

    async def hold_claim(self, claim: Claim) -> Job | None:
        """Lock the job if it is still queued and the claim is still ours."""

    async def line(self) -> Line:
        """Read the queue in its fair order."""

    async def overdue_to_start(self, *, limit: int) -> Sequence[UUID]:
        """Find queued jobs past their start deadline."""

    async def mislabelled(self, reason: DelayReason | None, *, limit: int) -> Sequence[UUID]:
        """Find queued jobs whose delay reason is not the breaker's."""


class AttemptStore(Protocol):
    """Attempts: calls of createTask and what became of them."""

    async def insert(self, attempt: Attempt, *, token_hash: bytes) -> None:
        """Write an attempt before the provider is called."""

    async def lock(self, attempt_id: UUID) -> Attempt:
        """Read an attempt and lock its row; the job's row is locked before it."""

    async def find_by_token(self, token_hash: bytes) -> Attempt | None:
        """Find the attempt of a callback token."""

    async def find_by_task(self, task_id: str) -> Attempt | None:
        """Find the attempt of a task."""

    async def live(self, job_id: UUID) -> Sequence[Attempt]:
        """Read the attempts that can still bring the job a result."""

    async def count(self, job_id: UUID) -> int:
        """Count all attempts of a job."""

    async def count_unrefused(self, job_id: UUID) -> int:
        """Count the attempts of a job that the provider did not refuse."""

    async def accept(self, attempt_id: UUID, *, task_id: str, first_read: timedelta | None) -> None:
        """Note that the provider took it, and when it is read first."""

    async def end(self, attempt_id: UUID, state: AttemptState, *, error: str = "") -> None:
        """Note that it is over; it is read and fetched no more."""

    async def mark_unknown(self, attempt_id: UUID, *, error: str) -> bool:
        """Note that createTask gave no answer; return whether that is news."""

    async def succeed(self, attempt_id: UUID, observation: Observation, *, source: Source) -> None:
        """Note the success and what brought it; its result is due to be fetched at once."""

    async def see(self, attempt_id: UUID, observation: Observation) -> None:
        """Note the provider's word for a task that is not final."""

    async def claim_read(self, *, lease: timedelta) -> Attempt | None:
        """Claim the attempt that is due to be read, pushing its next read behind the lease."""

    async def schedule_read(self, attempt_id: UUID, *, due: timedelta) -> None:
        """Set the next read of a live attempt."""

    async def hasten_read(self, attempt_id: UUID, *, interval: timedelta) -> bool:
        """Move the next read to now, at most once per interval; return whether it moved."""

    async def count_empty_read(self, attempt_id: UUID) -> int:
        """Count a read that showed a success without a result; return how many there were."""

    async def claim_fetch(self, *, lease: timedelta) -> Attempt | None:
        """Claim the success whose result is due to be fetched."""

    async def schedule_fetch(
        self, attempt_id: UUID, *, due: timedelta, trouble: Trouble | None = None
    ) -> None:
        """Set the next try to fetch, and what the last one had trouble with; None changes nothing.

        The time of the trouble is that of the first try since which it is the same.
        """

    async def orphans(self, *, older_than: timedelta, limit: int) -> Sequence[Attempt]:
        """Find attempts whose dispatcher vanished between createTask and its answer."""

    async def overdue(self, *, hard_deadline: timedelta, limit: int) -> Sequence[Attempt]:
        """Find live attempts past the hard deadline, from acceptance or submission.

        Those of unknown fate end with their job's finish deadline: they can never be read.
        """

    async def typical_duration(self, model_id: str) -> timedelta | None:
        """Return the 95th percentile of the last durations that callbacks told, if enough did."""


class ReceiptStore(Protocol):
    """Callbacks as they came."""

    async def insert(
        self, receipt: Receipt, *, task_id: str | None, headers: Mapping[str, str]
    ) -> None:
        """Keep a callback."""

    async def finish(self, receipt_id: UUID, *, outcome: str) -> None:
        """Note what came of it."""

    async def pending(self, *, older_than: timedelta, limit: int) -> Sequence[Receipt]:
        """Read receipts that were stored and never applied."""

    async def trim(self, *, keep: int) -> None:
        """Forget the oldest callbacks that are not believed: anybody can post those."""


class MediaRows(Protocol):
    """Media and uploads: everything but the bytes."""

    async def insert_media(
        self, media: Media, *, attempt: Attempt, position: int, key: str
    ) -> None:
        """Write one result of an attempt; a repetition changes nothing."""

    async def media_of(self, attempt_id: UUID) -> Sequence[Media]:
        """Read the results of an attempt in order."""

    async def positions_of(self, attempt_id: UUID) -> Collection[int]:
        """Read which results of an attempt are ours already."""

    async def known_results(self, attempt_ids: Collection[UUID]) -> Collection[tuple[UUID, int]]:
        """Return which results of these attempts have a row, by attempt and position."""

    async def known_uploads(self, upload_ids: Collection[UUID]) -> Collection[UUID]:
        """Return which of these uploads have a row."""

    async def find_media(
        self, media_id: UUID, *, caller: str | None, bots: Collection[int] = ()
    ) -> StoredMedia | None:
        """Find media of this caller, of anybody for None, or of a job sent by one of the bots."""

    async def insert_upload(
        self, upload: Upload, *, caller: str, owner: str, key: str, lifetime: timedelta
    ) -> None:
        """Write an upload that is forgotten after its lifetime."""

    async def find_upload(self, upload_id: UUID, *, caller: str) -> StoredMedia | None:
        """Find an upload of this caller that is not forgotten."""

    async def keep_upload(self, upload_id: UUID, *, lifetime: timedelta) -> None:
        """Lengthen the life of an upload that a job uses."""

    async def expired_uploads(self, *, limit: int) -> Sequence[StoredMedia]:
        """Find uploads that are past their time; no job can use them any more."""

    async def remove_upload(self, upload_id: UUID) -> None:
        """Remove an upload whose bytes are gone."""


class DeliveryStore(Protocol):
    """What is to be sent."""

    async def add(
        self, job: Job, *, kind: DeliveryKind, destination: Destination, due: timedelta
    ) -> None:
        """Make something due for a job; one row per job and kind."""

    async def lease(
        self, *, bot_id: int | None, queue: str | None, caller: str, limit: int, span: timedelta
    ) -> Sequence[Delivery]:
        """Lease due deliveries, one of a job at a time: a bot's, or those of the caller's queue."""

    async def begin(
        self, lease_token: str, *, courier: Caller | None = None, span: timedelta | None = None
    ) -> datetime:
        """Note that sending starts; return when the lease ends, `span` from now. Raises StaleLease.

        Without a span it ends when it was going to. A courier is known by the lease only where it
        may lease the delivery.
        """

    async def give_back(self, lease_token: str) -> None:
        """Offer a delivery again at once that was leased to nobody who could begin it."""

    async def report(
        self, lease_token: str, outcome: SendingOutcome, *, courier: Caller | None = None
    ) -> None:
        """Note how sending ended. Raises StaleLease, PauseTooLong."""


class WebhookStore(Protocol):
    """The deliveries that the service sends itself, and the addresses that are gone."""

    async def begin(self, *, span: timedelta, most_per_host: int) -> Delivery | None:
        """Lease and begin a due delivery, of the host with the fewest under way.

        None if nothing is due, or only for hosts that have `most_per_host` under way.
        """

    async def disable(self, url: str, *, caller: str, reason: str) -> None:
        """Note that an address is gone; whatever still waits to be posted to it never will be."""

    async def enable(self, url: str, *, caller: str) -> WebhookEndpoint | None:
        """Let an address be posted to again; None if it never was."""

    async def note(self, url: str, *, caller: str, answer: WebhookAnswer) -> None:
        """Count a post to an address, and keep what came of it as the latest."""

    async def page(
        self, *, caller: str, is_disabled: bool | None, after: str, limit: int
    ) -> Sequence[WebhookEndpoint]:
        """Read addresses of a caller behind `after`, in their order."""

    async def forget_idle(self, *, older_than: timedelta, limit: int) -> int:
        """Remove enabled addresses that were not posted to for so long; return how many."""

    async def is_disabled(self, url: str, *, caller: str) -> bool:
        """Return whether nothing is posted to an address any more."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """The state of a conversation; version 0 was never written."""

    bot_id: int
    key: str
    data: bytes
    version: int
    update_time: datetime | None


class EdgeStore(Protocol):
    """What an edge must not lose."""

    async def get_session(self, bot_id: int, *, key: str, caller: str) -> SessionRecord:
        """Read a session."""

    async def put_session(self, session: SessionRecord, *, caller: str) -> SessionRecord:
        """Write a session read at `session.version`. Raises SessionConflict."""

    async def lease_updates(
        self, bot_id: int, *, holder: str, span: timedelta, caller: str
    ) -> tuple[bool, datetime | None]:
        """Take, keep or (with a span of zero) give up the right to poll for a bot."""


class Transaction(Clock, Protocol):
    """One database transaction."""

    @property
    def jobs(self) -> JobStore: ...  # noqa: D102
    @property
    def attempts(self) -> AttemptStore: ...  # noqa: D102
    @property
    def receipts(self) -> ReceiptStore: ...  # noqa: D102
    @property
    def media(self) -> MediaRows: ...  # noqa: D102
    @property
    def deliveries(self) -> DeliveryStore: ...  # noqa: D102
    @property
    def webhooks(self) -> WebhookStore: ...  # noqa: D102
    @property
    def edge(self) -> EdgeStore: ...  # noqa: D102
    @property
    def budget(self) -> BudgetStore: ...  # noqa: D102
    @property
    def models(self) -> ModelStore: ...  # noqa: D102

    def announce(self, topic: str) -> None:
        """Wake all who wait for `topic`, in every replica, once this transaction is durable."""


class Database(Clock, Protocol):
    """Where everything is kept."""

    def watch(self, *topics: str) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set whenever one of the topics is announced, by any replica."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction: committed at the end of the block, rolled back by an exception."""
