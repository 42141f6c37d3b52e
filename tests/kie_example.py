"""Requests to KIE that others wrote down, and where those that leave here differ from them.

An example is a fact: a model and its `input`, with the names, the types and the values of its
source. Prompts, texts for people, links and ids are ours, in the shape of those that stood there.
The source is a page of KIE's documentation, read in a public copy of it, or a public client: the
body that its code or its test makes, with values out of its defaults and choices.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from generation_svc.domain.media_input import (
    InputValue,
    MediaInput,
    ReferencePart,
    SpecialInput,
    given_in,
    with_texts,
)
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject

_FOLDER = Path(__file__).parent / "fixtures" / "kie_examples"
_JOB = UUID(int=1 << 90)
ABSENT = object()
"""Stands for the value of a field that is not there."""

REFUSED: Mapping[str, str] = {
    "gone": "The documentation of 2026-10-07 has no such field any more.",
    "renamed": "The documentation of 2026-10-07 calls the field otherwise.",
    "type": "The schema of 2026-10-07 gives the field another JSON type.",
    "value": "The schema of 2026-10-07 has other values.",
    "required": "The schema of 2026-10-07 requires the field, and the example lacks it.",
    "blank": "The field is required, and the example holds an empty text or list in it.",
    "idle": "The documentation says that it has no effect, or must not stand, beside another one.",
    "unsupported": "KIE has given the field up, or does not say what it holds.",
    "foreign": "The field is the client's own; KIE has never had it.",
}
"""Why the contract refuses what an example holds; without these fields it is taken."""

MADE: Mapping[str, str] = {
    "operator": "The field is the operator's: the document's value holds where a job says nothing.",
    "default": "KIE requires the field: the documented default is sent.",
    "empty": "An optional text that is empty is left out.",
}
"""What the product changes by itself in the inputs of a job."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of an example that leaves in another way."""

    field: str
    sent: Any
    """What is sent; ABSENT for nothing."""
    reason: str


@dataclass(frozen=True, slots=True)
class KieExample:
    """A request as its source has it."""

    model: str
    source: Mapping[str, str]
    input: JsonObject
    differs: tuple[Difference, ...]

    @property
    def refused(self) -> Iterator[Difference]:
        """What the contract does not take as the example has it."""
        return (each for each in self.differs if each.reason in REFUSED)

    @property
    def made(self) -> Iterator[Difference]:
        """What the product changes by itself."""
        return (each for each in self.differs if each.reason in MADE)

    @property
    def taken(self) -> JsonObject:
        """The example without what the contract refuses."""
        return changed(self.input, *self.refused)

    @property
    def sent(self) -> JsonObject:
        """The `input` that leaves for it."""
        return changed(self.input, *self.differs)


def kie_examples() -> dict[str, KieExample]:
    """Return all examples, by the model and a number."""
    found: dict[str, KieExample] = {}
    for path in sorted(_FOLDER.glob("*.json")):
        for document in json.loads(path.read_text()):
            example = _example(document)
            number = sum(each.model == example.model for each in found.values()) + 1
            found[f"{example.model} {number}"] = example
    return found


def changed(inputs: JsonObject, *differences: Difference) -> JsonObject:
    """Return inputs in which each field holds what is sent for it."""
    told = {each.field: each.sent for each in differences}
    return {name: value for name, value in (inputs | told).items() if value is not ABSENT}


@dataclass(frozen=True, slots=True)
class Job:
    """The inputs of a job, and what its media and references stand for at the provider."""

    inputs: JsonObject
    texts: Mapping[str, str]


def job_of(model: Model, sent: JsonObject) -> Job:
    """Return the job whose request has this `input`: our names, our media, our references."""
    inputs, texts = _renamed(sent, model, within=""), dict[str, str]()
    for each in model.special_inputs:
        for given in list(given_in(inputs, each)):
            if given.text:
                text = _own_text(each, number=len(texts) + 1)
                texts[text] = given.text
                inputs = with_texts(
                    inputs, each, texts=_others(inputs, given) | {given.steps: text}
                )
    return Job(inputs, texts)


def _example(document: dict[str, Any]) -> KieExample:
    differs = (
        Difference(each["field"], each.get("sent", ABSENT), each["reason"])
        for each in document.get("differs", ())
    )
    return KieExample(document["model"], document["source"], document["input"], tuple(differs))


def _renamed(value: Any, model: Model, *, within: str) -> Any:
    """Return a value with our names of its fields; `within` is our path to them."""
    if isinstance(value, list):
        return [_renamed(each, model, within=f"{within}[]") for each in value]
    if not isinstance(value, dict):
        return value
    prefix = f"{within}." if within else ""
    own = {
        name: path.removeprefix(prefix)
        for path, name in model.offer.names.items()
        if path.rpartition(".")[0] == within
    }
    fields = ((own.get(name, name), each) for name, each in value.items())
    return {name: _renamed(each, model, within=f"{prefix}{name}") for name, each in fields}


def _own_text(each: SpecialInput, *, number: int) -> str:
    """Return what stands in a job for a link or for an id of the provider's."""
    if isinstance(each, MediaInput):
        return f"media:{UUID(int=number << 80)}"
    return f"job:{_JOB}" if each.part is ReferencePart.TASK else f"job:{_JOB}/{number}"


def _others(inputs: JsonObject, given: InputValue) -> dict[Any, str]:
    return {each.steps: each.text for each in given_in(inputs, given.input)}
