"""The models on offer: their inputs, their prices and their texts for people."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum

from generation_svc.domain.error import UnknownModel, UnsoldModel, UnsoldReason
from generation_svc.domain.input_check import InputCheck
from generation_svc.domain.media import MediaKind
from generation_svc.domain.media_input import MediaInput, ReferenceInput, SpecialInput
from generation_svc.domain.price import OfferPrice
from generation_svc.domain.purpose import Kind, Purpose, kind_of_purpose
from generation_svc.domain.schema import JsonObject, JsonSchema, JsonValue

_COMPARED_LENGTH = 100
"""The number of characters of a misspelt id that are compared; difflib is quadratic."""


@dataclass(frozen=True, slots=True)
class LocalizedText:
    """One text in every supported language."""

    ru: str
    en: str

    def pick(self, language_code: str | None) -> str:
        """Return the text for an IETF language tag such as `ru` or `en-GB`; English for others."""
        language = (language_code or "").replace("_", "-").partition("-")[0].lower()
        return self.ru if language == "ru" else self.en


@dataclass(frozen=True, slots=True)
class Choice:
    """One allowed value of an option and what people call it."""

    value: JsonValue
    label: LocalizedText
    is_current: bool = True
    """Whether it is offered as a button; the provider still takes the others."""


@dataclass(frozen=True, slots=True)
class Option:
    """One input field as people see it."""

    field: str
    """Its path, such as `aspect_ratio` or `shots[].prompt`."""
    label: LocalizedText
    hint: LocalizedText | None
    default: JsonValue
    """What holds when the field is left out; None where the provider names no default."""
    is_offered: bool
    """Whether the wizard shows it as buttons; the others are taken over gRPC only."""
    choices: tuple[Choice, ...]
    """Named values; where `is_closed` is false, others are taken as well."""
    is_closed: bool = True


class SeedClaim(StrEnum):
    """What is known of a model's seed."""

    PROVED = "proved"
    """The same seed was seen to give the same result."""
    CLAIMED = "claimed"
    """The provider says so."""


class Consent(StrEnum):
    """What of a person a model copies."""

    VOICE = "voice"
    FACE = "face"


class ResultShape(StrEnum):
    """How the provider tells a result."""

    URLS = "urls"
    SONGS = "songs"
    LYRICS = "lyrics"
    STEMS = "stems"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class ResultForm:
    """What a model makes."""

    kinds: tuple[MediaKind, ...]
    """The kinds of media; a result may lack some of them."""
    shape: ResultShape
    max_bytes: int
    """The size of the largest single media."""


