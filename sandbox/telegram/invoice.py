"""Invoices in Stars, checked as Telegram checks them."""

import re
from typing import Any

from sandbox.telegram.error import ApiError, bad_request
from sandbox.telegram.limit import (
    CURRENCY_AMOUNT,
    INVOICE_DESCRIPTION_LENGTH,
    INVOICE_PAYLOAD_BYTES,
    INVOICE_STARS,
    INVOICE_TITLE_LENGTH,
)
from sandbox.telegram.param import Params
from sandbox.telegram.star import CURRENCY, Invoice

NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)


def read_invoice(params: Params) -> Invoice:
    """Return the invoice of a call, or raise what is wrong with it.

    What Telegram's client library refuses comes first, then what its servers do.
    """
    required = ("title", "description", "payload", "currency")
    texts = {name: params.required(name) for name in required}
    prices = _prices(params)
    invoice = Invoice(
        **texts, total_amount=_total(prices), start_parameter=params.text("start_parameter")
    )
    _check(invoice)
    if invoice.currency != CURRENCY:
        raise bad_request("PAYMENT_PROVIDER_INVALID")
    _check_stars(invoice, params, prices=prices)
    return invoice


def _prices(params: Params) -> list[int]:
    if not params.text("prices"):
        raise bad_request('parameter "prices" is required')
    prices = params.parsed("prices", what="prices")
    if not isinstance(prices, list):
        raise bad_request("expected an Array of labeled prices")
    if not prices:
        raise bad_request("there must be at least one price")
    return [_price(price) for price in prices]


def _price(price: Any) -> int:
    if not isinstance(price, dict):
        raise _price_error("expected an Object")
    for field in ("label", "amount"):
        if field not in price:
            raise _price_error(f'Can\'t find field "{field}"')
    if not isinstance(price["label"], str):
        raise _price_error('Field "label" must be of type String')
    if not price["label"]:
        raise _price_error("LabeledPrice label must be non-empty")
    return _amount(price["amount"])


def _amount(amount: Any) -> int:
    if isinstance(amount, bool) or not isinstance(amount, (int, float, str)):
        raise _price_error('Field "amount" must be of type Number or String')
    if not NUMBER.fullmatch(str(amount)):
        raise _price_error('Can\'t parse "amount" as Number')
    return int(amount)


def _price_error(reason: str) -> ApiError:
    return bad_request(f"can't parse labeled price: {reason}")


def _total(prices: list[int]) -> int:
    if any(abs(price) > CURRENCY_AMOUNT for price in prices):
        raise bad_request("too big amount of the currency specified")
    total = sum(prices)
    if total <= 0:
        raise bad_request("total price must be positive")
    if total > CURRENCY_AMOUNT:
        raise bad_request("total price is too big")
    return total


def _check(invoice: Invoice) -> None:
    if len(invoice.title) > INVOICE_TITLE_LENGTH:
        raise bad_request("BOT_INVOICE_INVALID")
    if len(invoice.description) > INVOICE_DESCRIPTION_LENGTH:
        raise bad_request("BOT_INVOICE_INVALID")
    if len(invoice.payload.encode()) > INVOICE_PAYLOAD_BYTES:
        raise bad_request("INVOICE_PAYLOAD_INVALID")


def _check_stars(invoice: Invoice, params: Params, *, prices: list[int]) -> None:
    """Check what holds for Stars alone; names and addresses asked for are ignored there."""
    has_tips = params.integer("max_tip_amount") or params.objects("suggested_tip_amounts")
    if params.text("provider_token") or len(prices) != 1 or has_tips:
        raise bad_request("STARS_INVOICE_INVALID")
    if invoice.total_amount > INVOICE_STARS:
        raise bad_request("CURRENCY_TOTAL_AMOUNT_INVALID")
    if params.text("subscription_period"):
        raise bad_request("the sandbox sells no subscriptions")
