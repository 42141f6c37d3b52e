import dataclasses
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from generation_svc.catalog import load_catalog
from generation_svc.domain.error import UnknownModel
from generation_svc.domain.model import (
    Catalog,
    LocalizedText,
)
from generation_svc.domain.provider_input import provider_input
from generation_svc.domain.purpose import Kind
from generation_svc.domain.quote import quote
from generation_svc.domain.schema import JsonValue

UPLOAD = "upload:0198c5a0-7c3e-7a41-9f3b-2d1c6b5e4f00"
KIE_LINK = "https://kie.example/cat.png"
STRICT = {"enable_safety_checker": True, "nsfw_checker": True}
"""What is the operator's is sent with its strict value."""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def test_the_shipped_catalog_holds_the_four_free_models(catalog: Catalog) -> None:
    assert {model.id: model.kind for model in catalog.offered} == {
        "z-image": Kind.TEXT_TO_IMAGE,
        "qwen/text-to-image": Kind.TEXT_TO_IMAGE,
        "qwen/image-to-image": Kind.IMAGE_TO_IMAGE,
        "qwen/image-edit": Kind.EDIT,
    }
    assert all(model.is_free for model in catalog.offered)


@pytest.mark.parametrize(
    ("model_id", "amount", "unit"),
    [
        pytest.param("z-image", "0.8", "image", id="z-image"),
        pytest.param("qwen/text-to-image", "4.194304", "megapixel", id="qwen-text"),
        pytest.param("qwen/image-to-image", "4", "image", id="qwen-image"),
        pytest.param("qwen/image-edit", "4.718592", "megapixel", id="qwen-edit"),
    ],
)
def test_a_model_states_what_kie_charges(
    catalog: Catalog, model_id: str, amount: str, unit: str
) -> None:
    model = catalog.get(model_id)
    quoted = quote(model.offer.price, {}, defaults=model.defaults, measured={})

    assert (quoted.credits, quoted.is_ceiling) == (Decimal(amount), False)
    assert [line.unit for line in quoted.lines] == [unit]


def test_a_model_states_its_usual_and_longest_duration(catalog: Catalog) -> None:
    model = catalog.get("z-image")

    assert model.usual_duration == timedelta(seconds=5)
    assert model.longest_duration == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("model_id", "offered"),
    [
        pytest.param("z-image", {"aspect_ratio": "1:1"}, id="z-image"),
        pytest.param("qwen/text-to-image", {"image_size": "square_hd"}, id="qwen-text"),
        pytest.param("qwen/image-to-image", {}, id="qwen-image"),
        pytest.param(
            "qwen/image-edit", {"image_size": "landscape_4_3", "num_images": "1"}, id="qwen-edit"
        ),
    ],
)
def test_the_wizard_offers_the_basic_options_with_a_default_chosen(
    catalog: Catalog, model_id: str, offered: dict[str, str]
) -> None:
    options = catalog.get(model_id).offered_options

    assert {option.field: option.default for option in options} == offered


def test_an_option_names_each_value_in_both_languages(catalog: Catalog) -> None:
    choices = catalog.get("qwen/text-to-image").option("image_size").choices
    labels = {choice.value: choice.label for choice in choices}

    assert labels["square_hd"] == LocalizedText(ru="Квадрат, 1024×1024", en="Square, 1024×1024")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_no_two_fields_beside_each_other_have_the_same_name(language: str) -> None:
    for model in load_catalog(has_unpaid=True).models.values():
        names = Counter(
            (each.field.rpartition(".")[0], each.label.pick(language)) for each in model.options
        )
        assert [name for name, count in names.items() if count > 1] == [], model.id


def test_an_option_that_the_model_has_not_is_a_key_error(catalog: Catalog) -> None:
    with pytest.raises(KeyError):
        catalog.get("z-image").option("strength")


@pytest.mark.parametrize(
    ("code", "text"),
    [("ru", "да"), ("ru-RU", "да"), ("RU_ru", "да"), ("en", "yes"), ("de", "yes"), (None, "yes")],
)
def test_a_text_is_picked_by_language(code: str | None, text: str) -> None:
    assert LocalizedText(ru="да", en="yes").pick(code) == text


@pytest.mark.parametrize(
    ("model_id", "nearest"),
    [
        pytest.param("zimage", "z-image", id="missing-dash"),
        pytest.param("Z-IMAGE", "z-image", id="capitals"),
        pytest.param("qwen/image-edi", "qwen/image-edit", id="cut-off"),
        pytest.param("sora", None, id="nothing-near"),
        pytest.param("x" * 1_000_000, None, id="a-megabyte"),
    ],
)
def test_an_unknown_model_names_the_nearest(
    catalog: Catalog, model_id: str, nearest: str | None
) -> None:
    with pytest.raises(UnknownModel) as caught:
        catalog.get(model_id)

    assert caught.value.nearest == nearest


def test_kie_receives_media_under_its_own_name(catalog: Catalog) -> None:
    inputs: dict[str, JsonValue] = {
        "prompt": "a red jacket",
        "image": UPLOAD,
        "num_inference_steps": 30,
    }

    sent = provider_input(catalog.get("qwen/image-edit"), inputs, resolved={("image",): KIE_LINK})

    told = {"prompt": "a red jacket", "num_inference_steps": 30, "image_url": KIE_LINK}
    assert sent == told | STRICT
    assert type(sent["num_inference_steps"]) is int


def test_a_link_goes_to_kie_as_it_is(catalog: Catalog) -> None:
    inputs: dict[str, JsonValue] = {"prompt": "a red jacket", "image": KIE_LINK}

    sent = provider_input(catalog.get("qwen/image-edit"), inputs, resolved={})

    assert sent == {"prompt": "a red jacket", "image_url": KIE_LINK} | STRICT


def test_an_upload_never_goes_to_kie_unresolved(catalog: Catalog) -> None:
    inputs: dict[str, JsonValue] = {"prompt": "a red jacket", "image": UPLOAD}

    with pytest.raises(KeyError):
        provider_input(catalog.get("qwen/image-edit"), inputs, resolved={})


def test_a_model_cannot_be_changed(catalog: Catalog) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalog.get("z-image").id = "other"  # type: ignore[misc]