@dataclass(frozen=True, slots=True)
class Offer:
    """How one provider runs a model."""

    provider: str
    model_id: str
    """The model's name at the provider."""
    names: Mapping[str, str]
    """The provider's names of fields that it calls otherwise, by their paths."""
    lists: frozenset[str]
    """The paths of fields that the provider wants as a list, even of one."""
    required: tuple[str, ...]
    """Fields that the provider requires and has no defaults for."""
    price: OfferPrice
    requires_callback: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One model: the one source of its validation, its wizard and its request to the provider."""

    id: str
    purpose: Purpose
    title: LocalizedText
    description: LocalizedText
    hint: LocalizedText
    prompt_examples: tuple[LocalizedText, ...]
    input_schema: JsonSchema
    """JSON Schema 2020-12 of the inputs, in the product's field names."""
    media_inputs: tuple[MediaInput, ...]
    """The inputs that take media, in the order in which a person is asked for them."""
    reference_inputs: tuple[ReferenceInput, ...]
    """The inputs that name what an earlier job made."""
    result: ResultForm
    options: tuple[Option, ...]
    """Every field of the input schema, in its order, each followed by the fields in it."""
    unsupported_fields: Mapping[str, str]
    """Fields that people may expect, each with a sentence that says why it is unsupported."""
    is_free: bool
    """Whether the user pays nothing; the operator still pays the provider."""
    offer: Offer
    """Who runs it; one provider does for now."""
    usual_duration: timedelta | None
    """None where nobody knows."""
    longest_duration: timedelta
    """The finish deadline, counted from the provider's acceptance."""
    checks: tuple[InputCheck, ...] = ()
    """The rules of its inputs that a JSON Schema cannot say."""
    operator_fields: Mapping[str, JsonValue] = field(default_factory=dict)
    """Fields that are the operator's, each with what is sent for it; None sends nothing."""
    family: str | None = None
    """What folds variants of one purpose into one entry."""
    tier: str = ""
    """What people call the variant in its family."""
    seed: SeedClaim | None = None
    consent: Consent | None = None
    withdrawn: str | None = None
    """Why it is no longer on offer."""
    digest: str | None = None
    """What stands for its document."""
    document: JsonObject | None = field(default=None, repr=False, compare=False)
    """What it was read from."""
    is_in_every_release: bool = False
    """Whether releases that know no catalog but their own file send it in the same way."""

    @property
    def kind(self) -> Kind:
        """The kind that comes nearest to its purpose."""
        return kind_of_purpose(self.purpose)

    @property
    def defaults(self) -> dict[str, JsonValue]:
        """The defaults of the fields that have one."""
        schemas = self.properties.items()
        return {name: schema["default"] for name, schema in schemas if "default" in schema}

    @property
    def properties(self) -> Mapping[str, JsonSchema]:
        """The schema of each field."""
        properties: Mapping[str, JsonSchema] = self.input_schema["properties"]
        return properties

    @property
    def required(self) -> tuple[str, ...]:
        """The fields that the user has to give."""
        return tuple(self.input_schema["required"])

    @property
    def provider_defaults(self) -> dict[str, JsonValue]:
        """The values sent to the provider where the user gave none and the provider needs one."""
        optional = set(self.offer.required) - set(self.required) - self.operator_fields.keys()
        return {name: value for name, value in self.defaults.items() if name in optional}

    @property
    def offered_options(self) -> tuple[Option, ...]:
        """The options that the wizard shows."""
        return tuple(option for option in self.options if option.is_offered)

    @property
    def special_inputs(self) -> tuple[SpecialInput, ...]:
        """The inputs that are not sent as they are given."""
        return (*self.media_inputs, *self.reference_inputs)

    @property
    def lone_image(self) -> MediaInput | None:
        """The input that takes the one image that the model cannot do without, if that is all."""
        needed = [each for each in self.media_inputs if each.at_least]
        is_one = len(needed) == 1 and needed[0].at_least == 1 and "." not in needed[0].name
        return needed[0] if is_one and needed[0].kind is MediaKind.IMAGE else None

    def special_input(self, name: str) -> SpecialInput | None:
        """Return the special input of a name, if there is one."""
        return next((each for each in self.special_inputs if each.name == name), None)

    def option(self, field: str) -> Option:
        """Return the option of a field; raises KeyError for a field that the model has not."""
        for option in self.options:
            if option.field == field:
                return option
        raise KeyError(field)


IN_EVERY_RELEASE = frozenset(
    {"z-image", "qwen/text-to-image", "qwen/image-to-image", "qwen/image-edit"}
)
"""The models of the releases that know no catalog but their own file."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every model of one version of the catalog, in its order, and which are on offer."""

    version: str
    models: Mapping[str, Model]
    offered_ids: tuple[str, ...] | None = None
    """The models that new jobs may use, in order; all if None. Jobs keep the others."""
    off_ids: frozenset[str] = frozenset()
    """The models that the operator has switched off."""
    has_unpaid: bool = False
    """Whether models that cost money may be used unpaid."""

    def get(self, model_id: str) -> Model:
        """Return a model on offer.

        Raises UnknownModel, which names the nearest id, or for a model that is not on offer says
        why.
        """
        if model_id not in self.models:
            raise UnknownModel(model_id, nearest=self.nearest(model_id))
        if model_id not in self.ids:
            raise self._unsold(self.models[model_id])
        return self.models[model_id]

    def _unsold(self, model: Model) -> UnsoldModel:
        if model.id in self.off_ids:
            return UnsoldModel(model.id, why=UnsoldReason.SWITCHED_OFF)
        if model.withdrawn is not None:
            return UnsoldModel(model.id, why=UnsoldReason.WITHDRAWN, detail=model.withdrawn)
        if model.is_free or self.has_unpaid:
            return UnsoldModel(model.id, why=UnsoldReason.NO_CALLBACKS)
        return UnsoldModel(model.id, why=UnsoldReason.UNPAID)

    @property
    def ids(self) -> Collection[str]:
        """The models on offer."""
        return self.models.keys() if self.offered_ids is None else self.offered_ids

    @property
    def offered(self) -> tuple[Model, ...]:
        """The models on offer, in order."""
        return tuple(self.models[model_id] for model_id in self.ids)

    def nearest(self, model_id: str) -> str | None:
        """Return the id that a misspelt one most likely means, if any is close."""
        return nearest_name(model_id, self.ids)


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the one of the names that a misspelt name most likely means, if any is close."""
    close = get_close_matches(name[:_COMPARED_LENGTH].lower(), names, n=1)
    return close[0] if close else None
