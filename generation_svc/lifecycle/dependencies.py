"""The dependencies of use cases and engine, in groups."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NoReturn, cast

from generation_svc.domain.account import Account
from generation_svc.domain.caller import Caller
from generation_svc.domain.cost_excess import ExcessBound
from generation_svc.domain.daily_cap import Cap, DailyCaps, DailyCost
from generation_svc.domain.job import Job
from generation_svc.domain.media import MediaLinks
from generation_svc.domain.model import Catalog, Model
from generation_svc.domain.model_health import ModelHealth
from generation_svc.domain.money import Margins, MoneyMode, Terms
from generation_svc.domain.port.callback import CallbackReader
from generation_svc.domain.port.catalog import CatalogFormat
from generation_svc.domain.port.disk import DiskReader
from generation_svc.domain.port.media import ByteStore, ResultFetcher, UploadSpool
from generation_svc.domain.port.provider import Provider
from generation_svc.domain.port.statement import StatementWriter
from generation_svc.domain.port.transaction import Database
from generation_svc.domain.port.webhook import WebhookSender
from generation_svc.domain.provider_balance import ProviderBalance
from generation_svc.domain.retention import Expired, Retention
from generation_svc.domain.storage_limit import NoDisk, StorageQuota
from generation_svc.domain.timing import Timing
from generation_svc.domain.top_up import Pack
from generation_svc.domain.upload_link import UploadLinks
from generation_svc.lifecycle.acceptance import AcceptanceQueue
from generation_svc.lifecycle.accepted_cost import RecentCost
from generation_svc.lifecycle.callback_address import callback_address
from generation_svc.lifecycle.job_reader import JobReader
from generation_svc.lifecycle.local_engine import LocalEngine
from generation_svc.lifecycle.meter import ServiceMeter
from generation_svc.lifecycle.queue_view import REST_FACTOR, QueueView, Recent
from generation_svc.lifecycle.revision_poller import RevisionPoller
from generation_svc.lifecycle.walk import Walk


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be under way at once."""

    creates_per_window: int = 18
    """Submissions per 10 s on one account."""
    create_window: timedelta = timedelta(seconds=10)
    reads_per_window: int = 10
    """Reads of tasks per second on one account."""
    read_window: timedelta = timedelta(seconds=1)
    active_tasks: int = 100
    """Tasks at the provider at once on one account."""
    active_jobs_per_owner: int = 20
    daily_free_jobs_per_owner: int | None = None
    """Jobs of free models that an owner may start in a day (UTC); None for any number."""
    queued_jobs: int = 100_000
    """Jobs in the queue, of all callers."""
    queued_jobs_per_caller: int = 20_000


MOST_UPLOADS = 5
"""How many of a process's dispatchers may be handing media over, which can take long."""
HIDDEN_SECONDS = 1.0
"""How old the list of models that are off may be."""
TERMS_SECONDS = 5.0
"""How old the margins may be, and the word that sales are closed."""
HEALTH_SECONDS = 30.0
"""How old may be what is known of how models do."""
OVERALL_SECONDS = 5.0
"""How old the sum of all bytes that are kept may be; one that takes long is read less often."""
NO_MODELS: Mapping[str, datetime] = {}
ASSUMED_USUAL = timedelta(seconds=60)
"""What a model usually takes of which nobody knows it: how long doubtful submissions may wait."""
RETIRED_DURATIONS = (ASSUMED_USUAL, timedelta(minutes=15))
"""What a model that is no longer offered usually and at most takes."""


def _count_nothing(caller: Caller, owner: str) -> None:
    del caller, owner


def _no_wallet(caller: str) -> None:
    del caller


