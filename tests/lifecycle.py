"""The use cases on a real PostgreSQL, with stand-ins for the provider and the media store."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from psycopg import sql
from psycopg.rows import dict_row, tuple_row

from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.catalog.layer import ShippedCatalog
from generation_svc.catalog.load import OfferRule, load_document
from generation_svc.domain.caller import Caller
from generation_svc.domain.catalog_layer import CatalogLayers
from generation_svc.domain.delivery import Destination, Telegram
from generation_svc.domain.error import FieldViolation, InvalidInputs, MediaNotFound
from generation_svc.domain.event import DETAILS, REVISIONS, JobEventKind
from generation_svc.domain.job import Job
from generation_svc.domain.media import MediaKind
from generation_svc.domain.model import ResultForm
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.observation import Observation, ProviderState, ResultItem
from generation_svc.domain.port.media import Examined, StoredBytes
from generation_svc.domain.port.provider import FreshLink, ProviderRequest, Submitted
from generation_svc.domain.port.queue import Claim
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.port.webhook import WebhookAnswer, WebhookPost
from generation_svc.domain.timing import Timing
from generation_svc.engine.account import assign, free_places
from generation_svc.engine.maintenance.accounts import watch_accounts
from generation_svc.engine.rate_budget import limit_of
from generation_svc.engine.sweep import SWEEPS
from generation_svc.lifecycle.callback import CallbackOutcome
from generation_svc.lifecycle.dependencies import (
    Dependencies,
    Limits,
    MediaDependencies,
    ModelDependencies,
    MoneyDependencies,
    ProviderDependencies,
    StorageDependencies,
    WebhookDependencies,
)
from generation_svc.lifecycle.meter import ServiceMeter
from generation_svc.provider.kie.callback import KieCallbackReader
from generation_svc.rpc.webhook import webhook_body
from generation_svc.storage.database import open_database
from generation_svc.storage.notifier import Notifier
from generation_svc.storage.table.schema import metadata
from generation_svc.usecase.create_job import create_job
from generation_svc.usecase.job_request import CreateRequest
from generation_svc.usecase.report_callback import Callback, report_callback
from tests.media import holding
from tests.step import dispatch, fetch_result, poll

CALLER = Caller.trusted("edge")
CHAT = Telegram(bot_id=7, chat_id=42, message_id=1000, language_code="en")
CLAIM_LEASE = timedelta(seconds=60)
LINK = "https://tempfile.aiquickdraw.com/result.png"
PENDING = Observation(ProviderState.PENDING, word="waiting")
SUCCESS = Observation(ProviderState.SUCCEEDED, word="success", results=(ResultItem(LINK),))
FAILURE = Observation(
    ProviderState.FAILED, word="fail", fail_code="500", fail_message="Internal error"
)
_CATALOG = load_catalog()
_SHIPPED = ShippedCatalog(load_document(), rule=OfferRule())
_SELLING = ShippedCatalog(load_document(), rule=OfferRule(is_selling=True))
_SOLD = _SELLING.catalog(CatalogLayers())


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def items_of(*urls: str) -> tuple[ResultItem, ...]:
    """Results of which nothing is known but their links."""
    return tuple(ResultItem(url) for url in urls)


def examined(path: Path, *, mime_type: str = "image/png") -> Examined:
    """Say that a file is a picture, or of another type, whatever it is."""
    data = path.read_bytes()
    return Examined(
        path=path,
        mime_type=mime_type,
        width=64 if mime_type.startswith("image/") else 0,
        height=32 if mime_type.startswith("image/") else 0,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def bytes_of(path: Path) -> bytes:
    """Read a file of a few bytes."""
    return path.read_bytes()


class FakeUpload:
    """An upload whose bytes lie in a file; whatever they are, they are a picture."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def write(self, piece: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(piece)

    async def examine(self) -> Examined:
        return examined(self._path)


