"""Short notices about money: why a payment is refused, why nothing begins."""

from __future__ import annotations

import re

from edge_bot.view.credit_text import credits_text
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import lines, span
from generation_client import GenerationError

_PAYMENT = re.compile(
    r"\b(paid|pay|payment|receipt|credits?|top[- ]?up|refund)\b"
    r"|оплат|оплач|заплат|плат[её]ж|квитанц|\bчек|пополн|кредит|зачисл",
    re.IGNORECASE,
)
"""Words of a caption by which a picture may be meant as the proof of a payment."""

_QUESTION = re.compile(
    r"(?:(?:hi|hello|hey|please|здравствуйте|привет|добрый день|добрый вечер)\b[\s,.!]*)?(?:"
    r"(?:so |but )?where(?: are|['’]?s| is) my (?:credits?|payment|top[- ]?up)\b.{0,60}"
    r"|i(?:['’]ve| have)?(?: just| already)? paid\b(?: for (?:my |the )?credits)?"
    r"(?:[\s,.!?]*|[\s,.!?]+(?:(?:but|and) )?(?:where|nothing|no credits|got no|still)\b.{0,60})"
    r"|(?:my |the )?(?:credits?|payment|top[- ]?up) "
    r"(?:did|has|have|was|were|is|are)(?: not|n['’]t) "
    r"(?:yet )?(?:come|arrived?|credited|here|there|gone through|go through)\b.{0,40}"
    r"|(?:а |и )?где(?: же)? (?:мои|моё|мое|мой) (?:кредиты|пополнение|плат[её]ж)\b.{0,60}"
    r"|(?:я )?(?:уже |только что )?(?:оплатил|заплатил|пополнил)а?\b(?: баланс| кредиты)?"
    r"(?:[\s,.!?]*|[\s,.!?]+(?:(?:а|но|и) )?"
    r"(?:где|кредит\w*|ничего|вс[её] ещ[её]|не приш\w+)\b.{0,60})"
    r"|(?:мои )?(?:кредиты|оплата|плат[её]ж|пополнение) (?:(?:вс[её] )?ещ[её] )?(?:так и )?"
    r"не (?:приш|дош|прош|поступ|зачисл|начисл)\w+.{0,40}"
    r")",
    re.IGNORECASE,
)
"""A whole text by which somebody who paid asks where it is: no sentence that could be drawn."""


def offer_gone(language: str) -> str:
    """Say that an invoice is no longer valid."""
    return texts(language).plain("This offer is no longer valid. Please take a new one: /topup")


def offer_of_another(language: str) -> str:
    """Say that an invoice is somebody else's."""
    return texts(language).plain(
        "This invoice is for somebody else. You can get your own here: /topup"
    )


def checkout_refusal(reason: str, language: str) -> str:
    """Say why a payment must not be made, as plain text."""
    speak = texts(language)
    match reason:
        case "TOP_UP_INVALID":
            return offer_gone(language)
        case "OWNER_BLOCKED":
            return speak.plain("Your account is blocked. Questions: /paysupport")
        case "SALES_CLOSED" | "MONEY_OFF":
            return speak.plain("No credits are sold at the moment. Nothing was paid.")
        case "DAILY_CAP_REACHED":
            # It may be lifted long before midnight: as soon as Telegram's list confirms the others.
            return speak.plain(
                "No more payments are taken at the moment. Nothing was paid; please try again in "
                "an hour."
            )
        case "MONEY_MODE_MISMATCH":
            return speak.plain("This bot is not set up for this kind of payment. Nothing was paid.")
        case _:
            return speak.plain(
                "I could not check this just now. Nothing was paid; please try again in a minute."
            )


def nothing_sold(language: str) -> str:
    """Return that there is no money here."""
    return texts(language).html("⚠️ Nothing is sold here.")


def not_begun(language: str) -> str:
    """Say that nothing has begun, over a review that tells what is missing."""
    return texts(language).html("<b>Not begun yet: there are not enough credits.</b>")


def price_asked_again(why: str, language: str) -> str:
    """Ask for a confirmation of another price, on the review that shows it."""
    again = texts(language).html("Press again if that is all right.")
    return f"{why} {again}"


