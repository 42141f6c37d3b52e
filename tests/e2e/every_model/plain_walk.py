"""Asks a free model for a picture in the chat: it needs a picture, a prompt and a few choices.

What else it takes is set in the form behind this dialogue.
"""

from __future__ import annotations

from edge_bot.view.language import Texts, texts
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject
from tests.e2e.every_model.chat import Chat
from tests.e2e.every_model.form_reader import FormReader
from tests.e2e.every_model.form_walk import Things
from tests.e2e.every_model.screen import Screen


def askable(model: Model, inputs: JsonObject) -> JsonObject:
    """Return what the chat gives a free model: the choices that it shows always have a value."""
    given = {name: value for name, value in inputs.items() if name not in model.operator_fields}
    shown = model.offered_options
    return given | {each.field: inputs.get(each.field, each.default) for each in shown}


def has_more(model: Model, wanted: JsonObject) -> bool:
    """Return whether something is wanted that the dialogue does not ask for."""
    media = {each.name for each in model.media_inputs if each.at_least}
    asked = {"prompt", *media, *(each.field for each in model.offered_options)}
    return bool(wanted.keys() - asked)


async def opened_form(chat: Chat, summary: Screen, *, speak: Texts) -> Screen:
    """Turn the dialogue into a form of all its settings; return the summary of that."""
    everything = await chat.press(summary, speak.plain("⚙️ All settings"))
    return await chat.press(everything, speak.plain("← Back"))


async def ask_plainly(
    chat: Chat,
    screen: Screen,
    *,
    model: Model,
    wanted: JsonObject,
    reader: FormReader,
    things: Things,
) -> Screen:
    """Give what is asked for and choose what is wanted; return the confirmation."""
    for one in model.media_inputs:
        if one.name in wanted:
            value = wanted[one.name]
            text = value[0] if isinstance(value, list) else value
            screen = await chat.give(*things.file(str(text)))
    screen = await chat.say(str(wanted["prompt"]))
    for option in model.offered_options:
        label = reader.choice(option.field, wanted[option.field])
        if f"{reader.label(option.field)}: {label}" not in screen.lines:
            screen = await _chosen(chat, screen, field=option.field, label=label, reader=reader)
    return screen


async def _chosen(
    chat: Chat, screen: Screen, *, field: str, label: str, reader: FormReader
) -> Screen:
    screen = await chat.press(screen, texts(reader.speak.language).plain("⚙️ Options"))
    if labels := screen.labels_from(f"{reader.label(field)}: "):
        screen = await chat.press(screen, labels[0])
    return await chat.press(screen, label)
