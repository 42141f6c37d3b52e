"""Callers of every kind, things that are theirs or somebody else's, and each RPC as a call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from google.protobuf.timestamp_pb2 import Timestamp
from PIL import Image
from pydantic import SecretStr

from atelier.generation.v1 import (
    callback_service_pb2,
    catalog_service_pb2,
    consent_pb2,
    delivery_service_pb2,
    edge_service_pb2,
    webhook_service_pb2,
)
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.wallet.v1 import imported_balance_pb2, wallet_service_pb2
from generation_client import GenerationClient, GenerationError, connect, translated
from generation_svc.caller import CallerDirectory, Grant
from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.delivery import Telegram
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import Result
from generation_svc.domain.media import Media
from generation_svc.domain.port.media import StoredFile
from generation_svc.domain.port.webhook import WebhookAnswer
from generation_svc.lifecycle.record import settle
from generation_svc.usecase import create_job, lease_delivery
from generation_svc.usecase.job_request import CreateRequest
from tests.contract.service import Service, serving, struct
from tests.media import put

PACKAGE = "atelier.generation.v1"
OURS, THEIRS = 7, 8
"""The bot of every caller but one, and the bot of that one."""
OWNER, THEIR_OWNER = "mine:1", "theirs:1"
STRANGER = Caller(
    "stranger",
    scopes=frozenset(Scope),
    owner_prefixes=("theirs:",),
    bot_ids=frozenset({THEIRS}),
)
ONE_SCOPE = {str(scope): frozenset({scope}) for scope in Scope}
SCOPES = {
    "none": frozenset[Scope](),
    **ONE_SCOPE,
    "all_but_all_jobs": frozenset(Scope) - {Scope.ALL_JOBS},
    "all_but_operate": frozenset(Scope) - {Scope.ALL_JOBS, Scope.WALLET_OPERATE},
    "all": frozenset(Scope),
}
"""The scopes of each caller, by its name."""
LEASE = timedelta(seconds=300)
NOBODY_LISTENS = "127.0.0.1:9"
HOOK = f"http://{NOBODY_LISTENS}/hook"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def caller(name: str) -> Caller:
    return Caller(
        name,
        scopes=SCOPES[name],
        owner_prefixes=("mine:",),
        bot_ids=frozenset({OURS}),
        webhook_secrets=(SECRET,),
    )


def token(name: str) -> str:
    return f"token-of-{name}-that-is-long-enough"


def token_hash(name: str) -> bytes:
    return sha256(token(name).encode()).digest()


def directory() -> CallerDirectory:
    everyone = [*map(caller, SCOPES), STRANGER]
    return CallerDirectory(
        Grant(each, frozenset({token_hash(each.name)}), 1e6, 1e6) for each in everyone
    )


@dataclass(frozen=True)
class Subject:
    """What a call is about."""

    owner: str = OWNER
    bot_id: int = OURS
    job_id: str = ""
    media_id: str = ""
    lease_token: str = ""


@dataclass(frozen=True)
class Situation:
    """Who calls, and whose the things are that the call names."""

    name: str | None
    """The caller; None for one without a token, another name for a token that is not known."""
    is_job_foreign: bool = False
    sent_by: int = OURS
    """The bot that sends the job's outcome."""
    owner: str = OWNER
    bot_id: int = OURS


_MOST = Situation("all_but_all_jobs")
SITUATIONS = {
    "no token": Situation(None),
    "wrong token": Situation("nobody"),
    **{f"`{scope}`": Situation(scope) for scope in Scope},
    "no scope": Situation("none"),
    "job of another": replace(_MOST, is_job_foreign=True, sent_by=THEIRS),
    "the same with `all_jobs`": replace(_MOST, name="all", is_job_foreign=True, sent_by=THEIRS),
    "job of another, sent by its bot": replace(_MOST, is_job_foreign=True),
    "owner of another": replace(_MOST, owner=THEIR_OWNER),
    "owner of another, without `wallet_operate`": Situation("all_but_operate", owner=THEIR_OWNER),
    "bot of another": replace(_MOST, sent_by=THEIRS, bot_id=THEIRS),
}
"""The columns of the table, by their heads."""