@dataclass(frozen=True, slots=True)
class Revisions:
    """What this process knows of documents by their digests."""

    earlier: dict[str, Model] = field(default_factory=dict)
    """Those that are no longer on offer, of which jobs are under way."""
    kept_at: dict[str, float] = field(default_factory=dict)
    """When a document was last said to be in use, by the loop's time."""
    keeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one who says so: those who come at the same time wait for it."""


class NoFormat:
    """Stands in where the catalog is one file and stays as it is."""

    def __getattr__(self, name: str) -> NoReturn:
        """Say that there are no documents here."""
        raise TypeError(f"this process has no documents of models, which {name} needs")


class NoWriter:
    """Stands in where no documents about money are written."""

    def __getattr__(self, name: str) -> NoReturn:
        """Say that nothing writes them."""
        raise TypeError(f"this process writes no documents, which {name} needs")


@dataclass(slots=True)
class ModelDependencies:
    """The models, and the rules for what is asked of them."""

    catalog: Catalog
    """What is on offer. It is replaced as a whole when a layer changes: read it once per call."""
    validate_inputs: Callable[[Model, Mapping[str, Any]], dict[str, Any]]
    format: CatalogFormat = field(default_factory=lambda: cast(CatalogFormat, NoFormat()))
    """What knows the documents of models."""
    revision: int = 0
    """The revision of the layers that `catalog` is made of."""
    revisions: Revisions = field(default_factory=Revisions)
    """The documents that this process met."""
    off: Recent[Mapping[str, datetime]] = field(
        default_factory=lambda: Recent(NO_MODELS, seconds=HIDDEN_SECONDS)
    )
    """The models that are off, as this process read them a moment ago."""
    has_unpaid: bool = False
    """Whether models that cost money may be used unpaid, also those without a price."""
    health: Recent[Mapping[str, ModelHealth]] = field(
        default_factory=lambda: Recent({}, seconds=HEALTH_SECONDS, rest_factor=REST_FACTOR)
    )
    """How models have been doing, as this process read it a moment ago."""

    def durations(self, model_id: str) -> tuple[timedelta, timedelta]:
        """Return what a model usually and at most takes, unscaled; also a retired one."""
        model = self.catalog.models.get(model_id)
        if model is None:
            return RETIRED_DURATIONS
        return model.usual_duration or ASSUMED_USUAL, model.longest_duration


@dataclass(frozen=True, slots=True)
class MoneyDependencies:
    """What jobs are paid with here."""

    mode: MoneyMode | None = None
    """Which money this is; None where nothing is sold."""
    is_provider_real: bool = False
    """Whether the provider costs real money, and is no sandbox."""
    terms: Recent[Terms] = field(
        default_factory=lambda: Recent(Terms(Margins()), seconds=TERMS_SECONDS)
    )
    """On what terms jobs are sold, as this process read it a moment ago."""
    packs: tuple[Pack, ...] = ()
    """What is sold for Stars, the cheapest first."""
    opened: set[str] = field(default_factory=set)
    """The wallets that may owe and that this process has seen to be there."""
    daily_credits: int | None = None
    """How many credits a caller may record in a day before a list confirms them; None if any."""
    excess_bound: ExcessBound = field(default_factory=ExcessBound)
    """What the provider may take beyond a quote before the model goes off sale."""
    caps: DailyCaps = field(default_factory=DailyCaps)
    """What jobs may cost the operator in a day."""
    daily_cost: RecentCost[DailyCost] = field(default_factory=lambda: RecentCost(DailyCost()))
    """What those of today cost, as this process read it a moment ago."""
    balance: RecentCost[ProviderBalance] = field(
        default_factory=lambda: RecentCost(ProviderBalance())
    )
    """What the accounts at the provider have left, as this process read it a moment ago."""
    capped_days: dict[Cap, date] = field(default_factory=dict)
    """When this process found out last that a limit is reached."""
    seller: str = ""
    """What statements say of the seller."""
    unread: set[str] = field(default_factory=set)
    """What this process could not read when it started; until then it sends no jobs."""


@dataclass(frozen=True, slots=True)
class MediaDependencies:
    """How media is fetched, stored and linked."""

    store: ByteStore
    spool: UploadSpool
    fetcher: ResultFetcher
    links: MediaLinks | None = None
    """Makes links to media; None if links are not served."""
    upload_links: UploadLinks | None = None
    """Makes links by which a person sends a file; None if links are not served."""
    walk: Walk = field(default_factory=Walk)
    """The progress of this process's walk through the media store."""


