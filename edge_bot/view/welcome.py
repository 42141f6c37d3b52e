"""The screens before there is a draft: welcome, models, help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.button import Home, PickKind, PickModel, ShowGroup
from edge_bot.view.catalog import Catalog, localised
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import (
    LABEL_LENGTH,
    TEXT_LENGTH,
    Button,
    Rows,
    Screen,
    paragraphs,
    shorten,
    usual_time,
)
from edge_bot.view.model_entry import price_text
from edge_bot.view.model_field import least_credits
from edge_bot.view.purpose import GROUPS, Purpose, group_label, group_of
from edge_bot.view.shelf import group_rows

KINDS = (pb.MODEL_KIND_TEXT_TO_IMAGE, pb.MODEL_KIND_IMAGE_TO_IMAGE, pb.MODEL_KIND_EDIT)
"""What one can want to do, in the order in which it is offered."""


def welcome_screen(language: str, *, catalog: Catalog) -> Screen:
    """Return the first screen: one choice, by what one wants to do."""
    speak = texts(language)
    if catalog.is_large:
        return _large_welcome(speak, catalog=catalog)
    text = speak.html(
        "<b>Hello! This is Atelier.</b>\n\n"
        "Describe a picture, and I will draw it. Send me a photo, and I will change it "
        "or draw it anew.\n\n"
        "What would you like to do?"
    )
    return Screen(text, kind_rows(speak, catalog=catalog))


def models_screen(language: str, *, catalog: Catalog) -> Screen:
    """Return all models with what they do, what they cost and how long they take."""
    speak = texts(language)
    if catalog.is_large:
        text = speak.html(
            "<b>Models</b>\n\nChoose what for, or write a name or a word: “kling”, “music”."
        )
        return Screen(text, group_rows(speak, catalog=catalog))
    entries = tuple(model_entries(speak, catalog.offered)) or (none_works(speak),)
    text = paragraphs(speak.html("<b>Models</b>"), *entries)
    return Screen(text, model_rows(catalog.offered, language))


def help_screen(language: str, *, catalog: Catalog, has_money: bool = False) -> Screen:
    """Return how to use the bot, and the commands about money where there is any."""
    speak = texts(language)
    help_ = _large_help(speak, catalog=catalog) if catalog.is_large else _help(speak, catalog)
    return Screen(paragraphs(help_.text, _money_help(speak) if has_money else ""), help_.keyboard)


def _money_help(speak: Texts) -> str:
    return speak.html(
        "Some models cost credits. You see the price before anything begins, and you pay nothing "
        "for what does not work out.\n\n"
        "/balance: your credits\n"
        "/topup: buy credits\n"
        "/receipts: your receipts\n"
        "/paysupport: questions about a payment\n"
        "/terms: the terms in five sentences"
    )


def _help(speak: Texts, catalog: Catalog) -> Screen:
    text = speak.html(
        "<b>How it works</b>\n\n"
        "• Write what you want to see, and I will offer to draw it.\n"
        "• Send a photo with a caption, and I will change it as the caption says.\n"
        "• Send a photo without one, and I will ask what to do with it.\n\n"
        "Before anything is drawn I show you what it will be, what it costs and how long it "
        "usually takes. The picture arrives here by itself.\n\n"
        "/models: all models\n"
        "/cancel: drop what we have begun\n"
        "/start: from the beginning"
    )
    return Screen(text, kind_rows(speak, catalog=catalog))


def _large_welcome(speak: Texts, *, catalog: Catalog) -> Screen:
    text = speak.html(
        "<b>Hello! This is Atelier.</b>\n\n"
        "I make pictures, videos, music and speech. Choose what for, or simply describe a picture, "
        "send a photo, or write the name of a model.\n\n"
        "What would you like to do?"
    )
    return Screen(text, group_rows(speak, catalog=catalog))


def _large_help(speak: Texts, *, catalog: Catalog) -> Screen:
    text = speak.html(
        "<b>How it works</b>\n\n"
        "• Choose what for, and then a model. I ask for what it needs, step by step.\n"
        "• Write the name of a model or a word, such as “kling” or “music”, to find models.\n"
        "• Write what you want to see, and I will offer to draw it.\n"
        "• Send a photo, and I will ask what to do with it.\n"
        "• Reply to a result, or choose “One of my results”, to go on with it.\n\n"
        "The result arrives here by itself.\n\n"
        "/models: all models\n"
        "/cancel: drop what we have begun\n"
        "/start: from the beginning"
    )
    return Screen(text, group_rows(speak, catalog=catalog))


def cleared_screen(language: str) -> Screen:
    """Return the answer to dropping a draft, whether there was one or not."""
    speak = texts(language)
    text = speak.html(
        "All clear. Send me a description or a photo whenever you like.\n\n"
        "A picture that is already being drawn has a Cancel button of its own."
    )
    return Screen(text, (home_row(speak),))


def clip_screen(language: str, *, catalog: Catalog, is_video: bool) -> Screen:
    """Return what can be done with a video or a recording that no form has asked for."""
    speak = texts(language)
    text = speak.html("I work on a recording once you have chosen what for. Then send it again.")
    begins = (Purpose.TEXT_TO_MUSIC, Purpose.TEXT_TO_SPEECH)
    if is_video:
        text = speak.html("I work on a video once you have chosen what for. Then send it again.")
        begins = (Purpose.VIDEO_EDIT, Purpose.IMAGE_TO_VIDEO)
    rows = tuple(
        (Button(group_label(speak, index), ShowGroup("", index)),)
        for index in map(group_of, begins)
        if any(map(catalog.of_purpose, GROUPS[index].purposes))
    )
    return Screen(text, (*rows, home_row(speak)))


def notice_screen(text: str, language: str) -> Screen:
    """Return a short word to the user, with a way to begin."""
    return Screen(text, (home_row(texts(language)),))


def kind_rows(
    speak: Texts, *, catalog: Catalog, draft: str = "", only_pictures: bool = False
) -> Rows:
    """Return a button for each thing that some model can do."""
    return tuple(
        (Button(kind_label(speak, kind), PickKind(draft, int(kind))),)
        for kind in KINDS
        if catalog.of_kind(kind) and not (only_pictures and kind == pb.MODEL_KIND_TEXT_TO_IMAGE)
    )


def model_rows(models: Iterable[pb.Model], language: str, *, draft: str = "") -> Rows:
    """Return a button for each model."""
    return tuple(
        (
            Button(
                shorten(localised(model.titles, language), LABEL_LENGTH), PickModel(draft, model.id)
            ),
        )
        for model in models
    )


def home_row(speak: Texts) -> tuple[Button, ...]:
    """Return the row with the button that starts over."""
    return (Button(speak.plain("🏠 Start over"), Home()),)


def kind_label(speak: Texts, kind: int) -> str:
    """Return what a kind of model does, as a button says it."""
    match kind:
        case pb.MODEL_KIND_IMAGE_TO_IMAGE:
            return speak.plain("🖌 Redraw my picture")
        case pb.MODEL_KIND_EDIT:
            return speak.plain("🪄 Change my picture")
        case _:
            return speak.plain("🎨 Create a picture")


def model_terms(speak: Texts, model: pb.Model) -> str:
    """Return what a model costs and how long it usually takes."""
    usual = usual_time(speak, model.usual_duration.ToTimedelta().total_seconds())
    price = speak.html("Price: free.") if model.pricing.is_free else _price(speak, model)
    return " ".join(part for part in (price, usual) if part)


def _price(speak: Texts, model: pb.Model) -> str:
    if least_credits(model) is None:
        return ""
    return speak.html("Price: {price}.", price=price_text(speak, model))


def none_works(speak: Texts) -> str:
    """Say that all models that could do it are switched off."""
    return speak.html(
        "None of the models for this is available right now. Please try again in a few minutes."
    )


def model_entries(speak: Texts, models: Iterable[pb.Model]) -> Iterator[str]:
    """Give a paragraph for each model, as many as fit into a message."""
    room = TEXT_LENGTH - 100
    for model in models:
        entry = _model_entry(speak, model)
        room -= len(entry) + 2
        if room < 0:
            return
        yield entry


def _model_entry(speak: Texts, model: pb.Model) -> str:
    title = escape(localised(model.titles, speak.language), quote=False)
    description = escape(localised(model.descriptions, speak.language), quote=False)
    return f"<b>{title}</b>\n{description}\n{model_terms(speak, model)}"