OUTCOMES = {
    "UNAUTHENTICATED": "unauthenticated",
    "PERMISSION_DENIED": "denied",
    "JOB_NOT_FOUND": "not found",
    "MEDIA_NOT_FOUND": "not found",
    "UPLOAD_LINK_INVALID": "not found",
    "TOP_UP_NOT_FOUND": "not found",
    "STAR_NOT_FOUND": "not found",
    "TOP_UP_INVALID": "invalid",
    "STALE_LEASE": "stale",
}


@dataclass
class CallerHarness:
    """A service with callers, and a client for each of them."""

    service: Service
    stack: AsyncExitStack
    clients: dict[str | None, GenerationClient]

    async def client(self, name: str | None) -> GenerationClient:
        if name not in self.clients:
            secret = SecretStr(token(name)) if name else None
            opened = connect(self.service.address, token=secret)
            self.clients[name] = await self.stack.enter_async_context(opened)
        return self.clients[name]

    async def subject(self, situation: Situation) -> Subject:
        """Make what a situation speaks of: a job with a picture, its outcome leased."""
        maker = STRANGER.name if situation.is_job_foreign else situation.name or "none"
        job_id, media_id = await self._job(maker, bot_id=situation.sent_by)
        wanted = lease_delivery.Wanted(Caller.trusted(maker), situation.sent_by, None, 100, LEASE)
        leased = await lease_delivery.lease(self.service.deps, wanted, wait=timedelta(0))
        return Subject(
            owner=situation.owner,
            bot_id=situation.bot_id,
            job_id=str(job_id),
            media_id=str(media_id),
            lease_token=next(each.lease_token for each in leased if each.job.id == job_id),
        )

    async def outcome(self, rpc: str, situation: Situation) -> str:
        """Call, and return what came of it in the words of the table."""
        client, subject = (
            await self.client(situation.name),
            Subject(situation.owner, situation.bot_id),
        )
        if rpc in ABOUT_A_JOB:
            subject = await self.subject(situation)
        if rpc in ABOUT_A_WEBHOOK:
            await self.disable(situation.name or "none")
        return await outcome(CALLS[rpc](client, subject))

    async def disable(self, name: str, *, url: str = HOOK) -> None:
        """Have a receiver say that its address is gone."""
        async with self.service.deps.database.transaction() as tx:
            await tx.webhooks.note(url, caller=name, answer=WebhookAnswer(410))
            await tx.webhooks.disable(url, caller=name, reason="HTTP 410")

    async def _job(self, maker: str, *, bot_id: int) -> tuple[UUID, UUID]:
        request = CreateRequest(
            caller=Caller.trusted(maker),
            request_id="",
            model_id="z-image",
            inputs={"prompt": "a lighthouse"},
            owner=maker,
            correlation_id="",
            destination=Telegram(bot_id=bot_id, chat_id=1, message_id=0, language_code=""),
        )
        job = await create_job.create_job(self.service.deps, request)
        return job.id, await self._settle(job.id)

    async def _settle(self, job_id: UUID) -> UUID:
        """Give a job its picture, as the worker does."""
        deps, data = self.service.deps, picture()
        media = Media(uuid4(), "image/png", len(data), 8, 8, sha256(data).hexdigest())
        now, (account,) = datetime.now(UTC), deps.provider.accounts
        attempt = Attempt(uuid4(), job_id, 1, AttemptState.SUBMITTING, now, account)
        await put(deps.media.store, str(media.id), data)
        async with deps.database.transaction() as tx:
            job = await tx.jobs.lock(job_id)
            await tx.attempts.insert(attempt, token_hash=attempt.id.bytes)
            file = StoredFile(0, media, str(media.id))
            await tx.media.insert_media([file], attempt=attempt)
            await settle(tx, job, Result((media,)), event=JobEventKind.SETTLED)
        return media.id


@asynccontextmanager
async def caller_bench(
    database_url: str,
    media: Path,
    *,
    callers: CallerDirectory | None = None,
    webhook_hosts: Sequence[str] = (NOBODY_LISTENS,),
) -> AsyncIterator[CallerHarness]:
    async with AsyncExitStack() as stack:
        open_service = serving(
            database_url,
            media,
            callers=callers or directory(),
            webhook_hosts=webhook_hosts,
            more_settings=LINKED | SELLING,
        )
        service = await stack.enter_async_context(open_service)
        yield CallerHarness(service, stack, {})