@dataclass(frozen=True, slots=True)
class StorageDependencies:
    """How long what is stored is kept, and how much of it there may be."""

    retention: Retention = field(default_factory=Retention)
    quota: StorageQuota = field(default_factory=StorageQuota)
    disk: DiskReader = field(default_factory=NoDisk)
    overall: Recent[int] = field(
        default_factory=lambda: Recent(0, seconds=OVERALL_SECONDS, rest_factor=REST_FACTOR)
    )
    """The bytes of all owners, as this process read them a moment ago."""
    removed_up_to: dict[str, Expired | None] = field(default_factory=dict)
    """How far this process came with removing what has expired, of each kind."""


@dataclass(frozen=True, slots=True)
class ProviderDependencies:
    """The provider and its callbacks."""

    client: Provider
    callbacks: CallbackReader
    callback_base_url: str | None
    """The public address of the gateway; None means that the provider is only polled."""
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_UPLOADS))
    """Who hands media to the provider; the other dispatchers send what needs none."""

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts at the provider, in the order of the settings."""
        return tuple(Account(self.client.name, name) for name in self.client.accounts)

    def callback_url(self, token: str) -> str | None:
        """Return where the provider is to report an attempt; None if it is only polled."""
        base = self.callback_base_url
        return callback_address(base, provider=self.client.name, token=token) if base else None


@dataclass(frozen=True, slots=True)
class WebhookDependencies:
    """How outcomes are posted to callers."""

    sender: WebhookSender
    body: Callable[[Job], bytes]
    """Writes what a webhook says of a final job; the same at every try."""
    secrets_of: Callable[[str], tuple[str, ...]]
    """Gives the keys of a caller, by its name, that sign its webhooks; none for one unknown."""


@dataclass(frozen=True, slots=True)
class ViewDependencies:
    """What the calls of this process read once for all of them."""

    queue: QueueView = field(default_factory=QueueView)
    """The queue."""
    revision_poller: RevisionPoller = field(default_factory=RevisionPoller)
    """The jobs that are waited for."""
    job_reader: JobReader = field(default_factory=JobReader)
    """The jobs that are asked for at this moment."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The ports and rules of one service, in groups."""

    database: Database
    models: ModelDependencies
    media: MediaDependencies
    provider: ProviderDependencies
    webhooks: WebhookDependencies
    timing: Timing
    limits: Limits
    count_job: Callable[[Caller, str], None] = _count_nothing
    """Counts a job or an upload of a caller's owner; raises RateLimited."""
    uncount_job: Callable[[Caller, str], None] = _count_nothing
    """Takes back what `count_job` counted, of what turned out to be a repetition."""
    wallet_of: Callable[[str], str | None] = _no_wallet
    """Gives the wallet that pays for all owners of a caller, by its name; None if none does."""
    acceptance: AcceptanceQueue = field(default_factory=AcceptanceQueue)
    """The jobs of this process that wait to be accepted."""
    storage: StorageDependencies = field(default_factory=StorageDependencies)
    money: MoneyDependencies = field(default_factory=MoneyDependencies)
    statements: StatementWriter = field(default_factory=lambda: cast(StatementWriter, NoWriter()))
    """What writes statements and receipts."""
    views: ViewDependencies = field(default_factory=ViewDependencies)
    meter: ServiceMeter = field(default_factory=ServiceMeter)
    engine: LocalEngine = field(default_factory=LocalEngine)
    """What of the engine runs in this process."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the service is about to stop: who waits for a turn gives it back."""
