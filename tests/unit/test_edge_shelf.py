"""How the models of a family are folded into one entry of a shelf."""

from __future__ import annotations

import pytest

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.catalog import Catalog
from edge_bot.view.purpose import Purpose
from edge_bot.view.shelf import shelf_screen


def folder_of(*titles: str) -> str:
    """Return the button of a family whose models have these titles."""
    models = [
        pb.Model(
            id=f"model/{number}",
            purpose=pb.MODEL_PURPOSE_TEXT_TO_IMAGE,
            family="family",
            titles={"en": title, "ru": title},
            descriptions={"en": "Draws.", "ru": "Рисует."},
        )
        for number, title in enumerate(titles)
    ]
    catalog = Catalog(tuple(models))
    screen = shelf_screen(Purpose.TEXT_TO_IMAGE, "en", catalog=catalog, page=0)
    return screen.keyboard[0][0].label


@pytest.mark.parametrize(
    ("titles", "folder"),
    [
        pytest.param(("Flux 2 Pro", "Flux 2 Flex"), "📁 Flux 2 (2)", id="all-begin-alike"),
        pytest.param(
            ("GPT-4o Image", "GPT Image 2", "GPT Image 1.5"), "📁 GPT Image (3)", id="most-do"
        ),
        pytest.param(
            ("HappyHorse 1.1: from a picture", "HappyHorse: from a picture"),
            "📁 HappyHorse (2)",
            id="all-but-for-a-colon",
        ),
        pytest.param(("Imagen", "Veo Stills"), "📁 Imagen (2)", id="none-do"),
    ],
)
def test_a_family_is_called_what_most_of_its_models_are(
    titles: tuple[str, ...], folder: str
) -> None:
    assert folder_of(*titles) == folder
