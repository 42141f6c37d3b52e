"""A transaction with a store per aggregate, and the database that opens one.

All that is done in a transaction happens or nothing does. Rows that several use cases change are
locked in one order: the job first.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from generation_svc.domain.clock import Clock
from generation_svc.domain.job import Job
from generation_svc.domain.port.acceptance import AcceptanceStore
from generation_svc.domain.port.attempt import AttemptStore
from generation_svc.domain.port.audit import AuditStore
from generation_svc.domain.port.breaker import BreakerStore
from generation_svc.domain.port.callback import CallbackStore
from generation_svc.domain.port.catalog import CatalogStore
from generation_svc.domain.port.consent import ConsentStore
from generation_svc.domain.port.delivery import DeliveryStore
from generation_svc.domain.port.dispatch import DispatchStore
from generation_svc.domain.port.due import DueStore
from generation_svc.domain.port.epoch import EpochStore
from generation_svc.domain.port.health import HealthStore
from generation_svc.domain.port.job import JobStore
from generation_svc.domain.port.ledger import LedgerStore
from generation_svc.domain.port.media import MediaStore
from generation_svc.domain.port.model import ModelStore
from generation_svc.domain.port.money import MoneyStore
from generation_svc.domain.port.notifier import Notifier
from generation_svc.domain.port.queue import QueueStore
from generation_svc.domain.port.rate_budget import RateBudgetStore
from generation_svc.domain.port.request import RequestStore
from generation_svc.domain.port.retention import RetentionStore, UsageStore
from generation_svc.domain.port.session import EdgeStore
from generation_svc.domain.port.star import StarStore
from generation_svc.domain.port.top_up import TopUpStore
from generation_svc.domain.port.wallet_import import WalletImportStore
from generation_svc.domain.port.webhook import WebhookStore

_T = TypeVar("_T")


class Transaction(Clock, Protocol):
    """One database transaction."""

    @property
    def jobs(self) -> JobStore: ...  # noqa: D102
    @property
    def acceptance(self) -> AcceptanceStore: ...  # noqa: D102
    @property
    def requests(self) -> RequestStore: ...  # noqa: D102
    @property
    def queue(self) -> QueueStore: ...  # noqa: D102
    @property
    def dispatch(self) -> DispatchStore: ...  # noqa: D102
    @property
    def attempts(self) -> AttemptStore: ...  # noqa: D102
    @property
    def callbacks(self) -> CallbackStore: ...  # noqa: D102
    @property
    def media(self) -> MediaStore: ...  # noqa: D102
    @property
    def deliveries(self) -> DeliveryStore: ...  # noqa: D102
    @property
    def webhooks(self) -> WebhookStore: ...  # noqa: D102
    @property
    def consents(self) -> ConsentStore: ...  # noqa: D102
    @property
    def edge(self) -> EdgeStore: ...  # noqa: D102
    @property
    def rate_budget(self) -> RateBudgetStore: ...  # noqa: D102
    @property
    def breaker(self) -> BreakerStore: ...  # noqa: D102
    @property
    def models(self) -> ModelStore: ...  # noqa: D102
    @property
    def retention(self) -> RetentionStore: ...  # noqa: D102
    @property
    def usage(self) -> UsageStore: ...  # noqa: D102
    @property
    def due(self) -> DueStore: ...  # noqa: D102
    @property
    def catalog(self) -> CatalogStore: ...  # noqa: D102
    @property
    def health(self) -> HealthStore: ...  # noqa: D102
    @property
    def ledger(self) -> LedgerStore: ...  # noqa: D102
    @property
    def money(self) -> MoneyStore: ...  # noqa: D102
    @property
    def epochs(self) -> EpochStore: ...  # noqa: D102
    @property
    def audit(self) -> AuditStore: ...  # noqa: D102
    @property
    def top_ups(self) -> TopUpStore: ...  # noqa: D102
    @property
    def stars(self) -> StarStore: ...  # noqa: D102
    @property
    def imports(self) -> WalletImportStore: ...  # noqa: D102

    def announce(self, topic: str) -> None:
        """Wake all who wait for `topic`, in every replica, once this transaction is durable.

        Work that is done in this process, too, is announced here alone.
        """

    def publish(self, topic: str, revision: Job) -> None:
        """Give a revision to those who follow its job once this transaction is durable."""

    def at_end(self, call: Callable[[bool], None]) -> None:
        """Say whether this transaction is durable, once that is known; False if it may not be."""


class Database(Clock, Notifier, Protocol):
    """Where everything is kept."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction: committed at the end of the block, rolled back by an exception."""

    async def read(self, query: Callable[[Transaction], Awaitable[_T]]) -> _T:
        """Answer a query of one statement, which sees what was committed before it was asked."""