class FakeSpool:
    """Holds uploads in a folder; their metadata begins with a bar."""

    @asynccontextmanager
    async def open(self, *, caller: str, owner: str) -> AsyncIterator[FakeUpload]:
        with TemporaryDirectory() as folder:
            yield FakeUpload(Path(folder) / "upload")

    @asynccontextmanager
    async def hold(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[Path]:
        with holding(b"".join([piece async for piece in pieces])) as path:
            yield path

    def most_bytes(self, kinds: Collection[MediaKind]) -> int:
        return 10**7

    async def clean(self, path: Path) -> None:
        path.write_bytes(bytes_of(path).partition(b"|")[0])  # noqa: ASYNC240 -- a few bytes


async def one_piece(data: bytes) -> AsyncIterator[bytes]:
    """An upload that comes in one message."""
    yield data


@dataclass
class FakeProvider:
    """Creates a task at every call, unless `answer` says otherwise."""

    name = "kie"

    accounts: Sequence[str] = ("default",)
    answer: Callable[[FakeProvider, str], Awaitable[str | Observation]] | None = None
    created: list[str] = field(default_factory=list)
    """The callback address of each submission."""
    used: list[str] = field(default_factory=list)
    """The account of each submission."""
    closed: dict[str, Exception] = field(default_factory=dict)
    """What an account says to everything, where it is of no use."""
    inputs: list[Mapping[str, Any]] = field(default_factory=list)
    tasks: dict[str, Observation | Exception] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    upload_error: Exception | None = None
    may_upload: asyncio.Event = field(default_factory=_set_event)
    """Cleared while nobody's picture is taken."""
    left: Decimal | Exception = Decimal(100)
    """The balance of every account."""
    asked_about: list[str] = field(default_factory=list)
    """The models that the provider was asked about."""
    normal_shares: dict[str, float] = field(default_factory=dict)
    probes: int = 0
    fresh: str | Exception = "https://file.aiquickdraw.com/fresh.png"
    fresh_asked: list[str] = field(default_factory=list)
    is_proved: bool = True

    async def submit(
        self, attempt_id: UUID, request: ProviderRequest, *, callback_url: str | None, account: str
    ) -> Submitted | Observation:
        self.created.append(callback_url or "")
        self.inputs.append(request.inputs)
        self.used.append(account)
        self._enter(account)
        task_id = f"task-{len(self.created)}"
        told = await self.answer(self, task_id) if self.answer else task_id
        return told if isinstance(told, Observation) else Submitted(told)

    async def read(self, handle: str, *, account: str) -> Observation:
        self.reads.append(handle)
        self._enter(account)
        told = self.tasks.get(handle, PENDING)
        if isinstance(told, Exception):
            raise told
        return replace(told, task_id=handle)

    async def upload(self, path: Path, *, file_name: str, mime_type: str, account: str) -> str:
        self._enter(account)
        if self.upload_error:
            raise self.upload_error
        await self.may_upload.wait()
        self.uploads.append(bytes_of(path))
        return f"https://kie.example/{file_name}"

    async def fresh_link(self, url: str, *, account: str) -> FreshLink:
        self.fresh_asked.append(url)
        if isinstance(self.fresh, Exception):
            raise self.fresh
        return FreshLink(self.fresh, is_proved=True)

    async def normal_share(self, model_id: str, *, account: str) -> float | None:
        self.asked_about.append(model_id)
        return self.normal_shares.get(model_id)

    async def balance(self, account: str) -> Decimal:
        self.probes += 1
        self._enter(account)
        if isinstance(self.left, Exception):
            raise self.left
        return self.left

    def _enter(self, account: str) -> None:
        assert account in self.accounts, f"{account} is no account that was given"
        if account in self.closed:
            raise self.closed[account]

    def token(self, call: int = -1) -> str:
        return self.created[call].rpartition("/")[2]

    def refuse(self, error: Exception | None) -> None:
        """Answer every createTask with this error; None creates tasks again."""

        async def answer(provider: FakeProvider, task_id: str) -> str | Observation:
            assert error is not None
            raise error

        self.answer = answer if error else None


@dataclass
class FakeFetcher:
    """Gives what is behind a link: bytes or an error; any other link gives a picture."""

    links: dict[str, bytes | Exception] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    """What is no picture."""
    fetched: list[str] = field(default_factory=list)
    proved: set[str] = field(default_factory=set)
    """Those of them that were said to be the provider's own word."""
    damaged: set[str] = field(default_factory=set)
    """What is a picture that cannot be decoded."""
    posters: dict[str, Examined] = field(default_factory=dict)
    """Small pictures of what is a video."""
    forms: list[ResultForm | None] = field(default_factory=list)
    """What the model was said to promise, at each fetch."""

    @asynccontextmanager
    async def fetch(
        self, url: str, *, is_proved: bool = False, form: ResultForm | None = None
    ) -> AsyncIterator[Examined]:
        self.fetched.append(url)
        self.forms.append(form)
        self.proved |= {url} if is_proved else set()
        found = self.links.get(url, b"picture")
        if isinstance(found, Exception):
            raise found
        with holding(found) as path:
            content = examined(path, mime_type=self.types.get(url, "image/png"))
            is_damaged = url in self.damaged
            yield replace(content, poster=self.posters.get(url), is_damaged=is_damaged)

    @asynccontextmanager
    async def write(self, content: str, *, mime_type: str) -> AsyncIterator[Examined]:
        with holding(content.encode()) as path:
            yield examined(path, mime_type=mime_type)


@dataclass
class FakeStore:
    """Keeps bytes in memory."""

    kept: dict[str, bytes] = field(default_factory=dict)
    age: timedelta = timedelta(0)
    """How long ago everything was written."""
    put_error: Exception | None = None
    read_error: Exception | None = None

    async def put_file(self, key: str, path: Path) -> None:
        if self.put_error:
            raise self.put_error
        self.kept[key] = bytes_of(path)

    async def stream(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        if self.read_error:
            raise self.read_error
        if key not in self.kept:
            raise MediaNotFound(key)
        data = self.kept[key]
        yield data[offset : len(data) if length is None else offset + length]

    async def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    async def list(self, prefix: str) -> AsyncIterator[Sequence[StoredBytes]]:
        for key in [key for key in self.kept if key.startswith(prefix)]:
            yield [StoredBytes(key, datetime.now(UTC) - self.age)]


@dataclass
class FakeReceiver:
    """Takes every webhook, unless `answers` says otherwise; the last answer stays."""

    answers: list[WebhookAnswer] = field(default_factory=lambda: [WebhookAnswer(200)])
    fault: BaseException | None = None
    posts: list[WebhookPost] = field(default_factory=list)
    secrets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_slow: bool = False
    """Whether nothing is answered before `may_answer` is set."""
    came: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    def check(self, url: str, *, field: str = "webhook.url") -> None:
        if not url.startswith("https://"):
            raise InvalidInputs((FieldViolation(field, "Must begin with https://."),))

    async def post(self, post: WebhookPost) -> WebhookAnswer:
        self.posts.append(post)
        self.came.set()
        if self.fault:
            raise self.fault
        if self.is_slow:
            await self.may_answer.wait()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def secrets_of(self, caller: str) -> tuple[str, ...]:
        return self.secrets.get(caller, ())


@dataclass
class Harness:
    """A service without its schedulers: a test takes each step itself, and moves the clock."""

    deps: Dependencies
    connection: psycopg.AsyncConnection[dict[str, Any]]
    """The test's own."""
    provider: FakeProvider
    fetcher: FakeFetcher
    store: FakeStore
    receiver: FakeReceiver
    registry: CollectorRegistry
    """What it counts."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self.deps.database.transaction()

    async def accept(
        self,
        *,
        owner: str = "user:1",
        request_id: str = "",
        destination: Destination | None = CHAT,
        model_id: str = "z-image",
        inputs: Mapping[str, Any] | None = None,
        caller: Caller = CALLER,
        agreed_credits: int | None = None,
    ) -> Job:
        request = CreateRequest(
            caller=caller,
            request_id=request_id,
            model_id=model_id,
            inputs=inputs or {"prompt": "a cat"},
            owner=owner,
            correlation_id="correlation",
            destination=destination,
            agreed_credits=agreed_credits,
        )
        return await create_job(self.deps, request)

    async def made(self, **accepted: Any) -> Job:
        """Accept a job, and have it end with a result that is ours."""
        job = await self.run(**accepted)
        await self.callback(SUCCESS)
        await self.fetch_all()
        return await self.job(job)

    async def run(self, **accepted: Any) -> Job:
        """Accept a job and have the provider take it."""
        job = await self.accept(**accepted)
        assert await dispatch(self.deps)
        return await self.job(job)

    async def job(self, job: Job | UUID) -> Job:
        async with self.transaction() as tx:
            found = await tx.jobs.get(job if isinstance(job, UUID) else job.id)
        assert found is not None
        return found

    async def callback(
        self,
        observation: Observation,
        *,
        call: int = -1,
        token: str | None = None,
        task_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> CallbackOutcome:
        calls = len(self.provider.created)
        told = replace(observation, task_id=task_id or f"task-{call if call > 0 else calls}")
        token = self.provider.token(call if call < 0 else call - 1) if token is None else token
        return await report_callback(
            self.deps, Callback(body=body_of(told), headers=headers or {}, token=token)
        )

    async def claim(self, tx: Transaction, *, most_active: int = 10_000) -> Claim | None:
        """Claim the next job as a dispatcher does, with so many places at the provider."""
        limits = replace(self.deps.limits, active_tasks=most_active)
        deps = replace(self.deps, limits=limits)
        limit, window = limit_of(deps, "create")
        view = await tx.dispatch.view(
            deps.provider.accounts, lease=deps.timing.submit_lease, limit=limit, window=window
        )
        places = free_places(deps, view.accounts)
        jobs = await tx.dispatch.waiting(list(places), limit=1) if places else ()
        chosen = assign(jobs, places=places, limit=1)
        claims = await tx.dispatch.claim(chosen, lease=CLAIM_LEASE) if chosen else ()
        return claims[0] if claims else None

    async def sweep(self) -> None:
        """Run all sweeps once, but the one that asks the provider."""
        for sweep in SWEEPS:
            if sweep.step is not watch_accounts:
                await sweep.step(self.deps)

    async def dispatch_all(self) -> None:
        while await dispatch(self.deps):
            pass

    async def poll_all(self) -> None:
        while await poll(self.deps):
            pass

    async def fetch_all(self) -> None:
        while await fetch_result(self.deps):
            pass

    async def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        cursor = await self.connection.execute(statement, values or None)
        return await cursor.fetchall() if cursor.description else []

    async def empty(self, tables: str) -> None:
        """Empty tables, and those that the database itself keeps from it."""
        async with self.connection.transaction():
            await self.query("SET LOCAL session_replication_role = replica")
            await self.query(f"TRUNCATE {tables} CASCADE")

    async def later(self, **span: float) -> None:
        """Let time pass: everything that is stored becomes so much older."""
        updates = [_shift(table, by=timedelta(**span)) for table in metadata.sorted_tables]
        async with self.connection.transaction():
            await self.connection.execute(sql.SQL("; ").join(filter(None, updates)))

    async def attempts(self, job: Job) -> list[dict[str, Any]]:
        return await self.query("SELECT * FROM attempt WHERE job_id = %s ORDER BY number", job.id)

    async def events(self, job: Job) -> list[str]:
        rows = await self.query("SELECT kind FROM job_event WHERE job_id = %s ORDER BY id", job.id)
        return [row["kind"] for row in rows]

    async def history(self, job: Job) -> list[tuple[int, str]]:
        rows = await self.query(
            "SELECT revision, state FROM job_event WHERE job_id = %s AND revision IS NOT NULL"
            " ORDER BY id",
            job.id,
        )
        return [(row["revision"], row["state"]) for row in rows]

    async def deliveries(self, job: Job) -> dict[str, dict[str, Any]]:
        rows = await self.query("SELECT * FROM delivery WHERE job_id = %s", job.id)
        return {row["kind"]: row for row in rows}


class OpenBench(Protocol):
    """Opens another replica on the test's database."""

    async def __call__(
        self,
        *,
        limits: Limits = ...,
        timing: Timing = ...,
        callback_base_url: str | None = ...,
        hmac_key: str | None = ...,
        accounts: Sequence[str] = ...,
        storage: StorageDependencies | None = ...,
        money: MoneyMode | None = ...,
        sharing: Harness | None = ...,
    ) -> Harness: ...


GENEROUS = Limits(
    creates_per_window=1000, reads_per_window=1000, active_tasks=1000, active_jobs_per_owner=1000
)


TIMELESS = {"transfer", "margin_rule", "money_state"}
"""What a trigger keeps from being changed, and by whose time the media store knows its database."""


def _shift(table: sa.Table, *, by: timedelta) -> sql.Composed | None:
    if table.name in TIMELESS:
        return None
    times = [sql.Identifier(c.name) for c in table.columns if isinstance(c.type, sa.DateTime)]
    shifts = [sql.SQL("{0} = {0} - {1}").format(time, by) for time in times]
    changes = sql.SQL(", ").join(shifts)
    return (
        sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table.name), changes) if times else None
    )


