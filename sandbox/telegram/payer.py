"""What people do with invoices: they pay them, also those that were meant for somebody else."""

from typing import Self

from pydantic import ConfigDict, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.telegram.conversation import Conversation
from sandbox.telegram.method.payment import LINK
from sandbox.telegram.model import Json
from sandbox.telegram.payment import TOO_POOR, start_payment
from sandbox.telegram.place import bot_of, conversation_of, conversation_with
from sandbox.telegram.star import CURRENCY, Invoice, Payment, PaymentPlan


class Order(PaymentPlan):
    """Which invoice a person pays, and how; what is forged stands in for what the bot asked."""

    model_config = ConfigDict(extra="forbid")

    message_id: int | None = None
    """The message with the invoice."""
    from_chat: int | None = None
    """The chat that the message was forwarded from; by default the person's own."""
    link: str | None = None
    """What `createInvoiceLink` gave."""
    currency: str | None = None
    total_amount: int | None = None
    payload: str | None = None

    @model_validator(mode="after")
    def check_invoice(self) -> Self:
        """Refuse an order of no invoice, or of two."""
        if (self.message_id is None) == (self.link is None):
            raise ValueError("either message_id or link")
        return self

    def forged(self, invoice: Invoice) -> Invoice:
        """Return the invoice as the bot will see it paid."""
        names = {"currency", "total_amount", "payload"}
        return invoice.model_copy(update=self.model_dump(include=names, exclude_none=True))


async def pay(request: Request) -> Response:
    """Pay an invoice: the bot is asked, then the Stars move; how it stands is a payment's state."""
    payer = conversation_of(request)
    order = Order.model_validate_json(await request.body())
    invoice = order.forged(_invoice(request, order, payer=payer))
    if invoice.currency == CURRENCY and payer.user.stars < invoice.total_amount:
        raise HTTPException(409, TOO_POOR)
    plan = PaymentPlan(**order.model_dump(include=set(PaymentPlan.model_fields)))
    return JSONResponse(payment_to_json(start_payment(payer, invoice, plan=plan)))


def payment_to_json(payment: Payment) -> Json:
    """Return a payment as the sandbox's own API shows it."""
    return {"pre_checkout_query_id": payment.id, **payment.model_dump(exclude={"id"})}


def _invoice(request: Request, order: Order, *, payer: Conversation) -> Invoice:
    invoices = bot_of(request).invoices
    if order.link is not None:
        invoice = invoices.get(order.link.removeprefix(LINK))
        if invoice is None:
            raise HTTPException(404, "no invoice has this link")
        return invoice
    home = payer if order.from_chat is None else conversation_with(request, order.from_chat)
    message = home.find(order.message_id or 0, otherwise="no such message")
    if message.invoice_id is None:
        raise HTTPException(409, "the message has no invoice")
    invoice = invoices[message.invoice_id]
    if home.user.id != payer.user.id and invoice.start_parameter:
        raise HTTPException(409, "copies of this invoice lead to the bot and have no Pay button")
    return invoice


ROUTES = [Route("/sandbox/chats/{chat:int}/pay", pay, methods=["POST"])]
