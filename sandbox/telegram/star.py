"""What the sandbox remembers of Telegram Stars: invoices, payments, transactions."""

import time
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

CURRENCY = "XTR"
PaymentState: TypeAlias = Literal[
    "thinking", "asked", "approved", "paid", "refused", "expired", "failed"
]
"""`thinking`: the person reads the form; `asked`: the bot has ten seconds; `approved`: Telegram
moves the Stars; the rest is final."""

OPEN: set[PaymentState] = {"thinking", "asked", "approved"}
Delivery: TypeAlias = Literal["once", "twice", "never"]
"""How often the bot gets an update."""


class Invoice(BaseModel):
    """What a bot asks to be paid for; the payload is for its eyes only."""

    title: str
    description: str
    payload: str
    currency: str
    total_amount: int
    start_parameter: str = ""

    def to_api(self) -> dict[str, Any]:
        """Return the invoice as `invoice` shows it."""
        return self.model_dump(exclude={"payload"})

    def to_payment(self) -> dict[str, Any]:
        """Return what a checkout, a payment and a refund have in common."""
        shown = self.model_dump(include={"currency", "total_amount"})
        return shown | {"invoice_payload": self.payload}


class PaymentPlan(BaseModel):
    """How a payment goes: how slowly, and what of it the bot is told."""

    model_config = ConfigDict(extra="forbid")

    think_s: float = Field(default=0, ge=0)
    """How long the person reads the form before they confirm."""
    query: Delivery = "once"
    """How often the bot gets the `pre_checkout_query`."""
    answer_within_s: float | None = Field(default=None, ge=0)
    """How long this once Telegram waits for the bot; by default as long as it always does."""
    settle_s: float = Field(default=0, ge=0)
    """How long Telegram takes for the charge after the bot has said yes."""
    notice: Delivery = "once"
    """How often the bot gets the message with `successful_payment`."""
    notice_after_s: float = Field(default=0, ge=0)
    """How long that message stays on the way."""


class Payment(BaseModel):
    """A person's attempt to pay an invoice; its id is that of the `pre_checkout_query`."""

    id: str
    user_id: int
    invoice: Invoice
    plan: PaymentPlan = PaymentPlan()
    state: PaymentState = "thinking"
    ask_time: float | None = None
    error: str | None = None
    charge_id: str | None = None
    provider_charge_id: str | None = None
    message_id: int | None = None
    """The service message about the payment."""

    is_refunded: bool = False

    def to_api(self) -> dict[str, Any]:
        """Return what `successful_payment` and `refunded_payment` show."""
        charges = {
            "telegram_payment_charge_id": self.charge_id,
            "provider_payment_charge_id": self.provider_charge_id,
        }
        return self.invoice.to_payment() | charges


class StarTransaction(BaseModel):
    """A movement of Stars into the bot's balance or out of it."""

    id: str
    amount: int
    nanostar_amount: int = 0
    date: int = Field(default_factory=lambda: int(time.time()))
    is_incoming: bool
    partner: dict[str, Any]

    def to_api(self) -> dict[str, Any]:
        """Return the transaction as the Bot API shows it."""
        shown: dict[str, Any] = {"id": self.id, "amount": self.amount}
        if self.nanostar_amount:
            shown["nanostar_amount"] = self.nanostar_amount
        side = "source" if self.is_incoming else "receiver"
        return shown | {"date": self.date, side: self.partner}
