"""Says what a generation costs and how its model is doing, and asks for consent."""

from __future__ import annotations

from html import escape

from atelier.generation.v1 import generation_service_pb2, model_pb2
from atelier.generation.v1.consent_pb2 import CONSENT_KIND_FACE
from atelier.generation.v1.job_pb2 import Price
from edge_bot.view.credit_text import credits_text
from edge_bot.view.language import Texts
from edge_bot.view.layout import lines, paragraphs, shorten, usual_time

CONSENT_WORDING = "2026-11"
"""The version of the words in which people are asked for their consent; change both together."""


PARTS = 4
"""How many parts of a price are told."""
PART_LENGTH = 120
"""How much of each."""


def quote_text(quote: generation_service_pb2.QuoteJobResponse, speak: Texts) -> str:
    """Return the price, what it is made of, and the usual time if it is known."""
    parts = [escape(shorten(each, PART_LENGTH), quote=False) for each in quote.lines[:PARTS]]
    usual = usual_time(speak, quote.usual_duration.ToTimedelta().total_seconds())
    return lines(f"<b>{_price(quote.price, speak)}</b>", *parts, usual)


def state_text(model: model_pb2.Model, speak: Texts) -> str:
    """Return a warning about a model that is slow or fails; empty if it does neither."""
    match model.state:
        case model_pb2.MODEL_STATE_SLOW:
            return speak.html("🐢 This model is slower than usual at the moment.")
        case model_pb2.MODEL_STATE_FAILING:
            return speak.html(
                "⚠️ This model fails often at the moment. Another one may be the better choice."
            )
        case _:
            return ""


def consent_text(kind: int, speak: Texts) -> str:
    """Return what a model that copies a voice or a face asks of people, in plain words."""
    honest = speak.html("Do not pass the result off as real.")
    once = speak.html("I will not ask this again.")
    if kind == CONSENT_KIND_FACE:
        return paragraphs(
            speak.html("<b>This model copies a person’s face.</b>"),
            speak.html("Use only your own face, or that of someone who has agreed to it."),
            lines(honest, once),
        )
    return paragraphs(
        speak.html("<b>This model copies a person’s voice.</b>"),
        speak.html("Use only your own voice, or that of someone who has agreed to it."),
        lines(honest, once),
    )


def _price(price: Price, speak: Texts) -> str:
    if price.is_free:
        return speak.plain("Free")
    number = int(price.credits or 0)
    if price.is_ceiling:
        return speak.count("At most {n} credit", "At most {n} credits", number)
    return credits_text(number, speak)
