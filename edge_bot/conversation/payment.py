"""Has the service credit what a user paid; doing it again credits nothing twice.

A payment that cannot be recorded now is tried until it can. One that the service does not take,
such as Stars of a test server in a live ledger, is told to the user and left to the comparison
with Telegram's own list.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict

import grpc
import structlog

from atelier.wallet.v1 import top_up_pb2
from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import TopUp
from atelier.wallet.v1.wallet_pb2 import Wallet
from edge_bot.conversation.context import EdgeContext
from edge_bot.conversation.event import Credited, Event, Paid, Returned, Uncredited
from edge_bot.pack.payload import read_payload
from generation_client import GenerationError, translated

PROVIDER = "telegram_stars"
"""How the service calls payments in Stars."""

RETRY_S = 5.0
"""When a payment is recorded again after an error that nobody expected, in seconds."""

LONGEST_WAIT_S = 60.0
"""How long a user waits without a word until a payment is credited, in seconds."""

_FINAL = frozenset(
    {
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""The refusals that trying again does not change."""

_logger = structlog.get_logger(__name__)


class _To(TypedDict):
    """Whom an event is about, and where."""

    chat_id: int
    user_id: int
    language: str


async def record_payment(context: EdgeContext, paid: Paid) -> Event:
    """Have a payment credited, and return what came of it; raises GenerationError."""
    payload = read_payload(paid.payload)
    if payload is None:
        return _uncredited(context, paid, reason="foreign payload")
    request = _request(context, paid, pack_id=payload.pack_id)
    try:
        with translated():
            answer = await context.client.wallet.RecordTopUp(request)
    except GenerationError as error:
        if not _is_final(error):
            raise replace(error, retry_after_s=error.retry_after_s or RETRY_S) from error
        return _uncredited(context, paid, reason=error.reason or error.code.name)
    return _credited(answer.top_up, answer.wallet, to=_to(paid))


async def untold_event(
    context: EdgeContext, top_up: TopUp, *, user_id: int, language: str
) -> Credited | Returned:
    """Return what Telegram's list alone told of a payment; raises GenerationError."""
    to = _To(chat_id=user_id, user_id=user_id, language=language)
    if top_up.state == top_up_pb2.TOP_UP_STATE_CHARGED_BACK:
        return Returned(
            **to,
            origin=Returned.name(top_up.external_id),
            charge_id=top_up.external_id,
            amount=top_up.amount,
            is_taken=True,
        )
    with translated():
        request = pb.GetBalanceRequest(owner=top_up.owner)
        wallet = (await context.client.wallet.GetBalance(request)).wallet
    return _credited(top_up, wallet, to=to)


def _request(context: EdgeContext, paid: Paid, *, pack_id: str) -> pb.RecordTopUpRequest:
    return pb.RecordTopUpRequest(
        provider=PROVIDER,
        external_id=paid.charge_id,
        owner=f"telegram:{paid.user_id}",
        pack_id=pack_id,
        amount=paid.amount,
        currency=paid.currency,
        telegram_host=context.seller.telegram_host,
        bot_id=context.bot_id,
    )


def _is_final(error: GenerationError) -> bool:
    """Tell whether the user should be told now: it does not pass, or not soon."""
    wait_s = error.retry_after_s
    if error.code not in _FINAL:
        return wait_s is not None and wait_s > LONGEST_WAIT_S
    return wait_s is None or wait_s > LONGEST_WAIT_S


def _credited(top_up: TopUp, wallet: Wallet, *, to: _To) -> Credited:
    return Credited(
        **to,
        origin=Credited.name(top_up.external_id),
        top_up_id=top_up.id,
        receipt_number=top_up.receipt_number,
        credits=top_up.credits,
        balance=wallet.balance,
        debt=wallet.debt,
    )


def _uncredited(context: EdgeContext, paid: Paid, *, reason: str) -> Uncredited:
    _logger.error("a payment was not credited", reason=reason, charge_id=paid.charge_id)
    # Telegram's list tells the service of the payment, whatever this update said.
    context.star_news.set()
    return Uncredited(**_to(paid), origin=paid.origin, charge_id=paid.charge_id)


def _to(paid: Paid) -> _To:
    return _To(chat_id=paid.chat_id, user_id=paid.user_id, language=paid.language)
