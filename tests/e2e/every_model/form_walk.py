"""Fills in the form of a model in the chat, as it is shown, until it can be created.

What is asked is answered, then what is not asked is looked for among the settings. An answer that
another one does not allow yet is tried again after the others.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from generation_svc.catalog.keyword import InputValidator
from generation_svc.domain.media_input import MediaInput
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject
from tests.e2e.every_model.chat import Chat
from tests.e2e.every_model.form_reader import FormReader, path_of, value_at
from tests.e2e.every_model.screen import Screen

MOST_STEPS = 150
"""After how many screens a form goes round in circles."""
MOST_PAGES = 8
MOST_TIMES = 3
"""How often an answer is given that other answers take back."""


class Things(Protocol):
    """What a person can give that is no word."""

    def file(self, text: str) -> tuple[str, bytes]:
        """Return the name and the bytes of the file that an input text stands for."""

    def refer(self, screen: Screen, text: str) -> Awaitable[Screen]:
        """Name the earlier result that an input text stands for."""


@dataclass
class FormWalk:
    """One person who gives a model these inputs."""

    chat: Chat
    model: Model
    wanted: JsonObject
    reader: FormReader
    things: Things

    def __post_init__(self) -> None:
        self._given: dict[str, int] = {}
        """How often each place was answered."""
        self._later: set[str] = set()
        """The places that took no answer while the others were as they are."""
        self._sent: dict[str, int] = {}
        """How many files a place has got."""
        self._surplus: set[str] = set()
        """The places that were asked for only because something else was not given yet."""

    async def to_the_end(self, screen: Screen) -> Screen:
        """Answer everything; return the summary."""
        for _ in range(MOST_STEPS):
            if not self._is_summary(screen):
                screen = await self._answered(screen)
            elif place := self._next_open(screen) or self._unwanted(screen):
                screen = await self._opened(screen, place)
            else:
                assert not self._later, f"the form takes no answer for {sorted(self._later)}"
                return screen
        raise AssertionError(f"the form goes round in circles: {screen}")

    def _plain(self, message: str) -> str:
        return self.reader.speak.plain(message)

    def _is_summary(self, screen: Screen) -> bool:
        return self._bold("<b>Ready to create?</b>") in screen.bold

    def _bold(self, message: str) -> str:
        """Return the words of a message that is in bold."""
        return self._plain(message).partition("</b>")[0].removeprefix("<b>")

    def _next_open(self, summary: Screen) -> str:
        """Return an input that is not given, or that was taken back."""
        for place, value in self.wanted.items():
            if place in self._later:
                continue
            is_told = self.reader.is_told(summary, place, value)
            if is_told and (place in self._given or self._is_reference(place)):
                continue
            assert self._given.get(place, 0) < MOST_TIMES, f"{place} is taken back: {summary}"
            return place
        return ""

    def _unwanted(self, summary: Screen) -> str:
        """Return a place that was answered without need, unless other answers took it back."""
        return next(
            (each for each in self._surplus if self.reader.is_told(summary, each, None)), ""
        )

    def _is_reference(self, place: str) -> bool:
        return any(each.name == place for each in self.model.reference_inputs)

    async def _opened(self, summary: Screen, place: str) -> Screen:
        """Have the form ask for a place."""
        self._forget(place)
        head = f"{self.reader.label(place)}: "
        if labels := summary.labels_from(head):
            return await self.chat.press(summary, labels[0])
        screen = await self.chat.press(summary, self._plain("⚙️ All settings"))
        for _ in range(MOST_PAGES):
            if labels := screen.labels_from(head):
                return await self.chat.press(screen, labels[0])
            if not screen.data_of("▶"):
                break
            screen = await self.chat.press(screen, "▶")
        self._later.add(place)
        return await self.chat.press(screen, self._plain("← Back"))

    def _forget(self, place: str) -> None:
        """Have what was given in a place count no longer: other answers took all of it back."""
        inner = tuple(each for each in self._given if each.startswith(f"{place}["))
        for each in inner:
            del self._given[each]
        self._sent = {each: n for each, n in self._sent.items() if each not in (place, *inner)}

    async def _answered(self, screen: Screen) -> Screen:
        begin = self._bold("<b>What do you begin with?</b>\n\nAt least one of these is needed.")
        agree = self._plain("✓ I agree")
        if begin in screen.bold:
            return await self._begun(screen)
        if screen.data_of(agree):
            return await self.chat.press(screen, agree)
        place = self.reader.place(screen)
        assert place, f"nobody knows what this asks: {screen}"
        if self.reader.is_list(place):
            return await self._listed(screen, place)
        return await self._placed(screen, place)

    async def _begun(self, screen: Screen) -> Screen:
        """Choose a way to go: one of several branches, or of several fields."""
        for name in self.wanted:
            label = self.reader.label(name)
            if name not in self._given and not self._branches(screen) and screen.data_of(label):
                return await self.chat.press(screen, label)
        branches = self._branches(screen)
        fitting = [InputValidator(branch).is_valid(self.wanted) for branch in branches]
        assert any(fitting), f"no way leads to {sorted(self.wanted)}: {screen}"
        return await self.chat.press(screen, screen.buttons[fitting.index(True)][0])

    def _branches(self, screen: Screen) -> list[Any]:
        """Return the branches of the model if a screen offers these."""
        told = self._plain("<b>What do you begin with?</b>\n\nAt least one of these is needed.")
        is_either = told.partition("\n\n")[2] in screen.text
        return [] if is_either else [*self.model.input_schema.get("oneOf", ())]

    async def _listed(self, screen: Screen, place: str) -> Screen:
        """Go on with a list: complete its last item, add another one, or end it."""
        items: Any = self.wanted[place]
        count = self.reader.item_count(screen, place)
        last = f"{place}[{count - 1}]"
        for name in items[count - 1]:
            inner = f"{last}.{name}"
            if inner in self._given:
                continue
            labels = screen.labels_from(f"{self.reader.label(inner)}: ")
            assert labels, f"{inner} is not offered: {screen}"
            return await self.chat.press(screen, labels[0])
        if count < len(items):
            return await self.chat.press(screen, self._plain("➕ Add another"))
        self._note(place)
        return await self._done(screen)

    async def _placed(self, screen: Screen, place: str) -> Screen:
        """Answer one question; put it off if the answer is not taken."""
        value = value_at(self.wanted, place)
        if value is None:
            return await self._besides(screen, place)
        special = self.model.special_input(path_of(place))
        if isinstance(special, MediaInput):
            return await self._filed(screen, place, value)
        self._note(place)
        if special is not None:
            return await self.things.refer(screen, value)
        after = await self._told(screen, place, value)
        is_refused = after.is_refusal and self.reader.place(after) == place
        return await self._put_off(after, place) if is_refused else after

    async def _besides(self, screen: Screen, place: str) -> Screen:
        """Choose anything where nothing is wanted, and leave it out once that is possible."""
        leave = self._plain("🗑 Leave out")
        if place in self._surplus and screen.data_of(leave):
            return await self.chat.press(screen, leave)
        choice = screen.buttons[0][0]
        assert self.reader.is_choice(place, choice), f"{place} is asked without need: {screen}"
        self._surplus.add(place)
        return await self.chat.press(screen, choice)

    async def _put_off(self, screen: Screen, place: str) -> Screen:
        back = self._plain("← Back")
        is_over = not screen.data_of(back) or "." in place
        assert not is_over, f"{place} is refused: {screen}"
        self._later.add(place)
        self._given.pop(place, None)
        return await self.chat.press(screen, back)

    async def _told(self, screen: Screen, place: str, value: Any) -> Screen:
        """Answer by the button of a value if there is one, else in words."""
        label = self._label(place, value)
        if label and screen.data_of(label):
            return await self.chat.press(screen, label)
        return await self.chat.say(label or _spelled(value))

    def _label(self, place: str, value: Any) -> str:
        if choice := self.reader.choice(place, value):
            return choice
        if isinstance(value, bool):
            return self._plain("Yes") if value else self._plain("No")
        return "" if isinstance(value, list) else _spelled(value)

    async def _filed(self, screen: Screen, place: str, value: Any) -> Screen:
        """Send the next file of a place, or end its list."""
        texts = value if isinstance(value, list) else [value]
        number = self._sent.get(place, 0)
        if number == len(texts):
            return await self._done(screen)
        self._sent[place] = number + 1
        if number + 1 == len(texts):
            self._note(place)
        return await self.chat.give(*self.things.file(texts[number]))

    async def _done(self, screen: Screen) -> Screen:
        return await self.chat.press(screen, self._plain("✓ Done"))

    def _note(self, place: str) -> None:
        self._given[place] = self._given.get(place, 0) + 1
        self._later.clear()


def _spelled(value: Any) -> str:
    """Return a value as people write it."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
