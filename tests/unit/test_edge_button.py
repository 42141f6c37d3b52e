from dataclasses import fields

import pytest

from edge_bot.view.button import (
    ACTIONS,
    Action,
    Again,
    Generate,
    Home,
    PickKind,
    PickModel,
    SetOption,
)
from edge_bot.view.button_data import MAX_DATA_BYTES, ButtonDataInvalid, decode, encode

UUID = "01990000-0000-7000-8000-000000000001"


def sample(kind: type[Action]) -> Action:
    return kind(*(3 if field.type == "int" else UUID[:8] for field in fields(kind)))


@pytest.mark.parametrize("kind", ACTIONS, ids=lambda kind: kind.__name__)
def test_every_action_is_read_as_it_was_written(kind: type[Action]) -> None:
    assert decode(encode(sample(kind))) == sample(kind)


def test_every_action_has_a_code_of_its_own() -> None:
    assert len({kind.code for kind in ACTIONS}) == len(ACTIONS)


@pytest.mark.parametrize(
    "action",
    [
        Again(UUID),
        PickModel(UUID[:8], "qwen/image-to-image"),
        SetOption(UUID[:8], "num_inference_steps", 99),
        PickKind("", 3),
    ],
    ids=lambda action: type(action).__name__,
)
def test_what_buttons_carry_fits(action: Action) -> None:
    assert len(encode(action).encode()) <= MAX_DATA_BYTES
    assert decode(encode(action)) == action


@pytest.mark.parametrize(
    "data",
    ["", ":", "zz", "g", "g:a:b", "p:x:three", "v:a:size:", "старое", "s:", "\x00"],
    ids=repr,
)
def test_what_no_button_says_is_none(data: str) -> None:
    assert decode(data) is None


@pytest.mark.parametrize(
    "action", [Again("j" * 63), Generate("a:b"), Generate("ж" * 32)], ids=["long", "colon", "bytes"]
)
def test_what_does_not_fit_is_refused(action: Action) -> None:
    with pytest.raises(ButtonDataInvalid):
        encode(action)


def test_home_carries_nothing() -> None:
    assert encode(Home()) == "s"
