"""The sandbox's own API for tests of money: payments, refunds, chargebacks, other transactions."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.telegram import ledger
from sandbox.telegram.conversation import Conversation
from sandbox.telegram.partner import Partner, WithdrawalState
from sandbox.telegram.payer import payment_to_json
from sandbox.telegram.payment import Checkout
from sandbox.telegram.place import bot_of, server_of
from sandbox.telegram.star import StarTransaction


class NewTransaction(BaseModel):
    """A transaction to be entered where its date puts it."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default_factory=ledger.new_transaction_id, min_length=1)
    amount: int = Field(ge=0)
    nanostar_amount: int = Field(default=0, ge=0, lt=ledger.NANO)
    date: int | None = None
    source: Partner | None = None
    receiver: Partner | None = None

    @model_validator(mode="after")
    def check_direction(self) -> Self:
        """Refuse a transaction that goes both ways, or neither."""
        if (self.source is None) == (self.receiver is None):
            raise ValueError("either source or receiver")
        return self

    def to_transaction(self) -> StarTransaction:
        """Return the transaction as the bot's ledger holds it."""
        values = self.model_dump(exclude_none=True, exclude={"source", "receiver"})
        partner = self.source or self.receiver
        assert partner, "one of them was checked to be there"
        shown = partner.model_dump(exclude_none=True)
        return StarTransaction(**values, is_incoming=self.source is not None, partner=shown)


class Withdrawal(BaseModel):
    """What became of a withdrawal."""

    model_config = ConfigDict(extra="forbid")

    withdrawal_state: WithdrawalState


class Reversal(BaseModel):
    """How a payment is taken back, and what of it the bot can see."""

    model_config = ConfigDict(extra="forbid")

    is_told: bool
    """Whether the bot gets a message with `refunded_payment`."""
    partner: Literal["user", "other"] = "user"
    """Who receives the Stars: the payer, under the payment's id; or nobody who is named."""


async def list_payments(request: Request) -> Response:
    """List every payment, oldest first."""
    payments = bot_of(request).payments.values()
    return JSONResponse({"payments": [payment_to_json(one) for one in payments]})


async def show_payment(request: Request) -> Response:
    """Show how a payment stands."""
    return JSONResponse(payment_to_json(_checkout(request).payment))


async def notify(request: Request) -> Response:
    """Send the bot the message about a charge, again or for the first time."""
    checkout = _charged(request)
    checkout.notify()
    return JSONResponse(payment_to_json(checkout.payment))


async def refund(request: Request) -> Response:
    """Have Telegram itself give a payment back, as its support does."""
    reversal = Reversal.model_validate_json(await request.body() or b'{"is_told": true}')
    checkout = _refundable(request)
    checkout.refund(is_told=reversal.is_told)
    return JSONResponse(payment_to_json(checkout.payment))


async def charge_back(request: Request) -> Response:
    """Have Telegram take a payment from the bot since the payer's bank took the money back."""
    reversal = Reversal.model_validate_json(await request.body() or b'{"is_told": false}')
    checkout = _refundable(request)
    if reversal.partner == "other":
        amount = checkout.payment.invoice.total_amount
        entry = {"amount": amount, "receiver": {"type": "other"}}
        ledger.book(bot_of(request), NewTransaction.model_validate(entry).to_transaction())
        server_of(request).changed()
    else:
        checkout.refund(is_told=reversal.is_told, returns_stars=False)
    return JSONResponse(payment_to_json(checkout.payment))


async def list_transactions(request: Request) -> Response:
    """List the bot's whole ledger, and its balance."""
    bot = bot_of(request)
    shown = [one.to_api() for one in bot.star_transactions]
    return JSONResponse({"balance": ledger.balance(bot), "transactions": shown})


async def add_transaction(request: Request) -> Response:
    """Enter a transaction with any partner."""
    transaction = NewTransaction.model_validate_json(await request.body()).to_transaction()
    ledger.book(bot_of(request), transaction)
    server_of(request).changed()
    return JSONResponse(transaction.to_api())


async def change_transaction(request: Request) -> Response:
    """Tell what became of a withdrawal; the transaction keeps its place."""
    state = Withdrawal.model_validate_json(await request.body()).withdrawal_state
    wanted = request.path_params["transaction"]
    for one in bot_of(request).star_transactions:
        if one.id == wanted and "withdrawal_state" in one.partner:
            one.partner["withdrawal_state"] = state.model_dump()
            server_of(request).changed()
            return JSONResponse(one.to_api())
    raise HTTPException(404, "no withdrawal has this id")


async def refuse(request: Request, error: Exception) -> Response:
    """Say what is wrong with a body."""
    assert isinstance(error, ValidationError)
    detail = error.errors(include_url=False, include_context=False)
    return JSONResponse({"detail": detail}, status_code=422)


def _checkout(request: Request) -> Checkout:
    bot, server = bot_of(request), server_of(request)
    payment = bot.payments.get(request.path_params["payment"])
    if payment is None:
        raise HTTPException(404, "no such payment")
    user = server.state.users[payment.user_id]
    return Checkout(Conversation(server, bot, user), payment)


def _charged(request: Request) -> Checkout:
    checkout = _checkout(request)
    if checkout.payment.state != "paid":
        raise HTTPException(409, f"the payment is {checkout.payment.state}")
    return checkout


def _refundable(request: Request) -> Checkout:
    checkout = _charged(request)
    if checkout.payment.is_refunded:
        raise HTTPException(409, "the payment is refunded")
    return checkout


ROUTES = [
    Route("/sandbox/payments", list_payments),
    Route("/sandbox/payments/{payment}", show_payment),
    Route("/sandbox/payments/{payment}/notice", notify, methods=["POST"]),
    Route("/sandbox/payments/{payment}/refund", refund, methods=["POST"]),
    Route("/sandbox/payments/{payment}/chargeback", charge_back, methods=["POST"]),
    Route("/sandbox/transactions", list_transactions, methods=["GET"]),
    Route("/sandbox/transactions", add_transaction, methods=["POST"]),
    Route("/sandbox/transactions/{transaction}", change_transaction, methods=["PATCH"]),
]
