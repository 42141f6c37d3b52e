"""What inputs cost, against sums by hand from the provider's price table."""

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.catalog.example import example
from generation_svc.domain.model import Model
from generation_svc.domain.quote import LengthUnknown, PriceUnknown, Quote, quote

CATALOG = load_catalog(has_unpaid=True)
PICTURE = "https://a.example/p"


def quoted(
    model_id: str, inputs: dict[str, Any], measured: Mapping[str, list[Decimal]] | None = None
) -> Quote:
    model = CATALOG.models[model_id]
    return quote(model.offer.price, inputs, defaults=model.defaults, measured=measured or {})


@pytest.mark.parametrize(
    ("model_id", "inputs", "measured", "amount", "is_ceiling"),
    [
        ("z-image", {}, {}, "0.8", False),
        ("qwen/image-edit", {"image_size": "square", "num_images": "2"}, {}, "3.145728", False),
        ("flux-2/pro-text-to-image", {"resolution": "2K"}, {}, "7", False),
        ("ideogram/character", {"rendering_speed": "TURBO", "num_images": "3"}, {}, "36", False),
        ("ideogram/v3-text-to-image", {}, {}, "10", True),
        ("bytedance/seedream-v4-edit", {"max_images": 4}, {}, "20", True),
        ("seedream/5-pro-image-to-image", {"images": [PICTURE] * 3}, {}, "8", False),
        ("qwen3/image-to-image", {"images": [PICTURE] * 3}, {}, "6.3", False),
        ("kling-2.6/text-to-video", {"sound": True, "duration": "10"}, {}, "220", False),
        ("kling-3.0/video", {"duration": "7", "sound": True}, {}, "189", False),
        ("wan/2-6-text-to-video", {"duration": "15", "resolution": "720p"}, {}, "209.5", False),
        ("hailuo/02-text-to-video-pro", {}, {}, "57", False),
        ("bytedance/seedance-2", {"duration": 10, "resolution": "480p"}, {}, "190", False),
        ("bytedance/seedance-2", {"duration": -1}, {}, "615", True),
        (
            "bytedance/seedance-2",
            {"duration": 5, "reference_videos": [PICTURE, PICTURE]},
            {"reference_videos": [Decimal("3.2"), Decimal(4)]},
            "325",
            False,
        ),
        (
            "minimax-h3/reference-to-video",
            {
                "duration": 6,
                "reference_images": [PICTURE] * 7,
                "reference_videos": [PICTURE],
                "resolution": "768P",
            },
            {"reference_videos": [Decimal(10)]},
            "136",
            False,
        ),
        ("kling/ai-avatar-pro", {"audio": PICTURE}, {"audio": [Decimal("9.1")]}, "160", False),
        (
            "volcengine/video-to-video-lip-sync",
            {"audio": PICTURE, "video": PICTURE},
            {"audio": [Decimal(4)], "video": [Decimal(6)]},
            "48",
            True,
        ),
        ("elevenlabs/text-to-speech-turbo-2-5", {"text": "a" * 1500}, {}, "9", False),
        (
            "elevenlabs/text-to-dialogue-v3",
            {"dialogue": [{"text": "a" * 300}, {"text": "b" * 200}]},
            {},
            "7",
            False,
        ),
        ("wan/2-2-a14b-speech-to-video-turbo", {"num_frames": 100}, {}, "84", False),
        ("veo-3-1", {"resolution": "1080p"}, {}, "255", True),
        ("runway", {"duration": 10, "quality": "720p"}, {}, "30", False),
        ("gemini-omni-video", {"duration": "6", "resolution": "4k"}, {}, "168", False),
        ("grok-imagine/text-to-video", {"resolution": "720p"}, {}, "135", True),
        ("wan/2-7-image", {"n": 3}, {}, "14.4", False),
        ("wan/2-7-image", {"enable_sequential": True}, {}, "57.6", True),
        ("google/gemini-2-5-pro-tts", {}, {}, "47.02208", True),
        ("ai-music-api/generate", {}, {}, "12", False),
        ("ai-music-api/separate-vocals", {"type": "split_stem"}, {}, "50", False),
    ],
)
def test_a_quote_is_the_sum_of_the_price_table(
    model_id: str,
    inputs: dict[str, Any],
    measured: Mapping[str, list[Decimal]],
    amount: str,
    is_ceiling: bool,
) -> None:
    found = quoted(model_id, inputs, measured)

    assert (found.credits, found.is_ceiling) == (Decimal(amount), is_ceiling)
    assert sum(line.rate * line.amount for line in found.lines) == found.credits


def test_a_price_that_follows_a_length_waits_for_the_length() -> None:
    with pytest.raises(LengthUnknown) as caught:
        quoted("topaz/video-upscale", {"video": PICTURE})

    assert caught.value.field == "video"
    price = CATALOG.models["topaz/video-upscale"].offer.price
    assert price.measured_fields == ("video",)


@pytest.mark.parametrize(
    ("model_id", "inputs"),
    [
        ("runway/extend-ai-video", {}),
        ("seedream/5-pro-layer-decomposition", {}),
        ("grok-imagine-video-1-5-preview", {"resolution": "1080p"}),
    ],
)
def test_a_price_that_nobody_knows_is_said_to_be_unknown(
    model_id: str, inputs: dict[str, Any]
) -> None:
    with pytest.raises(PriceUnknown):
        quoted(model_id, inputs)


def known_prices() -> list[str]:
    return [each.id for each in CATALOG.offered if each.offer.price.unknown is None]


@pytest.mark.parametrize("model_id", known_prices())
def test_every_input_of_a_model_with_a_price_has_a_quote(model_id: str) -> None:
    model, rng = CATALOG.models[model_id], random.Random(7)
    for share in (0.0, 0.2, 0.5, 0.8, 1.0):
        inputs = example(model, rng, share=share)
        assert inputs is not None
        try:
            found = quoted(model_id, validate_inputs(model, inputs), lengths(model, inputs))
        except PriceUnknown:
            assert model_id == "grok-imagine-video-1-5-preview"
            assert inputs["resolution"] == "1080p"
        else:
            assert 0 <= found.credits < 20_000
            assert found.lines


def lengths(model: Model, inputs: dict[str, Any]) -> dict[str, list[Decimal]]:
    """Return ten seconds for each media that is measured."""
    given = {field: inputs.get(field) for field in model.offer.price.measured_fields}
    counts = {
        field: len(each) if isinstance(each, list) else int(each is not None)
        for field, each in given.items()
    }
    return {field: [Decimal(10)] * count for field, count in counts.items()}


def test_how_many_models_can_be_sold() -> None:
    assert (len(known_prices()), len(CATALOG.offered)) == (168, 184)
