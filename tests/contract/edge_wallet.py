"""A stand-in for the service's wallets, as strict as the comments of the contract."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc

from atelier.wallet.v1 import star_transaction_pb2 as star_pb
from atelier.wallet.v1 import top_up_pb2, transfer_pb2
from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import LeasedRefund, Pack, TopUp
from atelier.wallet.v1.transfer_pb2 import Transfer
from atelier.wallet.v1.wallet_pb2 import Wallet
from atelier.wallet.v1.wallet_service_pb2_grpc import WalletServiceServicer
from tests.contract.stand_in import Refusal, refuse

FAILED = grpc.StatusCode.FAILED_PRECONDITION
HOST = "127.0.0.1"
PACKS = (
    Pack(id="small", credits=100, stars=50),
    Pack(id="large", credits=1000, stars=450),
)


@dataclass
class Lease:
    """A refund that an edge has taken."""

    top_up_id: str
    token: str


async def _unused(desk: Any, request: Any, context: Any) -> Any:
    raise AssertionError("this is none of an edge's calls")


@dataclass
class WalletDesk(WalletServiceServicer):
    """Keeps balances and top-ups."""

    is_off: bool = False
    is_open: bool = True
    packs: Sequence[Pack] = PACKS
    host: str = HOST
    seller_text: str = ""
    is_live: bool = False
    balances: dict[str, int] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    """What else wallets have."""
    top_ups: list[TopUp] = field(default_factory=list)
    transfers: list[tuple[str, Transfer]] = field(default_factory=list)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """How calls are refused, by method."""
    hangs: set[str] = field(default_factory=set)
    """Methods that never answer."""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    stars: dict[str, star_pb.StarTransaction] = field(default_factory=dict)
    offset: int = 0
    is_stuck: bool = False
    """Whether the cursor stays where it is."""
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    untold: set[str] = field(default_factory=set)
    """The ids of top-ups that only Telegram's list told of."""
    reads_stars: bool = False
    """Whether an operator ordered the Stars to be read."""

    RefundTopUp = _unused
    ListStarDifferences = _unused
    HealStars = _unused
    SettleStarTransaction = _unused
    GrantCredits = _unused
    BlockOwner = _unused
    SetMargin = _unused
    ListMargins = _unused
    ImportBalances = _unused
    UndoImport = _unused
    CheckLedger = _unused
    GetDailyReport = _unused
    GetSales = _unused
    SetSales = _unused

    def asked(self, method: str) -> list[Any]:
        return [request for name, request in self.calls if name == method]

    def refuse_with(self, method: str, reason: str, code: grpc.StatusCode = FAILED) -> None:
        self.refusals[method] = Refusal(code, reason)

    def pay(self, owner: str, *, charge_id: str) -> None:
        """Have the small pack bought."""
        request = pb.RecordTopUpRequest(provider="telegram_stars", owner=owner, amount=50)
        request.external_id, request.pack_id, request.currency = charge_id, "small", "XTR"
        self._credit(request)

    def refund(self, external_id: str) -> None:
        """Have a payment returned, as RefundTopUp does."""
        top_up = self._paid(external_id)
        assert top_up is not None
        top_up.state = top_up_pb2.TOP_UP_STATE_REFUNDING
        self.balances[top_up.owner] -= top_up.credits

    def expire_leases(self) -> None:
        self.leases.clear()

    async def GetBalance(self, request: Any, context: Any) -> Any:
        await self._begin("GetBalance", request, context)
        return pb.GetBalanceResponse(wallet=self._wallet(request.owner))

    async def ListTransfers(self, request: Any, context: Any) -> Any:
        await self._begin("ListTransfers", request, context)
        own = [each for owner, each in self.transfers[::-1] if owner == request.owner]
        page, token = _page(own, request)
        return pb.ListTransfersResponse(transfers=page, next_page_token=token)

    async def ListPacks(self, request: Any, context: Any) -> Any:
        await self._begin("ListPacks", request, context)
        return pb.ListPacksResponse(
            packs=self.packs,
            is_open=self.is_open,
            seller_text=self.seller_text,
            is_live=self.is_live,
        )

    async def CheckTopUp(self, request: Any, context: Any) -> Any:
        await self._begin("CheckTopUp", request, context)
        await self._check_pack(request, context)
        if not self.is_open:
            await refuse(context, FAILED, "SALES_CLOSED")
        if self.fields.get("is_blocked"):
            await refuse(context, FAILED, "OWNER_BLOCKED")
        return pb.CheckTopUpResponse()

    async def RecordTopUp(self, request: Any, context: Any) -> Any:
        await self._begin("RecordTopUp", request, context)
        await self._check_pack(request, context)
        paid = self._paid(request.external_id)
        if paid is not None and (paid.owner, paid.amount) != (request.owner, request.amount):
            await refuse(context, grpc.StatusCode.ALREADY_EXISTS, "TOP_UP_REUSED")
        if paid is None:
            self._credit(request)
        top_up = self._paid(request.external_id)
        wallet = self._wallet(request.owner)
        return pb.RecordTopUpResponse(top_up=top_up, is_new=paid is None, wallet=wallet)

    async def ListTopUps(self, request: Any, context: Any) -> Any:
        await self._begin("ListTopUps", request, context)
        own = [each for each in self.top_ups[::-1] if each.owner == request.owner]
        page, token = _page(own, request)
        return pb.ListTopUpsResponse(top_ups=page, next_page_token=token)

    async def LeaseRefunds(self, request: Any, context: Any) -> Any:
        await self._begin("LeaseRefunds", request, context)
        taken = {each.top_up_id for each in self.leases}
        due = [
            each
            for each in self.top_ups
            if each.state == top_up_pb2.TOP_UP_STATE_REFUNDING
            and each.id not in taken
            and each.bot_id == request.bot_id
        ]
        return pb.LeaseRefundsResponse(
            refunds=[self._lease(each) for each in due[: request.max_count or 1]],
            reads_stars=self.reads_stars,
            untold_top_ups=[each for each in self.top_ups if each.id in self.untold][
                : request.max_untold_count
            ],
        )

    async def ReportRefund(self, request: Any, context: Any) -> Any:
        await self._begin("ReportRefund", request, context)
        lease = Lease(request.top_up_id, request.lease_token)
        if lease not in self.leases:
            await refuse(context, FAILED, "LEASE_LOST")
        self.leases.remove(lease)
        top_up = next(each for each in self.top_ups if each.id == request.top_up_id)
        if not request.error:
            top_up.state = top_up_pb2.TOP_UP_STATE_REFUNDED
            top_up.refund_time.GetCurrentTime()
        return pb.ReportRefundResponse(top_up=top_up)

    async def ReportTold(self, request: Any, context: Any) -> Any:
        await self._begin("ReportTold", request, context)
        top_up = next(each for each in self.top_ups if each.id == request.top_up_id)
        if top_up.state == request.state:
            self.untold.discard(top_up.id)
        return pb.ReportToldResponse()

    async def GetStarCursor(self, request: Any, context: Any) -> Any:
        await self._begin("GetStarCursor", request, context)
        return pb.GetStarCursorResponse(offset=self.offset)

    async def ReportStarTransactions(self, request: Any, context: Any) -> Any:
        await self._begin("ReportStarTransactions", request, context)
        assert len(request.transactions) <= 100
        for each in request.transactions:
            assert len(each.document_json.encode()) <= 16 * 2**10
            self.stars[f"{each.id} {each.is_incoming}"] = each
        if not self.is_stuck:
            self.offset = max(self.offset, request.offset + len(request.transactions))
        return pb.ReportStarTransactionsResponse(next_offset=self.offset)

    async def GetStatement(self, request: Any, context: Any) -> Any:
        await self._begin("GetStatement", request, context)
        days = request.end_time.ToDatetime() - request.start_time.ToDatetime()
        assert 0 < days.days <= 366
        return pb.GetStatementResponse(
            data=b"time,amount\n", mime_type="text/csv", file_name="statement.csv"
        )

    async def GetReceipt(self, request: Any, context: Any) -> Any:
        await self._begin("GetReceipt", request, context)
        top_up = next(each for each in self.top_ups if each.id == request.top_up_id)
        return pb.GetReceiptResponse(
            data=b"%PDF-1.3 a receipt",
            mime_type="application/pdf",
            file_name=f"receipt-{top_up.receipt_number}.pdf",
        )

    async def _begin(self, method: str, request: Any, context: Any) -> None:
        self.calls.append((method, request))
        if method in self.hangs:
            await asyncio.Event().wait()
        if self.is_off:
            await refuse(context, FAILED, "MONEY_OFF")
        if method in self.refusals:
            await self.refusals[method].given(context)

    async def _check_pack(self, request: Any, context: Any) -> None:
        pack = next((each for each in self.packs if each.id == request.pack_id), None)
        if request.telegram_host != self.host:
            await refuse(context, FAILED, "MONEY_MODE_MISMATCH")
        if pack is None or (request.amount, request.currency) != (pack.stars, "XTR"):
            await refuse(context, FAILED, "TOP_UP_INVALID")

    def _credit(self, request: pb.RecordTopUpRequest) -> None:
        pack = next(each for each in self.packs if each.id == request.pack_id)
        number = next(self.numbers)
        top_up = TopUp(
            id=f"01990000-0000-7000-8000-{number:012}",
            owner=request.owner,
            provider=request.provider,
            external_id=request.external_id,
            pack_id=request.pack_id,
            credits=pack.credits,
            amount=request.amount,
            currency=request.currency,
            state=top_up_pb2.TOP_UP_STATE_CREDITED,
            bot_id=request.bot_id,
        )
        top_up.create_time.FromDatetime(datetime(2026, 11, 29, 14, 3, tzinfo=UTC))
        self.top_ups.append(top_up)
        self.balances[request.owner] = self.balances.get(request.owner, 0) + pack.credits
        self.move(pack.credits, kind=transfer_pb2.TRANSFER_KIND_TOP_UP, owner=request.owner)

    def move(self, amount: int, *, kind: int, owner: str, **fields: Any) -> None:
        """Add a line to the history."""
        transfer = Transfer(id=len(self.transfers) + 1, amount=amount, **fields)
        transfer.kind = kind  # type: ignore[assignment]
        transfer.balance_after = self.balances.get(owner, 0)
        transfer.create_time.FromDatetime(datetime(2026, 11, 29, 14, 3, tzinfo=UTC))
        self.transfers.append((owner, transfer))

    def _paid(self, external_id: str) -> TopUp | None:
        return next((each for each in self.top_ups if each.external_id == external_id), None)

    def _wallet(self, owner: str) -> Wallet:
        return Wallet(owner=owner, balance=self.balances.get(owner, 0), **self.fields)

    def _lease(self, top_up: TopUp) -> LeasedRefund:
        lease = Lease(top_up.id, f"refund-{next(self.numbers)}")
        self.leases.append(lease)
        user_id = int(top_up.owner.rpartition(":")[2])
        return LeasedRefund(top_up=top_up, lease_token=lease.token, user_id=user_id)


def _page(entries: Sequence[Any], request: Any) -> tuple[Sequence[Any], str]:
    start, size = int(request.page_token or 0), min(request.page_size or 20, 100)
    end = start + size
    return entries[start:end], str(end) if end < len(entries) else ""
