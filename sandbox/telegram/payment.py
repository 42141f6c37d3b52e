"""A payment in Stars on its way: from the person's yes over the bot's to the charge."""

import secrets
import time
from dataclasses import dataclass

from sandbox.telegram import ledger
from sandbox.telegram.conversation import Conversation
from sandbox.telegram.error import query_too_old
from sandbox.telegram.model import Json
from sandbox.telegram.server import TelegramServer
from sandbox.telegram.star import CURRENCY, OPEN, Invoice, Payment, PaymentPlan, PaymentState

TIMES = {"once": 1, "twice": 2, "never": 0}
TOO_POOR = "BALANCE_TOO_LOW"
TOO_SLOW = "BOT_PRECHECKOUT_TIMEOUT"


@dataclass(frozen=True)
class Checkout:
    """One payment in the chat of the person who pays."""

    conversation: Conversation
    payment: Payment

    def think(self) -> None:
        """Let the person confirm, at once or after a while."""
        self._later(self.payment.plan.think_s, step="thinking")

    def approve(self) -> None:
        """Take the bot's yes; Telegram charges at once or after a while."""
        self._check_in_time()
        self._set("approved")
        self._later(self.payment.plan.settle_s, step="approved")

    def refuse(self, reason: str) -> None:
        """Take the bot's no and the reason that the person reads."""
        self._check_in_time()
        self._set("refused", error=reason)

    def notify(self) -> None:
        """Send the bot the message about the charge."""
        conversation = self.conversation
        message = conversation.chat.messages[self.payment.message_id or 0]
        conversation.server.inbox(conversation.bot).add("message", conversation.to_api(message))

    def refund(self, *, is_told: bool = True, returns_stars: bool = True) -> None:
        """Take the Stars back from the bot, with a message about it unless Telegram keeps quiet."""
        conversation, payment = self.conversation, self.payment
        payment.is_refunded = True
        if returns_stars:
            conversation.user.stars += payment.invoice.total_amount
        bot, user = conversation.bot, conversation.user
        ledger.book_payment(bot, payment, user=user, is_incoming=False)
        if is_told:
            message = conversation.post({"refunded_payment": payment.to_api()}, is_from_bot=False)
            shown = conversation.to_api(message)
            conversation.server.inbox(conversation.bot).add("message", shown)
        conversation.server.changed()

    def resume(self) -> None:
        """Go on after a restart of the sandbox, where the clock of a query went on."""
        seconds = 0.0
        if self.payment.ask_time is not None and self.payment.state == "asked":
            seconds = max(0.001, self.payment.ask_time + self._timeout - time.time())
        self._later(seconds, step=self.payment.state)

    @property
    def _timeout(self) -> float:
        own = self.payment.plan.answer_within_s
        return self.conversation.server.settings.checkout_timeout_s if own is None else own

    def _later(self, seconds: float, *, step: PaymentState) -> None:
        steps = {"thinking": self._ask, "asked": self._expire, "approved": self._charge}

        def take() -> None:
            if self.payment.state == step:
                steps[step]()

        self.conversation.server.later(seconds, take)

    def _ask(self) -> None:
        conversation, payment = self.conversation, self.payment
        payment.ask_time = time.time()
        self._set("asked")
        query: Json = {"id": payment.id, "from": conversation.user.to_api()}
        query |= payment.invoice.to_payment()
        for _ in range(TIMES[payment.plan.query]):
            conversation.server.inbox(conversation.bot).add("pre_checkout_query", query)
        self._later(self._timeout, step="asked")

    def _check_in_time(self) -> None:
        asked = self.payment.ask_time
        if self.payment.state == "asked" and asked and time.time() - asked > self._timeout:
            self._expire()
        if self.payment.state != "asked":
            raise query_too_old()

    def _expire(self) -> None:
        self._set("expired", error=TOO_SLOW)

    def _charge(self) -> None:
        conversation, payment = self.conversation, self.payment
        if payment.invoice.currency == CURRENCY:
            if conversation.user.stars < payment.invoice.total_amount:
                self._set("failed", error=TOO_POOR)
                return
            conversation.user.stars -= payment.invoice.total_amount
        payment.charge_id = ledger.new_transaction_id()
        payment.provider_charge_id = f"{payment.user_id}_{len(conversation.bot.star_transactions)}"
        self._book()
        self._set("paid")
        self.conversation.server.later(payment.plan.notice_after_s, self._notify_as_planned)

    def _book(self) -> None:
        conversation, payment = self.conversation, self.payment
        if payment.invoice.currency == CURRENCY:
            bot, user = conversation.bot, conversation.user
            ledger.book_payment(bot, payment, user=user, is_incoming=True)
        content = {"successful_payment": payment.to_api()}
        payment.message_id = conversation.post(content, is_from_bot=False).id

    def _notify_as_planned(self) -> None:
        for _ in range(TIMES[self.payment.plan.notice]):
            self.notify()

    def _set(self, state: PaymentState, *, error: str | None = None) -> None:
        self.payment.state, self.payment.error = state, error
        told = {"pre_checkout_query_id": self.payment.id, "state": state, "error": error}
        self.conversation.tell("payment", told)


def start_payment(conversation: Conversation, invoice: Invoice, *, plan: PaymentPlan) -> Payment:
    """Have a person open an invoice and pay it as planned."""
    payment = Payment(
        id=str(secrets.randbits(63)), user_id=conversation.user.id, invoice=invoice, plan=plan
    )
    conversation.bot.payments[payment.id] = payment
    Checkout(conversation, payment).think()
    return payment


def resume_payments(server: TelegramServer) -> None:
    """Go on with every payment that a stop of the sandbox has interrupted."""
    for bot in server.state.bots.values():
        for payment in bot.payments.values():
            if payment.state in OPEN:
                user = server.state.users[payment.user_id]
                Checkout(Conversation(server, bot, user), payment).resume()
