"""Every model as the contract tells it."""

from dataclasses import replace

import pytest

from atelier.generation.v1 import model_pb2
from generation_svc.catalog import load_catalog
from generation_svc.domain.model import LocalizedText
from generation_svc.domain.purpose import Kind, Purpose, kind_of_purpose
from generation_svc.rpc.convert_model import model_to_proto
from generation_svc.rpc.model_message import ModelMessages

CATALOG = load_catalog(has_unpaid=True)
LARGEST = 100_000


@pytest.mark.parametrize("model_id", list(CATALOG.ids))
def test_every_model_can_be_told(model_id: str) -> None:
    model = CATALOG.models[model_id]
    told = model_to_proto(model)

    assert told.HasField("usual_duration") is model.is_free
    assert told.longest_duration.seconds >= 600
    assert told.pricing.is_free is model.is_free
    assert [each.name for each in told.media_inputs] == [each.name for each in model.media_inputs]
    assert all(each.labels["ru"] and each.labels["en"] for each in told.media_inputs)
    assert told.ByteSize() < LARGEST


def test_only_what_the_provider_still_wants_is_a_button() -> None:
    version = CATALOG.models["ai-music-api/generate"].option("model")

    assert [each.value for each in version.choices if each.is_current] == [
        "V6",
        "V6_MINI",
        "V6_WILD",
    ]
    assert len(version.choices) == 9


def test_a_list_that_is_not_closed_says_so() -> None:
    model = CATALOG.models["google/gemini-3-8-flash-tts"]

    assert not model.option("speakers[].voice_name").is_closed
    assert model.option("speakers[].voice_name").choices[0].label.en == "Fola"
    assert CATALOG.models["z-image"].option("aspect_ratio").is_closed


def test_every_purpose_has_a_kind_of_the_first_contract() -> None:
    kinds = {kind_of_purpose(purpose) for purpose in Purpose}

    assert kinds == set(Kind)
    names = {f"MODEL_KIND_{kind.name}" for kind in kinds}
    assert names <= set(model_pb2.ModelKind.keys())


def test_what_was_written_once_is_given_to_each_as_its_own() -> None:
    messages, model = ModelMessages(), CATALOG.models["z-image"]
    first = messages.of(model, is_full=True, has_operator_fields=False)
    first.titles["en"] = "changed by one answer"
    again = messages.of(model, is_full=True, has_operator_fields=False)

    assert again == model_to_proto(model)


def test_a_model_of_another_catalog_is_written_anew() -> None:
    messages, model = ModelMessages(), CATALOG.models["z-image"]
    messages.of(model, is_full=False, has_operator_fields=False)
    other = replace(model, title=LocalizedText(ru="Новая", en="New"))

    told = messages.of(other, is_full=False, has_operator_fields=False)
    assert told.titles["en"] == "New"


def test_each_view_is_written_by_itself() -> None:
    messages, model = ModelMessages(), CATALOG.models["hailuo/02-text-to-video-pro"]
    views = [
        messages.of(model, is_full=is_full, has_operator_fields=has_operator_fields)
        for is_full, has_operator_fields in [(False, False), (True, False), (True, True)]
    ]
    assert [each.HasField("input_schema") for each in views] == [False, True, True]
    assert ["nsfw_checker" in str(each.input_schema) for each in views] == [False, False, True]
