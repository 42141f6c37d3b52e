"""Invoices, checkouts, refunds and the bot's Stars."""

import secrets

from sandbox.telegram import ledger
from sandbox.telegram.call import Call, Method
from sandbox.telegram.conversation import Conversation
from sandbox.telegram.error import bad_request, query_too_old
from sandbox.telegram.invoice import read_invoice
from sandbox.telegram.limit import TRANSACTION_LIMIT
from sandbox.telegram.markup import read_invoice_markup
from sandbox.telegram.method.send import send
from sandbox.telegram.model import Json, User
from sandbox.telegram.payment import Checkout
from sandbox.telegram.star import Invoice

LINK = "https://t.me/$"


async def send_invoice(call: Call) -> Json:
    """Send an invoice with its Pay button."""
    invoice = read_invoice(call.params)
    content = {"invoice": invoice.to_api()}
    content |= read_invoice_markup(call.params, stars=invoice.total_amount)
    conversation = call.conversation()
    return send(call, conversation, content, invoice_id=_keep(call, invoice))


async def create_invoice_link(call: Call) -> str:
    """Return a link by which anybody may pay, as often as they like."""
    invoice = read_invoice(call.params)
    return LINK + _keep(call, invoice)


async def answer_pre_checkout_query(call: Call) -> bool:
    """Let a payment go on, or refuse it with a reason; after ten seconds it is too late."""
    payment = call.bot.payments.get(call.params.required("pre_checkout_query_id"))
    is_ok = call.params.flag("ok")
    reason = "" if is_ok else call.params.required("error_message")
    if payment is None:
        raise query_too_old()
    user = call.server.state.users[payment.user_id]
    checkout = Checkout(Conversation(call.server, call.bot, user), payment)
    if is_ok:
        checkout.approve()
    else:
        checkout.refuse(reason)
    return True


async def refund_star_payment(call: Call) -> bool:
    """Give a payment back in whole, once."""
    user = _payer(call)
    charge_id = call.params.text("telegram_payment_charge_id")
    if not charge_id:
        raise bad_request("CHARGE_ID_EMPTY")
    payment = call.bot.payment_by_charge(charge_id)
    if payment is None:
        raise bad_request("CHARGE_NOT_FOUND")
    if payment.user_id != user.id:
        raise bad_request("USER_ID_INVALID")
    if payment.is_refunded:
        raise bad_request("CHARGE_ALREADY_REFUNDED")
    Checkout(Conversation(call.server, call.bot, user), payment).refund()
    return True


async def get_star_transactions(call: Call) -> Json:
    """Return a page of the transactions, oldest first; a limit out of range is brought into it."""
    offset = max(0, call.params.integer("offset"))
    limit = call.params.integer("limit", TRANSACTION_LIMIT)
    limit = min(max(1, limit), TRANSACTION_LIMIT)
    page = call.bot.star_transactions[offset : offset + limit]
    return {"transactions": [one.to_api() for one in page]}


async def get_my_star_balance(call: Call) -> Json:
    """Return the Stars of the bot; a chargeback can make them negative."""
    return ledger.balance(call.bot)


def _keep(call: Call, invoice: Invoice) -> str:
    key = secrets.token_urlsafe(16)
    call.bot.invoices[key] = invoice
    call.server.changed()
    return key


def _payer(call: Call) -> User:
    number = call.params.integer("user_id")
    if number <= 0:
        raise bad_request("invalid user_id specified")
    user = call.server.state.users.get(number)
    if user is None:
        raise bad_request("user not found")
    return user


METHODS: dict[str, Method] = {
    "sendInvoice": send_invoice,
    "createInvoiceLink": create_invoice_link,
    "answerPreCheckoutQuery": answer_pre_checkout_query,
    "refundStarPayment": refund_star_payment,
    "getStarTransactions": get_star_transactions,
    "getMyStarBalance": get_my_star_balance,
}