async def outcome(call: Awaitable[Any]) -> str:
    try:
        with translated():
            await call
    except GenerationError as error:
        return OUTCOMES.get(error.reason, str(error))
    return "ok"


def picture() -> bytes:
    data = BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return data.getvalue()


async def _all(call: Any) -> list[Any]:
    return [message async for message in call]


def _create(subject: Subject) -> pb.CreateJobRequest:
    return pb.CreateJobRequest(
        model_id="z-image",
        inputs=struct({"prompt": "a lighthouse"}),
        owner=subject.owner,
        telegram=TelegramDestination(bot_id=subject.bot_id, chat_id=1),
    )


def _upload(subject: Subject) -> Iterator[pb.UploadInputRequest]:
    yield pb.UploadInputRequest(owner=subject.owner, data=picture())


SELLING = {"money": "test", "star_packs": "small=100:100"}
"""The settings of a service that sells."""
LINKED = {"media_base_url": "https://files.example", "media_link_key": "k" * 32}
"""The settings of a service that serves links."""

Call = Callable[[GenerationClient, Subject], Awaitable[Any]]
_callback, _delivery, _edge = callback_service_pb2, delivery_service_pb2, edge_service_pb2
_catalog, _webhook, _wallet = catalog_service_pb2, webhook_service_pb2, wallet_service_pb2

