"""Every model of the catalog can be asked for by its form."""

import random
from functools import cache
from typing import Any

import pytest

from edge_bot.view.layout import LABEL_LENGTH, TEXT_LENGTH, length_of, plain
from edge_bot.view.media_input import has_form, is_askable
from generation_svc.catalog.example import example
from generation_svc.catalog.load import load_catalog
from generation_svc.catalog.validate import validate_inputs
from generation_svc.domain.error import InvalidInputs
from generation_svc.domain.model import Model
from generation_svc.rpc.convert_model import model_to_proto
from tests.edge_walk import Walk

MOST_ROWS = 8
TRIES = 12


@cache
def models() -> dict[str, Model]:
    catalog = load_catalog()
    return {
        model.id: model
        for model in catalog.models.values()
        if model.withdrawn is None and not model.is_free
    }


def walked(model: Model, *, language: str, share: float) -> Walk:
    """Fill in the form of a model; rules that no schema says may take several tries."""
    refusals: list[Any] = []
    for seed in range(TRIES):
        rng = random.Random(seed)
        answers = example(model, rng, share=share)
        assert answers is not None
        kept = {name: each for name, each in answers.items() if name not in model.operator_fields}
        walk = Walk(model, kept, language=language, rng=rng)
        try:
            validate_inputs(model, walk.inputs())
        except InvalidInputs as error:
            refusals.append((walk.draft.inputs, [str(each) for each in error.violations]))
            continue
        return walk
    raise AssertionError(f"{model.id}: {refusals[-1]}")


@pytest.mark.parametrize("share", [0.0, 0.6], ids=["required", "optional too"])
@pytest.mark.parametrize("model_id", sorted(models()))
def test_a_form_leads_to_inputs_that_the_service_takes(model_id: str, share: float) -> None:
    model = models()[model_id]
    message = model_to_proto(model)
    assert has_form(message)
    assert is_askable(message)
    for language in ("en", "ru"):
        walk = walked(model, language=language, share=share)
        assert not walk.raw_names()
        for screen in walk.screens:
            assert len(screen.keyboard) <= MOST_ROWS, plain(screen.text)
            assert length_of(plain(screen.text)) <= TEXT_LENGTH
            labels = [each.label for row in screen.keyboard for each in row]
            assert all(0 < length_of(label) <= LABEL_LENGTH for label in labels)
