"""Finds a model in the chat: on the shelf of its purpose, or by its name."""

from __future__ import annotations

from atelier.generation.v1 import model_pb2
from edge_bot.view.language import texts
from edge_bot.view.purpose import Purpose, group_label, group_of, purpose_label
from generation_svc.domain.model import Model
from tests.e2e.every_model.chat import Chat
from tests.e2e.every_model.screen import Screen

MOST_PAGES = 12
_WARNINGS = " 🐢⚠️"
"""What stands behind the title of a model that is not doing well."""


async def find_by_name(chat: Chat, model: Model, *, language: str) -> Screen:
    """Write the name of a model and press it; return what the bot asks first."""
    title = str(getattr(model.title, language))
    found = await chat.say(title)
    assert _titled(found, title), f"{title} is not found by its name: {found}"
    return await chat.press(found, _titled(found, title))


async def find_on_shelf(chat: Chat, model: Model, *, language: str) -> Screen:
    """Go through the purposes to a model and press it; return what the bot asks first."""
    speak, title = texts(language), str(getattr(model.title, language))
    purpose = _purpose_of(model)
    screen = await chat.say("/models")
    screen = await chat.press(screen, group_label(speak, group_of(purpose)))
    if screen.data_of(label := purpose_label(speak, purpose)):
        screen = await chat.press(screen, label)
    if not _titled(screen, title):
        everything = speak.plain("All models: {n}", n="")
        labels = screen.labels_from(everything)
        assert labels, f"{title} is not offered: {screen}"
        screen = await chat.press(screen, labels[0])
        screen = await _leafed_to(chat, screen, title=title, tier=model.tier)
    return await chat.press(screen, _titled(screen, title))


async def _leafed_to(chat: Chat, screen: Screen, *, title: str, tier: str) -> Screen:
    """Turn the pages of a shelf, and look into its families, until a title is there."""
    for _ in range(MOST_PAGES):
        if _titled(screen, title):
            return screen
        if folder := _folder_of(screen, title=title, tier=tier):
            return await _in_folder(chat, await chat.press(screen, folder), title=title)
        assert screen.data_of("▶"), f"{title} is not on its shelf: {screen}"
        screen = await chat.press(screen, "▶")
    raise AssertionError(f"{title} is not on its shelf")


async def _in_folder(chat: Chat, screen: Screen, *, title: str) -> Screen:
    for _ in range(MOST_PAGES):
        if _titled(screen, title) or not screen.data_of("▶"):
            break
        screen = await chat.press(screen, "▶")
    assert _titled(screen, title), f"{title} is not in its family: {screen}"
    return screen


def _titled(screen: Screen, title: str) -> str:
    """Return the label of the button with a title, whatever mark stands before it."""
    return next((label for label, _ in screen.buttons if _is_titled(label, title)), "")


def _is_titled(label: str, title: str) -> bool:
    bare = label.rstrip(_WARNINGS)
    return title in (bare, bare.partition(" ")[2])


def _folder_of(screen: Screen, *, title: str, tier: str) -> str:
    """Return the label of the family that a model is in: one that tells of it, or is called so."""
    folders = {label.removeprefix("📁 ").rpartition(" (")[0]: label for label in _folders(screen)}
    named = [name for name in folders if title.startswith(name)]
    told = [name for name in folders if _tells(screen, name, title, tier)]
    both = [name for name in named if name in told]
    return next((folders[name] for name in [*both, *told, *named]), "")


def _folders(screen: Screen) -> list[str]:
    return screen.labels_from("📁 ")


def _tells(screen: Screen, name: str, title: str, tier: str) -> bool:
    """Return whether the line under the name of a family has a model."""
    named = [index for index, line in enumerate(screen.lines) if line.partition(" · ")[0] == name]
    if not named:
        return False
    below = screen.lines[named[0] + 1].split(", ")
    return title in below or (bool(tier) and tier in below and _is_kin(name, title))


def _is_kin(name: str, title: str) -> bool:
    """Return whether two names begin with the same letters: families share words for tiers."""
    return name[:3].casefold() == title[:3].casefold()


def _purpose_of(model: Model) -> Purpose:
    name = str(model.purpose).replace("-", "_").upper()
    found = model_pb2.ModelPurpose.Value(f"MODEL_PURPOSE_{name}")
    return Purpose(found)