CALLS: dict[str, Call] = {
    "GenerationService/CreateJob": lambda c, s: c.generation.CreateJob(_create(s)),
    "GenerationService/GetJob": lambda c, s: c.generation.GetJob(pb.GetJobRequest(job_id=s.job_id)),
    "GenerationService/WaitJob": lambda c, s: c.generation.WaitJob(
        pb.WaitJobRequest(job_id=s.job_id)
    ),
    "GenerationService/StreamJobUpdates": lambda c, s: _all(
        c.generation.StreamJobUpdates(pb.StreamJobUpdatesRequest(job_id=s.job_id))
    ),
    "GenerationService/ListJobs": lambda c, s: c.generation.ListJobs(
        pb.ListJobsRequest(owner=s.owner)
    ),
    "GenerationService/CancelJob": lambda c, s: c.generation.CancelJob(
        pb.CancelJobRequest(job_id=s.job_id)
    ),
    "GenerationService/QuoteJob": lambda c, s: c.generation.QuoteJob(
        pb.QuoteJobRequest(
            model_id="z-image", inputs=struct({"prompt": "a lighthouse"}), owner=s.owner
        )
    ),
    "GenerationService/RecordConsent": lambda c, s: c.generation.RecordConsent(
        pb.RecordConsentRequest(
            owner=s.owner, kind=consent_pb2.CONSENT_KIND_VOICE, wording_version="1"
        )
    ),
    "GenerationService/ListConsents": lambda c, s: c.generation.ListConsents(
        pb.ListConsentsRequest(owner=s.owner)
    ),
    "GenerationService/WithdrawConsent": lambda c, s: c.generation.WithdrawConsent(
        pb.WithdrawConsentRequest(owner=s.owner, kind=consent_pb2.CONSENT_KIND_VOICE)
    ),
    "GenerationService/ListModels": lambda c, s: c.generation.ListModels(pb.ListModelsRequest()),
    "GenerationService/GetModel": lambda c, s: c.generation.GetModel(
        pb.GetModelRequest(model_id="z-image")
    ),
    "GenerationService/UploadInput": lambda c, s: c.generation.UploadInput(_upload(s)),
    "GenerationService/DownloadMedia": lambda c, s: _all(
        c.generation.DownloadMedia(pb.DownloadMediaRequest(media_id=s.media_id))
    ),
    "CallbackService/ReportCallback": lambda c, s: c.callback.ReportCallback(
        _callback.ReportCallbackRequest(body=b"{}")
    ),
    "DeliveryService/LeaseDeliveries": lambda c, s: c.delivery.LeaseDeliveries(
        _delivery.LeaseDeliveriesRequest(telegram_bot_id=s.bot_id)
    ),
    "DeliveryService/BeginDelivery": lambda c, s: c.delivery.BeginDelivery(
        _delivery.BeginDeliveryRequest(lease_token=s.lease_token)
    ),
    "DeliveryService/ReportDelivery": lambda c, s: c.delivery.ReportDelivery(
        _delivery.ReportDeliveryRequest(
            lease_token=s.lease_token, unknown=_delivery.ReportDeliveryRequest.Unknown()
        )
    ),
    "EdgeService/GetSession": lambda c, s: c.edge.GetSession(
        _edge.GetSessionRequest(bot_id=s.bot_id, key="chat:1")
    ),
    "EdgeService/PutSession": lambda c, s: c.edge.PutSession(
        _edge.PutSessionRequest(bot_id=s.bot_id, key=str(uuid4()), data=b"{}")
    ),
    "EdgeService/LeaseUpdates": lambda c, s: c.edge.LeaseUpdates(
        _edge.LeaseUpdatesRequest(bot_id=s.bot_id, holder="edge")
    ),
    "EdgeService/CreateUploadLink": lambda c, s: c.edge.CreateUploadLink(
        _edge.CreateUploadLinkRequest(owner=s.owner, draft="1")
    ),
    "EdgeService/GetUploadLink": lambda c, s: c.edge.GetUploadLink(
        _edge.GetUploadLinkRequest(link_token="none")
    ),
    "WebhookService/ListWebhooks": lambda c, s: c.webhook.ListWebhooks(
        _webhook.ListWebhooksRequest()
    ),
    "WebhookService/TestWebhook": lambda c, s: c.webhook.TestWebhook(
        _webhook.TestWebhookRequest(url=HOOK)
    ),
    "WebhookService/EnableWebhook": lambda c, s: c.webhook.EnableWebhook(
        _webhook.EnableWebhookRequest(url=HOOK)
    ),
    "CatalogService/ImportCatalog": lambda c, s: c.catalog.ImportCatalog(
        _catalog.ImportCatalogRequest()
    ),
    "CatalogService/GetModelDocument": lambda c, s: c.catalog.GetModelDocument(
        _catalog.GetModelDocumentRequest(model_id="z-image")
    ),
    "CatalogService/SetModelOverride": lambda c, s: c.catalog.SetModelOverride(
        _catalog.SetModelOverrideRequest(model_id="z-image")
    ),
    "CatalogService/SwitchModel": lambda c, s: c.catalog.SwitchModel(
        _catalog.SwitchModelRequest(model_id="z-image")
    ),
    "CatalogService/ListModelOverrides": lambda c, s: c.catalog.ListModelOverrides(
        _catalog.ListModelOverridesRequest()
    ),
    "WalletService/GetBalance": lambda c, s: c.wallet.GetBalance(
        _wallet.GetBalanceRequest(owner=s.owner)
    ),
    "WalletService/ListTransfers": lambda c, s: c.wallet.ListTransfers(
        _wallet.ListTransfersRequest(owner=s.owner)
    ),
    "WalletService/ListPacks": lambda c, s: c.wallet.ListPacks(_wallet.ListPacksRequest()),
    "WalletService/CheckTopUp": lambda c, s: c.wallet.CheckTopUp(
        _wallet.CheckTopUpRequest(
            owner=s.owner,
            pack_id="small",
            amount=100,
            currency="XTR",
            telegram_host="telegram.example",
        )
    ),
    "WalletService/RecordTopUp": lambda c, s: c.wallet.RecordTopUp(
        _wallet.RecordTopUpRequest(
            provider="card", external_id=str(uuid4()), owner=s.owner, credits=1, currency="EUR"
        )
    ),
    "WalletService/ListTopUps": lambda c, s: c.wallet.ListTopUps(
        _wallet.ListTopUpsRequest(owner=s.owner)
    ),
    "WalletService/RefundTopUp": lambda c, s: c.wallet.RefundTopUp(
        _wallet.RefundTopUpRequest(top_up_id=str(uuid4()), reason="a test")
    ),
    "WalletService/LeaseRefunds": lambda c, s: c.wallet.LeaseRefunds(
        _wallet.LeaseRefundsRequest(bot_id=s.bot_id)
    ),
    "WalletService/ReportRefund": lambda c, s: c.wallet.ReportRefund(
        _wallet.ReportRefundRequest(top_up_id=str(uuid4()), lease_token="none")
    ),
    "WalletService/ReportTold": lambda c, s: c.wallet.ReportTold(
        _wallet.ReportToldRequest(top_up_id=str(uuid4()))
    ),
    "WalletService/GetStarCursor": lambda c, s: c.wallet.GetStarCursor(
        _wallet.GetStarCursorRequest(bot_id=s.bot_id)
    ),
    "WalletService/ReportStarTransactions": lambda c, s: c.wallet.ReportStarTransactions(
        _wallet.ReportStarTransactionsRequest(bot_id=s.bot_id, telegram_host="telegram.example")
    ),
    "WalletService/ListStarDifferences": lambda c, s: c.wallet.ListStarDifferences(
        _wallet.ListStarDifferencesRequest()
    ),
    "WalletService/HealStars": lambda c, s: c.wallet.HealStars(
        _wallet.HealStarsRequest(reason="a test")
    ),
    "WalletService/SettleStarTransaction": lambda c, s: c.wallet.SettleStarTransaction(
        _wallet.SettleStarTransactionRequest(
            bot_id=s.bot_id, transaction_id="none", is_bot_owners=True, reason="a test"
        )
    ),
    "WalletService/GrantCredits": lambda c, s: c.wallet.GrantCredits(
        _wallet.GrantCreditsRequest(
            request_id=str(uuid4()), owner=s.owner, credits=1, reason="a test"
        )
    ),
    "WalletService/BlockOwner": lambda c, s: c.wallet.BlockOwner(
        _wallet.BlockOwnerRequest(owner=s.owner, reason="a test")
    ),
    "WalletService/SetMargin": lambda c, s: c.wallet.SetMargin(
        _wallet.SetMarginRequest(model_id="z-image", factor="1.5", reason="a test")
    ),
    "WalletService/ListMargins": lambda c, s: c.wallet.ListMargins(_wallet.ListMarginsRequest()),
    "WalletService/ImportBalances": lambda c, s: c.wallet.ImportBalances(
        _wallet.ImportBalancesRequest(
            batch_id=str(uuid4()),
            balances=[
                imported_balance_pb2.ImportedBalance(
                    source="old", user_id="7", amount="1", currency="RUB"
                )
            ],
            rate="1",
            reason="a test",
        )
    ),
    "WalletService/UndoImport": lambda c, s: c.wallet.UndoImport(
        _wallet.UndoImportRequest(batch_id=str(uuid4()), reason="a test")
    ),
    "WalletService/CheckLedger": lambda c, s: c.wallet.CheckLedger(_wallet.CheckLedgerRequest()),
    "WalletService/GetDailyReport": lambda c, s: c.wallet.GetDailyReport(
        _wallet.GetDailyReportRequest(first_day="2026-11-01", last_day="2026-11-02")
    ),
    "WalletService/GetStatement": lambda c, s: c.wallet.GetStatement(
        _wallet.GetStatementRequest(
            owner=s.owner, start_time=Timestamp(seconds=1), end_time=Timestamp(seconds=2)
        )
    ),
    "WalletService/GetReceipt": lambda c, s: c.wallet.GetReceipt(
        _wallet.GetReceiptRequest(top_up_id=str(uuid4()))
    ),
    "WalletService/GetSales": lambda c, s: c.wallet.GetSales(_wallet.GetSalesRequest()),
    "WalletService/SetSales": lambda c, s: c.wallet.SetSales(
        _wallet.SetSalesRequest(is_open=True, reason="a test")
    ),
}
"""Each RPC, asking for what a subject names."""
ABOUT_A_JOB = frozenset(
    {
        "GenerationService/GetJob",
        "GenerationService/WaitJob",
        "GenerationService/StreamJobUpdates",
        "GenerationService/CancelJob",
        "GenerationService/DownloadMedia",
        "DeliveryService/BeginDelivery",
        "DeliveryService/ReportDelivery",
    }
)
"""The RPCs that name a job, its picture or its delivery."""
ABOUT_A_WEBHOOK = frozenset({"WebhookService/EnableWebhook"})
"""The RPCs that name an address which was posted to."""