def price_to_be_seen(why: str, language: str) -> str:
    """Say where another price is shown in full: a result repeats nothing at a price not agreed."""
    look = texts(language).html("Press “Change” to see the details.")
    return f"{why} {look}"


def is_about_payment(caption: str) -> bool:
    """Tell whether the caption of a picture seems to say that it proves a payment."""
    return _PAYMENT.search(caption) is not None


def asks_for_payment(text: str) -> bool:
    """Tell whether a text is nothing but a question where a payment is."""
    return _QUESTION.fullmatch(text.strip()) is not None


def by_itself(language: str) -> str:
    """Say where a payment is seen, and who helps."""
    return texts(language).html(
        "ℹ️ If this is about a payment: /balance shows your credits, and /receipts what has "
        "arrived. If something is missing: /paysupport"
    )


def not_by_picture(language: str) -> str:
    """Say that no picture is a payment, and who does help."""
    return texts(language).html(
        "ℹ️ If this is about a payment: Telegram itself tells me of every payment, so a picture of "
        "one changes nothing, and there is no need to send it. See /balance; questions: /paysupport"
    )


def money_refusal(error: GenerationError, speak: Texts) -> str:
    """Say as HTML why nothing begins; empty for a reason that is not about money."""
    match error.reason:
        case "INSUFFICIENT_CREDITS":
            return _missing(error, speak)
        case "PRICE_CHANGED":
            return speak.html(
                "⚠️ The price has changed: it was {agreed}, and now it is {price}.",
                agreed=speak.number(_amount(error, "agreed")),
                price=credits_text(_amount(error, "price"), speak),
            )
        case "OWNER_BLOCKED":
            return speak.html(
                "⛔️ Your account is blocked, so I cannot begin. Questions: /paysupport"
            )
        case "SALES_CLOSED":
            return speak.html(
                "⚠️ Nothing is sold at the moment. Free models work; "
                "for the others please come back later."
            )
        case "FREE_ALLOWANCE_USED" | "DAILY_CAP_REACHED":
            return " ".join(filter(None, (_limit(error, speak), _return(error, speak))))
        case _:
            return _trouble(error.reason, speak)


def _missing(error: GenerationError, speak: Texts) -> str:
    return speak.html(
        "⚠️ Not enough credits. Price: {price}, balance: {balance}, missing: {missing}.",
        price=speak.number(_amount(error, "price")),
        balance=speak.number(_amount(error, "balance")),
        missing=speak.number(_amount(error, "missing")),
    )


def _amount(error: GenerationError, name: str) -> int:
    """Return how many credits a refusal tells under a name."""
    return int(error.metadata.get(name, "0"))


def _limit(error: GenerationError, speak: Texts) -> str:
    if error.reason == "FREE_ALLOWANCE_USED":
        return speak.html("⚠️ You have used up your free requests for today.")
    if error.metadata.get("cap") == "free":
        return speak.html("⚠️ The free requests are used up for today, for everybody.")
    return speak.html("⚠️ This bot has reached its limit for today.")


def _return(error: GenerationError, speak: Texts) -> str:
    if error.retry_after_s is None:
        return ""
    return speak.html("Please try again in {time}.", time=wait_text(error.retry_after_s, speak))


def wait_text(seconds: float, speak: Texts) -> str:
    """Return a wait in words: hours from two on, else as other spans."""
    hours = round(seconds / 3600)
    if hours < 2:
        return span(speak, seconds)
    return speak.count("{n} hour", "{n} hours", hours)


def _trouble(reason: str, speak: Texts) -> str:
    match reason:
        case "PROVIDER_BALANCE_LOW":
            return lines(
                speak.html("⚠️ I cannot begin this one right now, and the operator knows why."),
                speak.html("Nothing was charged. Please try again later, or choose another model."),
            )
        case "MONEY_MODE_MISMATCH":
            return lines(
                speak.html("⚠️ This bot is not fully set up yet: the operator has to fix that."),
                speak.html("Nothing was charged. Free models work."),
            )
        case "MONEY_OFF":
            return nothing_sold(speak.language)
        case _:
            return ""
