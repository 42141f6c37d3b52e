"""A sample of the models goes from clicks and requests to decoded results.

`make e2e-all` takes all.
"""

from __future__ import annotations

from tests.e2e.every_model.run import SHAPE, not_offered, offered, run, sampled
from tests.e2e.stack import Stack

__all__ = ["SHAPE"]
SEED = 7
SIZE = 20
PEOPLE = (
    "ai-music-api/generate-midi-from-audio",  # goes on from an earlier result
    "ai-music-api/validation-phrase",  # asks for consent
    "elevenlabs/text-to-dialogue-v3",  # has a list of objects
    "google/imagen4-ultra",
    "kling/v2-1-master-image-to-video",
    "seedream/5-flash-layer-decomposition",  # makes an album, and has no price
)
"""The models that are asked for in the chat here, one of each kind of form."""
MOST_CASES = 8
"""How many requests of each model are compared here: the first, which reach the most."""


async def test_a_sample_of_the_models_makes_what_it_promises(running: Stack) -> None:
    models = sampled(list(offered()), size=SIZE, seed=SEED)
    said: list[str] = []

    outcomes = await run(
        running, models, seed=SEED, most_cases=MOST_CASES, people=PEOPLE, say=said.append
    )

    wrong = {each.model_id: each.problems for each in outcomes if not each.is_passed}
    assert wrong == {}
    assert [each.model_id for each in outcomes] == models
    assert {each.model_id for each in outcomes if each.door == "chat"} == {*PEOPLE}
    assert all(each.whole.keys() == {"required", "all"} for each in outcomes)
    assert sum(each.right_count for each in outcomes) > 4 * SIZE


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    models = list(offered())

    assert sampled(models, size=20, seed=7) == sampled(models, size=20, seed=7)
    assert sampled(models, size=20, seed=7) != sampled(models, size=20, seed=8)
    assert sampled(models, size=0, seed=7) == models


def test_each_model_that_is_not_offered_is_named_with_its_reason() -> None:
    reasons = not_offered()

    assert all(reasons.values())
    assert sum(reason.startswith("withdrawn") for reason in reasons.values()) == 11
