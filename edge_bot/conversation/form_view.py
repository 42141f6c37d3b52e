"""A draft with the form of its model, as its screens see it, and the parts that they share."""

from __future__ import annotations

from dataclasses import dataclass

from atelier.generation.v1 import model_pb2 as pb
from atelier.generation.v1.generation_service_pb2 import QuoteJobResponse
from edge_bot.conversation.draft_text import discard_button, safe
from edge_bot.conversation.place import value_at
from edge_bot.conversation.session import Draft
from edge_bot.view.button import AskField, ShowPurpose
from edge_bot.view.catalog import localised
from edge_bot.view.field_text import setting_text
from edge_bot.view.input_form import Field, InputForm, JsonValue, form_of
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import LABEL_LENGTH, Button, lines, shorten
from edge_bot.view.model_entry import card_text
from edge_bot.view.model_field import purpose_of
from edge_bot.view.purpose import purpose_label
from edge_bot.view.quote_text import state_text


@dataclass(frozen=True, slots=True)
class FormView:
    """A draft with the form of its model, in a user's language."""

    draft: Draft
    model: pb.Model
    form: InputForm
    speak: Texts
    quote: QuoteJobResponse | None = None
    """What the service says that it costs, once it was asked."""

    @property
    def tag(self) -> str:
        """What the draft's buttons carry."""
        return self.draft.tag

    @property
    def language(self) -> str:
        """The user's language."""
        return self.speak.language

    @property
    def permitted(self) -> tuple[Field, ...]:
        """The fields that the present answers allow."""
        rules = self.form.rules(self.draft.inputs, self.draft.branch)
        ruled = (self.form.ruled(each.path, rules) for each in self.form.top)
        return tuple(each for each in ruled if each is not None)

    def value(self, place: str) -> JsonValue:
        """Return the answer at a place."""
        return value_at(self.draft.inputs, place)


def view_of(draft: Draft, language: str, *, model: pb.Model) -> FormView:
    """Return the view of a draft."""
    return FormView(draft, model, form_of(model), texts(language))


def headline(view: FormView) -> str:
    """Return the model's title; before the first answer also what it does and how it is doing."""
    icon = purpose_label(view.speak, purpose_of(view.model)).split()[0]
    title = f"{icon} <b>{safe(localised(view.model.titles, view.language))}</b>"
    if view.draft.inputs:
        return title
    card = card_text(view.speak, view.model)
    return lines(title, card, state_text(view.model, view.speak))


def way_out(view: FormView) -> tuple[Button, ...]:
    """Return the row that leads away from the form."""
    purpose = int(purpose_of(view.model))
    other = Button(view.speak.plain("🧩 Other model"), ShowPurpose(view.tag, purpose))
    return (other, discard_button(view.speak, view.draft))


def ask_button(view: FormView, field: Field, *, place: str = "") -> Button:
    """Return the button that asks for a field, with the answer it has."""
    place = place or field.path
    label = setting_text(field, view.value(place), view.speak)
    return Button(shorten(label, LABEL_LENGTH), AskField(view.tag, place))