def _track(item: ResultItem) -> dict[str, Any]:
    return {
        "audio_url": item.url,
        "title": item.title,
        "duration": item.duration.total_seconds() if item.duration else None,
        "image_url": item.cover_url,
    }


def body_of(observation: Observation) -> bytes:
    """What KIE would post to say this (kie-api.md §3)."""
    data: dict[str, Any] = {"taskId": observation.task_id, "state": observation.word}
    if any(item != ResultItem(item.url) for item in observation.results):
        data["response"] = {"data": [_track(item) for item in observation.results]}
    elif observation.result_urls:
        items = [{"id": each} for each in observation.item_ids]
        result = {"resultUrls": list(observation.result_urls), "data": items}
        data["resultJson"] = json.dumps(result)
    if observation.cost is not None:
        data["creditsConsumed"] = float(observation.cost)
    if observation.fail_code:
        data |= {"failCode": observation.fail_code, "failMsg": observation.fail_message}
    if observation.cost is not None:
        data["creditsConsumed"] = float(observation.cost)
    code = 501 if observation.state is ProviderState.FAILED else 200
    return json.dumps({"code": code, "msg": "", "data": data}).encode()


async def wrong_events(connection: psycopg.AsyncConnection[Any]) -> list[str]:
    """Find events that are not as `docs/events.md` promises them."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            "SELECT kind, revision IS NOT NULL, ARRAY(SELECT jsonb_object_keys(detail))"
            " FROM job_event"
        )
        rows = await cursor.fetchall()
    return [
        f"{kind}: {sorted(keys)}"
        for kind, has_revision, keys in rows
        if has_revision is not (JobEventKind(kind) in REVISIONS)
        or not set(keys) <= set(DETAILS[JobEventKind(kind)])
    ]


@asynccontextmanager
async def open_harness(
    database_url: str,
    *,
    limits: Limits = GENEROUS,
    timing: Timing | None = None,
    callback_base_url: str | None = "https://callbacks.example",
    hmac_key: str | None = None,
    accounts: Sequence[str] = (),
    storage: StorageDependencies | None = None,
    money: MoneyMode | None = None,
    sharing: Harness | None = None,
) -> AsyncIterator[Harness]:
    """Open a replica on a database; what is shared is everything but the database."""
    provider = sharing.provider if sharing else FakeProvider()
    provider = replace(provider, accounts=accounts) if accounts else provider
    fetcher = sharing.fetcher if sharing else FakeFetcher()
    store = sharing.store if sharing else FakeStore()
    receiver = sharing.receiver if sharing else FakeReceiver()
    registry = CollectorRegistry()
    connect = psycopg.AsyncConnection.connect(database_url, autocommit=True, row_factory=dict_row)
    async with (
        await connect as connection,
        open_database(database_url, notifier=Notifier(), max_connections=12) as database,
    ):
        deps = Dependencies(
            database=database,
            models=ModelDependencies(
                _SOLD if money else _CATALOG,
                validate_inputs,
                format=_SELLING if money else _SHIPPED,
            ),
            money=MoneyDependencies(money),
            media=MediaDependencies(store=store, spool=FakeSpool(), fetcher=fetcher),
            provider=ProviderDependencies(
                client=provider,
                callbacks=KieCallbackReader((hmac_key,) if hmac_key else ()),
                callback_base_url=callback_base_url,
            ),
            webhooks=WebhookDependencies(receiver, webhook_body, receiver.secrets_of),
            timing=timing or Timing(),
            limits=limits,
            meter=ServiceMeter(registry),
            storage=storage or StorageDependencies(),
        )
        yield Harness(deps, connection, provider, fetcher, store, receiver, registry)


@pytest.fixture
async def open_bench(database_url: str) -> AsyncIterator[OpenBench]:
    async with AsyncExitStack() as stack:

        async def opened(**wishes: Any) -> Harness:
            return await stack.enter_async_context(open_harness(database_url, **wishes))

        yield opened


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await open_bench()
