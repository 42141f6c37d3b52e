"""The RPCs of `WalletService` by which an edge reports a bot's Star transactions."""

import json
from collections.abc import Mapping
from typing import Any

from atelier.wallet.v1 import star_transaction_pb2 as star_pb
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.star import (
    NANO,
    StarDifference,
    StarDirection,
    StarPartner,
    StarTransaction,
)
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.rpc.convert import time_to_proto
from generation_svc.usecase.money import read_stars

MAX_STAR_ID_LENGTH = 255
MAX_TYPE_LENGTH = 64
MAX_PAYLOAD_BYTES = 128
MAX_DOCUMENT_BYTES = 16 * 2**10
MAX_PROBLEM_LENGTH = 200
MAX_OFFSET = 2**31 - 1
_PARTNERS = {
    star_pb.STAR_PARTNER_UNSPECIFIED: StarPartner.UNKNOWN,
    star_pb.STAR_PARTNER_USER: StarPartner.USER,
    star_pb.STAR_PARTNER_CHAT: StarPartner.CHAT,
    star_pb.STAR_PARTNER_FRAGMENT: StarPartner.FRAGMENT,
    star_pb.STAR_PARTNER_TELEGRAM_ADS: StarPartner.TELEGRAM_ADS,
    star_pb.STAR_PARTNER_TELEGRAM_API: StarPartner.TELEGRAM_API,
    star_pb.STAR_PARTNER_AFFILIATE_PROGRAM: StarPartner.AFFILIATE_PROGRAM,
    star_pb.STAR_PARTNER_OTHER: StarPartner.OTHER,
}
_NUMBERS = {partner: number for number, partner in _PARTNERS.items()}


class StarServicer:
    """Answers the calls of `WalletService` that are about Telegram's list of Stars."""

    _deps: Dependencies

    async def GetStarCursor(
        self, request: pb.GetStarCursorRequest, context: ServicerContext
    ) -> pb.GetStarCursorResponse:
        """Say from which offset on to read."""
        bounds = Bounds()
        bot_id = bounds.bot("bot_id", request.bot_id)
        bounds.check()
        offset = await read_stars.star_cursor(self._deps, current_caller(), bot_id=bot_id)
        return pb.GetStarCursorResponse(offset=offset)

    async def ReportStarTransactions(
        self, request: pb.ReportStarTransactionsRequest, context: ServicerContext
    ) -> pb.ReportStarTransactionsResponse:
        """Compare a page with the ledger."""
        page = _page_from_proto(request)
        taken = await read_stars.report_stars(self._deps, current_caller(), page=page)
        return pb.ReportStarTransactionsResponse(
            next_offset=taken.next_offset,
            differences=[difference_to_proto(each) for each in taken.differences],
        )


def difference_to_proto(difference: StarDifference) -> star_pb.StarDifference:
    """Write what differs."""
    return star_pb.StarDifference(
        transaction=_to_proto(difference.transaction),
        problem=difference.problem[:MAX_PROBLEM_LENGTH],
        is_healed=difference.is_healed,
        bot_id=difference.transaction.bot_id,
    )


def _to_proto(told: StarTransaction) -> star_pb.StarTransaction:
    return star_pb.StarTransaction(
        id=told.id,
        is_incoming=told.is_in,
        amount=told.amount,
        nanostar_amount=told.nano,
        time=time_to_proto(told.time),
        partner=_NUMBERS[told.partner],
        user_id=told.user_id or 0,
        transaction_type=told.transaction_type,
        invoice_payload=told.payload,
        document_json=json.dumps(dict(told.document), ensure_ascii=False) if told.document else "",
    )


def _page_from_proto(request: pb.ReportStarTransactionsRequest) -> read_stars.StarPage:
    bounds = Bounds()
    bot_id = bounds.bot("bot_id", request.bot_id)
    host = bounds.telegram_host(request.telegram_host)
    offset = bounds.count("offset", request.offset)
    if offset > MAX_OFFSET and request.transactions:
        bounds.refuse("offset", "Nothing is listed there.")
    if len(request.transactions) > read_stars.PAGE:
        bounds.refuse("transactions", f"Must be at most {read_stars.PAGE}.")
        bounds.check()
    transactions = [
        _from_proto(bounds, f"transactions[{n}]", told=each, bot_id=bot_id)
        for n, each in enumerate(request.transactions)
    ]
    bounds.check()
    return read_stars.StarPage(bot_id, host, offset, transactions, heal=request.heal)


def _from_proto(
    bounds: Bounds, place: str, *, told: star_pb.StarTransaction, bot_id: int
) -> StarTransaction:
    user_id = bounds.count(f"{place}.user_id", told.user_id)
    kind = bounds.text(f"{place}.transaction_type", told.transaction_type, most=MAX_TYPE_LENGTH)
    nano = bounds.number(f"{place}.nanostar_amount", told.nanostar_amount, least=0, most=NANO - 1)
    payload = bounds.text(f"{place}.invoice_payload", told.invoice_payload)
    bounds.data(f"{place}.invoice_payload", payload.encode(), most=MAX_PAYLOAD_BYTES)
    return StarTransaction(
        bot_id=bot_id,
        id=bounds.text(f"{place}.id", told.id, most=MAX_STAR_ID_LENGTH, is_required=True),
        direction=StarDirection.IN if told.is_incoming else StarDirection.OUT,
        amount=bounds.count(f"{place}.amount", told.amount),
        nano=nano,
        time=bounds.moment(f"{place}.time", told.time),
        partner=_PARTNERS.get(told.partner, StarPartner.UNKNOWN),
        user_id=user_id or None,
        transaction_type=kind,
        payload=payload,
        document=_document(bounds, f"{place}.document_json", text=told.document_json),
    )


def _document(bounds: Bounds, field: str, *, text: str) -> Mapping[str, Any]:
    bounds.data(field, text.encode(), most=MAX_DOCUMENT_BYTES)
    try:
        document = json.loads(text or "{}")
        # What JSON may say and a database cannot keep: half a surrogate, no number, U+0000.
        written = json.dumps(document, ensure_ascii=False, allow_nan=False)
        is_kept = bool(written.encode()) and "\\u0000" not in written
    except (ValueError, RecursionError):
        document, is_kept = None, False
    if not is_kept or not isinstance(document, dict):
        bounds.refuse(field, "Must be a JSON object.")
        return {}
    return document
