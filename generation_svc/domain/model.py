"""The models on offer: their inputs, their prices and their texts for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum

from generation_svc.domain.error import UnknownModel
from generation_svc.domain.media import MediaKind
from generation_svc.domain.media_input import MediaInput, ReferenceInput, SpecialInput
from generation_svc.domain.schema import JsonSchema, JsonValue

_COMPARED_LENGTH = 100
"""The number of characters of a misspelt id that are compared; difflib is quadratic."""


class Kind(StrEnum):
    """The kinds of models, by what they turn into what."""

    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    EDIT = "edit"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"
    VIDEO_TO_VIDEO = "video-to-video"
    TEXT_TO_AUDIO = "text-to-audio"
    AUDIO_TO_AUDIO = "audio-to-audio"
    MEDIA_TO_TEXT = "media-to-text"
    TEXT_TO_TEXT = "text-to-text"


class PriceUnit(StrEnum):
    """The thing that the provider counts when it charges."""

    IMAGE = "image"
    MEGAPIXEL = "megapixel"


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

    value: str
    label: LocalizedText


@dataclass(frozen=True, slots=True)
class Option:
    """One input field as people see it."""

    field: str
    label: LocalizedText
    hint: LocalizedText | None
    default: JsonValue
    """What holds when the field is left out; None where the provider names no default."""
    is_offered: bool
    """Whether the wizard shows it as buttons; the others are taken over gRPC only."""
    choices: tuple[Choice, ...]
    """Empty for fields that are not a choice between named values."""


@dataclass(frozen=True, slots=True)
class Pricing:
    """What a generation costs: whom, and how much."""

    is_free: bool
    """Whether the user pays nothing; the operator still pays the provider."""
    unit: PriceUnit
    credits: Decimal
    """The number of the provider's credits per unit; one credit is 0.005 USD."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model: the one source of its validation, its wizard and its request to the provider."""

    id: str
    kind: Kind
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
    result_kinds: tuple[MediaKind, ...]
    """What it makes; a result may lack some of it."""
    options: tuple[Option, ...]
    """Every field of the input schema, in its order."""
    provider_required: tuple[str, ...]
    """Fields that the provider requires and has no defaults for."""
    unsupported_fields: Mapping[str, str]
    """Fields that people may expect, each with a sentence that says why it is unsupported."""
    pricing: Pricing
    usual_duration: timedelta
    longest_duration: timedelta
    """The finish deadline, counted from the provider's acceptance."""

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
        optional = set(self.provider_required) - set(self.required)
        return {option.field: option.default for option in self.options if option.field in optional}

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


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every model of one version of the catalog file, in its order."""

    version: str
    models: Mapping[str, Model]

    def get(self, model_id: str) -> Model:
        """Return the model; raises UnknownModel, which names the nearest id."""
        try:
            return self.models[model_id]
        except KeyError:
            raise UnknownModel(model_id, nearest=self.nearest(model_id)) from None

    def nearest(self, model_id: str) -> str | None:
        """Return the id that a misspelt one most likely means, if any is close."""
        return nearest_name(model_id, self.models)


def nearest_name(name: str, names: Mapping[str, object]) -> str | None:
    """Return the one of the names that a misspelt name most likely means, if any is close."""
    close = get_close_matches(name[:_COMPARED_LENGTH].lower(), names, n=1)
    return close[0] if close else None
