"""The parts that the screens of drafts and of forms share."""

from __future__ import annotations

from html import escape

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.conversation.session import Draft
from edge_bot.view.button import Discard
from edge_bot.view.catalog import localised
from edge_bot.view.language import Texts
from edge_bot.view.layout import Button


def prompt_examples(model: pb.Model | None, language: str) -> tuple[str, ...]:
    """Return the prompts that show what a model can do."""
    if model is None or not model.prompt_examples:
        return ()
    return tuple(localised(model.prompt_examples, language).prompts)


def discard_button(speak: Texts, draft: Draft) -> Button:
    """Return the button that drops a draft."""
    return Button(speak.plain("✖️ Cancel"), Discard(draft.tag))


def safe(text: str) -> str:
    """Return a text as HTML."""
    return escape(text, quote=False)
