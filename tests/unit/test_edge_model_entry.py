"""What the bot says of a model before somebody pays, and of what was made afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from atelier.generation.v1 import model_pb2
from atelier.generation.v1.generation_service_pb2 import QuoteJobResponse
from atelier.generation.v1.job_pb2 import Job
from edge_bot.service_clock import ServiceClock
from edge_bot.view.catalog import Catalog
from edge_bot.view.language import texts
from edge_bot.view.layout import Screen, plain
from edge_bot.view.model_entry import card_text, family_name, price_text
from edge_bot.view.model_field import purpose_of
from edge_bot.view.outcome import prompt_of, result_buttons
from edge_bot.view.purpose import Purpose
from edge_bot.view.quote_text import quote_text
from edge_bot.view.shelf import found_screen, purpose_screen, shelf_screen
from generation_svc.catalog import load_catalog
from generation_svc.rpc.convert_model import model_to_proto

MODELS = [
    model_to_proto(each, is_full=True, has_operator_fields=False)
    for each in load_catalog(has_unpaid=True).offered
]
VIDEO = Purpose.TEXT_TO_VIDEO
FAILING, SLOW = model_pb2.MODEL_STATE_FAILING, model_pb2.MODEL_STATE_SLOW
WARNINGS = {
    (FAILING, "en"): "⚠️ fails often at the moment",
    (FAILING, "ru"): "⚠️ сейчас часто сбоит",
    (SLOW, "en"): "🐢 slow at the moment",
    (SLOW, "ru"): "🐢 сейчас медленная",
}


def catalog(states: dict[str, model_pb2.ModelState.ValueType]) -> Catalog:
    """Return the catalog with some models in another state."""
    models = []
    for each in MODELS:
        model = model_pb2.Model()
        model.CopyFrom(each)
        model.state = states.get(each.id, model_pb2.MODEL_STATE_FINE)
        models.append(model)
    return Catalog(tuple(models), ServiceClock())


def words(screen: Screen) -> str:
    """Return the text of a screen with plain spaces."""
    return plain(screen.text).replace("\u00a0", " ")


def labels(screen: Screen) -> list[str]:
    return [button.label for row in screen.keyboard for button in row]


def model(model_id: str) -> model_pb2.Model:
    return next(each for each in MODELS if each.id == model_id)


def job(**inputs: Any) -> Job:
    fields = Struct()
    fields.update(inputs)
    return Job(id="j", inputs=fields)


@pytest.mark.parametrize(("state", "language"), list(WARNINGS))
def test_how_a_model_is_doing_is_seen_wherever_it_is_chosen(
    state: model_pb2.ModelState.ValueType, language: str
) -> None:
    chosen = "kling-3.0-omni/reference-to-video"
    models = catalog({chosen: state})
    found = [each for each in models.models if each.id == chosen]
    of_purpose = Purpose.REFERENCE_TO_VIDEO
    shelf = shelf_screen(of_purpose, language, catalog=models, page=0)
    for screen in (found_screen(found, language, words="omni", draft=""), shelf):
        assert WARNINGS[state, language] in words(screen)
        icon = WARNINGS[state, language].split()[0]
        assert [each for each in labels(screen) if each.endswith(icon)]


def test_nobody_is_led_to_a_model_that_does_badly() -> None:
    fine = purpose_screen(VIDEO, "en", catalog=catalog({}))
    cheapest, fastest, best = labels(fine)[:3]
    ids = {each.titles["en"]: each.id for each in MODELS if purpose_of(each) is VIDEO}
    states = {
        ids[cheapest.split(" ", 1)[1]]: FAILING,
        ids[fastest.split(" ", 1)[1]]: SLOW,
        ids[best.split(" ", 1)[1]]: FAILING,
    }
    others = labels(purpose_screen(VIDEO, "en", catalog=catalog(states)))[:3]
    assert not {cheapest, fastest, best} & set(others)


def test_many_that_are_found_take_a_line_each() -> None:
    found = [each for each in MODELS if each.family == "kling" and purpose_of(each) is VIDEO]
    shown = words(found_screen(found, "en", words="kling", draft="")).splitlines()
    assert "Kling 2.6 · from 55 credits" in shown
    assert len(shown) <= len(found) + 2


@pytest.mark.parametrize(
    ("amount", "language", "least", "whole"),
    [
        ("1", "ru", "от 1 кредита", "1 кредит"),
        ("2", "ru", "от 2 кредитов", "2 кредита"),
        ("21", "ru", "от 21 кредита", "21 кредит"),
        ("12500", "ru", "от 12\u00a0500 кредитов", "12\u00a0500 кредитов"),
        ("1", "en", "from 1 credit", "1 credit"),
        ("1250", "en", "from 1,250 credits", "1,250 credits"),
    ],
)
def test_credits_are_counted_as_the_language_does(
    amount: str, language: str, least: str, whole: str
) -> None:
    priced = model_pb2.Model(pricing=model_pb2.Pricing(min_credits=amount))
    assert price_text(texts(language), priced) == least
    quote = QuoteJobResponse()
    quote.price.credits = amount
    assert plain(quote_text(quote, texts(language))) == whole


def test_a_price_says_what_it_is_made_of() -> None:
    quote = QuoteJobResponse(lines=["8 seconds · Resolution: <720p>", "2 images"])
    quote.price.credits, quote.price.is_ceiling = "28", True
    quote.usual_duration.FromSeconds(40)
    assert quote_text(quote, texts("en")).splitlines() == [
        "<b>At most 28 credits</b>",
        "8 seconds · Resolution: &lt;720p&gt;",
        "2 images",
        "It usually takes about 40 seconds.",
    ]


def test_a_card_says_what_a_model_costs_and_how_long_it_takes() -> None:
    known = model_pb2.Model()
    known.CopyFrom(model("kling/v3-turbo-text-to-video"))
    known.usual_duration.FromSeconds(90)
    about, terms = card_text(texts("en"), known).replace("\u00a0", " ").splitlines()
    assert about == known.descriptions["en"]
    assert terms == "From 54 credits · usually 90 seconds"


@pytest.mark.parametrize(
    ("family", "purpose", "name"),
    [("hailuo", VIDEO, "Hailuo"), ("imagen", Purpose.TEXT_TO_IMAGE, "Imagen")],
)
def test_a_family_is_called_without_a_version(family: str, purpose: Purpose, name: str) -> None:
    models = [each for each in MODELS if each.family == family and purpose_of(each) is purpose]
    assert len(models) > 1
    assert family_name(texts("en"), models) == name


def test_a_result_is_told_by_the_words_that_it_is_about() -> None:
    assert prompt_of(job(prompt="waves", style="calm")) == "waves"
    assert prompt_of(job(text="Good evening", voice="x1")) == "Good evening"
    lines = [{"text": "Is it you?", "voice": "x1"}, {"text": "It is.", "voice": "x2"}]
    assert prompt_of(job(dialogue=lines)) == "— Is it you?\n— It is."
    assert prompt_of(job(dialogue=lines[:1])) == "Is it you?"
    assert prompt_of(job(image="upload:1")) == ""


def test_only_pictures_are_called_original_files() -> None:
    pictures, film, text = job(), job(), job()
    pictures.result.media.add(mime_type="image/png")
    film.result.media.add(mime_type="video/mp4")
    text.result.text = "Once upon a time"
    told = [result_buttons(each, "en")[-1][-1].label for each in (pictures, film, text)]
    assert told == ["📎 Original file", "📎 As a file", "📎 As a file"]
