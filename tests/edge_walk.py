"""A user who fills in the form of any model by what its screens offer."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from atelier.generation.v1.model_pb2 import Model as MessageOfModel
from edge_bot.conversation.draft import with_choice
from edge_bot.conversation.draft_screen import draft_screen
from edge_bot.conversation.form import with_another
from edge_bot.conversation.form_answer import with_form_media, with_form_text
from edge_bot.conversation.form_place import known_values
from edge_bot.conversation.form_screen import choice_page_screen, settings_screen
from edge_bot.conversation.place import value_at
from edge_bot.conversation.question import Question, QuestionKind, question_of
from edge_bot.conversation.session import Draft
from edge_bot.view.button import (
    Action,
    AddItem,
    AskField,
    FinishList,
    PickBranch,
    SetOption,
    ShowChoicePage,
    ShowSettings,
)
from edge_bot.view.button_data import encode
from edge_bot.view.catalog import Catalog
from edge_bot.view.input_form import Field, FieldKind, InputForm, form_of
from edge_bot.view.layout import Screen
from generation_svc.catalog.example import field_value
from generation_svc.catalog.keyword import InputValidator
from generation_svc.domain.model import Model
from generation_svc.rpc.convert_model import model_to_proto

DRAFT_ID = "01990000-0000-7000-8000-00000000000a"
MOST_STEPS = 400
RAW = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+")


@dataclass
class Walk:
    """One filling in of a form with the answers of an example."""

    model: Model
    answers: dict[str, Any]
    language: str = "en"
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    screens: list[Screen] = field(default_factory=list)

    def __post_init__(self) -> None:
        told = model_to_proto(self.model).SerializeToString()
        self.message = MessageOfModel.FromString(told)  # over the wire maps lose their order
        self.catalog = Catalog((self.message,))
        self.form: InputForm = form_of(self.message)
        self.draft = Draft(id=DRAFT_ID, model_id=self.model.id)

    def inputs(self) -> dict[str, Any]:
        """Answer whatever is asked until all that the example has is given; return the inputs."""
        for _ in range(MOST_STEPS):
            question = question_of(self.draft, self.form)
            if question.kind is QuestionKind.REVIEW:
                more = next(self._more(), "")
                if not more:
                    self._look()
                    return self.draft.inputs
                self._press(AskField(self.draft.tag, more))
            else:
                self._answer(question)
        raise AssertionError(f"{self.model.id}: no end at {question_of(self.draft, self.form)}")

    def raw_names(self) -> set[str]:
        """Return the names and values of inputs that some screen showed as they are."""
        names = {part for path in self.form.fields for part in re.findall(r"\w+", path)}
        names |= {str(each.value) for one in self.form.fields.values() for each in one.choices}
        told = {
            label
            for one in self.form.fields.values()
            for each in one.choices
            for label in each.labels.values()
        }
        shown = [screen.text for screen in self.screens]
        shown += [each.label for one in self.screens for row in one.keyboard for each in row]
        words = {word for text in shown for word in RAW.findall(text)}
        return (words & names) - {word for label in told for word in RAW.findall(label)}

    def _more(self) -> Iterator[str]:
        rules = self.form.rules(self.draft.inputs, self.draft.branch)
        for name in self.answers:
            is_open = name not in self.draft.inputs and name in self.form.fields
            if is_open and self.form.ruled(name, rules) is not None and name not in self._refused:
                self._refused.add(name)
                yield name

    _refused: set[str] = field(default_factory=set)

    def _answer(self, question: Question) -> None:
        match question.kind:
            case QuestionKind.BRANCH:
                self._press(PickBranch(self.draft.tag, self._branch()))
            case QuestionKind.EITHER:
                known = [each for each in question.options if set(each) <= self.answers.keys()]
                option = next(iter(known), question.options[0])
                place = next(each for each in option if each not in self.draft.inputs)
                self._press(AskField(self.draft.tag, place))
            case QuestionKind.ITEMS:
                given = len(self.draft.inputs[question.place])
                is_more = given < len(self.answers.get(question.place, ()))
                action = AddItem if is_more else FinishList
                self._press(action(self.draft.tag, question.place))
            case _:
                self._give(question.place)

    def _branch(self) -> int:
        fits = [InputValidator(each).is_valid(self.answers) for each in self.form.branches]
        return fits.index(True)

    def _give(self, place: str) -> None:
        asked = self.form.ruled(place, self.form.rules(self.draft.inputs, self.draft.branch))
        assert asked is not None, place
        self._look()
        match asked.kind:
            case FieldKind.MEDIA:
                self._send(place, asked)
            case FieldKind.REFERENCE:
                value = self._value(place, asked)
                self.draft = with_another(self.draft, place, value, form=self.form)
            case FieldKind.CHOICE:
                self._choose(place, asked)
            case FieldKind.YES_NO:
                index = 0 if self._value(place, asked) else 1
                self._press(SetOption(self.draft.tag, place, index))
            case _:
                self._type(place, asked)

    def _send(self, place: str, asked: Field) -> None:
        assert asked.media is not None
        given = value_at(self.draft.inputs, place) or []
        wanted = value_at(self.answers, place)
        count = len(wanted) if isinstance(wanted, list) else asked.least
        if isinstance(given, list) and asked.is_list and len(given) >= max(count, asked.least):
            self._press(FinishList(self.draft.tag, place))
            return
        kind, number = asked.media.kind, len(given)
        value = f"upload:01990000-0000-7000-8000-{number:012}"
        sent = with_form_media(self.draft, value, kind=kind, model=self.message)
        assert sent is not None, place
        self.draft = sent

    def _choose(self, place: str, asked: Field) -> None:
        full = self.form.find(place)
        assert full is not None
        wanted = self._value(place, asked)
        allowed = [each for each in asked.choices if each.value == wanted] or asked.choices
        index = full.choices.index(allowed[0])
        self._press(SetOption(self.draft.tag, place, index))

    def _type(self, place: str, asked: Field) -> None:
        if known_values(self.draft, place, form=self.form):
            self._press(SetOption(self.draft.tag, place, 0))
            return
        value = self._value(place, asked)
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        self.draft = with_form_text(
            self.draft, text, new_id=DRAFT_ID, language=self.language, model=self.message
        )

    def _value(self, place: str, asked: Field) -> Any:
        value = value_at(self.answers, place)
        if value is not None and (value in asked.schema.get("enum", [value])):
            return value
        if "." not in asked.path:
            return field_value(self.model, asked.path, rng=self.rng)
        return asked.choices[0].value if asked.choices else "abc"

    def _press(self, action: Action) -> None:
        encode(action)
        assert action in self._offered(action), (self.model.id, action)
        self.draft = with_choice(self.draft, action, language=self.language, catalog=self.catalog)

    def _offered(self, action: Action) -> list[Action]:
        """Return the actions of the screen, and of the pages that lead to this one."""
        screens = [self._look()]
        if isinstance(action, AskField):
            pages = range(len(self.form.top) // 6 + 2)
            screens += [self._settings(page) for page in pages]
        if isinstance(action, SetOption):
            pages = range(len((self.form.find(action.field) or self.form.top[0]).choices) // 6 + 1)
            screens += [self._choices(action.field, page) for page in pages]
        return [each.action for screen in screens for row in screen.keyboard for each in row]

    def _settings(self, page: int) -> Screen:
        encode(ShowSettings(self.draft.tag, page))
        screen = settings_screen(self.draft, self.language, model=self.message, page=page)
        self.screens.append(screen)
        return screen

    def _choices(self, place: str, page: int) -> Screen:
        encode(ShowChoicePage(self.draft.tag, place, page))
        screen = choice_page_screen(
            self.draft, self.language, model=self.message, place=place, page=page
        )
        self.screens.append(screen)
        return screen

    def _look(self) -> Screen:
        screen = draft_screen(self.draft, self.language, catalog=self.catalog)
        self.screens.append(screen)
        return screen
