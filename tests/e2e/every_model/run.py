"""A run over every model: first the whole jobs, then the many whose requests are compared."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence

from generation_svc.catalog import load_catalog
from generation_svc.domain.model import Model
from tests.e2e.every_model.chat import Chats, watched_chats
from tests.e2e.every_model.chat_door import ChatDoor
from tests.e2e.every_model.door import Door
from tests.e2e.every_model.trial import Outcome, Trial
from tests.e2e.stack import Shape, Stack
from tests.port import free_address

AT_ONCE = 16
"""The number of jobs at once: more would only wait for the stand-in's pictures."""
PEOPLE_AT_ONCE = 32
"""The number of people in the chat at once: most of them wait for their one message a second."""
MODELS_AT_ONCE = 3
"""The number of models whose many jobs are made at once."""
FAILING_S = 0.4
"""How long a task takes that fails: long enough for createTask to have answered first."""
MANY = "1000000"
_GATEWAY = free_address()
SHAPE = Shape(
    log_level="warning",
    gateway_listen=_GATEWAY,
    service={
        # With links, so that the bot offers models whose results Telegram does not take.
        "MEDIA_BASE_URL": f"http://{_GATEWAY}",
        "MEDIA_LINK_KEY": "k" * 32,
        "UNPAID_MODELS": "allow",
        "KIE_CREATE_LIMIT": "1000",
        "KIE_READ_LIMIT": "1000",
        "KIE_MAX_CONCURRENT": "1000",
        "OWNER_JOBS_PER_MIN": MANY,
        "OWNER_MAX_ACTIVE_JOBS": "10000",
        "CALLER_CALLS_PER_S": "100000",
    },
    sandbox={
        "SANDBOX_KIE_CREDITS": "1e9",
        "SANDBOX_KIE_CREATE_LIMIT": MANY,
        "SANDBOX_KIE_READ_LIMIT": MANY,
        "SANDBOX_KIE_MAX_CONCURRENT": MANY,
        "SANDBOX_KIE_DURATION_S": "0.2",
        "SANDBOX_KIE_VISIBLE_AFTER_S": "0.05",
        # Songs are told of in stages by the old route, which names no cost.
        "SANDBOX_KIE_SONG_CALLBACKS": "unified",
    },
)
"""A stack whose limits are no part of what is tried."""


def offered() -> dict[str, Model]:
    """Return every model on offer where models may be used unpaid, by id."""
    return {model.id: model for model in load_catalog(has_unpaid=True).offered}


def not_offered() -> dict[str, str]:
    """Return why each of the other models, and each that has no price, is not on offer."""
    models = load_catalog(has_unpaid=True).models.values()
    withdrawn = {model.id: f"withdrawn: {model.withdrawn}" for model in models if model.withdrawn}
    unpriced = {
        model.id: f"not for money: {model.offer.price.unknown}"
        for model in models
        if model.offer.price.unknown and not model.withdrawn
    }
    return withdrawn | unpriced


def sampled(models: Sequence[str], *, size: int, seed: int) -> list[str]:
    """Return as many models, drawn by the seed, in their order; all of them for 0."""
    if not size:
        return list(models)
    drawn = set(random.Random(seed).sample(sorted(models), min(size, len(models))))
    return [model_id for model_id in models if model_id in drawn]


async def run(
    stack: Stack,
    model_ids: Sequence[str],
    *,
    seed: int,
    say: Callable[[str], None],
    most_cases: int | None = None,
    people: Collection[str] | None = None,
) -> list[Outcome]:
    """Try these models, with so many cases of each or all, and return how each did, in order.

    Of the models of `people`, or of all, the whole jobs are asked for in the chat.
    """
    models = offered()
    trial = Trial(stack, models, at_once=AT_ONCE)
    outcomes = {id_: Outcome(id_, str(models[id_].purpose)) for id_ in model_ids}
    try:
        await trial.consent()
        async with watched_chats(stack.telegram) as chats:
            doors = _doors(trial, chats, model_ids, people=people)
            await _whole_jobs(trial, outcomes, doors=doors, seed=seed, say=say)
        trial.most_cases = most_cases
        await _cases(trial, outcomes, seed=seed, say=say)
    finally:
        await trial.requests.close()
    return list(outcomes.values())


def _doors(
    trial: Trial, chats: Chats, model_ids: Sequence[str], *, people: Collection[str] | None
) -> dict[str, Door]:
    """Return the door of each model: a person of its own in the chat, or the contract."""
    in_chat = model_ids if people is None else people
    return {
        id_: ChatDoor(chats, trial.samples) if id_ in in_chat else trial.grpc for id_ in model_ids
    }


async def _whole_jobs(
    trial: Trial,
    outcomes: dict[str, Outcome],
    *,
    doors: Mapping[str, Door],
    seed: int,
    say: Callable[[str], None],
) -> None:
    done, turns = 0, asyncio.Semaphore(PEOPLE_AT_ONCE)

    async def one(model_id: str) -> None:
        nonlocal done
        model, outcome = trial.models[model_id], outcomes[model_id]
        async with turns:
            await trial.whole(model, outcome, seed=seed, door=doors[model_id])
        done += 1
        how = "; ".join(outcome.problems) or "fine"
        say(f"{done}/{len(outcomes)} whole  {model_id}  {outcome.seconds:.0f} s  {how}")

    await asyncio.gather(*(one(model_id) for model_id in outcomes))


async def _cases(
    trial: Trial, outcomes: dict[str, Outcome], *, seed: int, say: Callable[[str], None]
) -> None:
    """Make the many jobs; their tasks fail at once, so that nobody draws what nobody looks at."""
    for model in outcomes:
        await _earlier(trial, model)
    await trial.stack.kie.configure(duration_s=FAILING_S)
    await trial.stack.kie.fault("generation_failed")
    done, turns = 0, asyncio.Semaphore(MODELS_AT_ONCE)

    async def one(model_id: str, outcome: Outcome) -> None:
        nonlocal done
        async with turns:
            await trial.cases(trial.models[model_id], outcome, seed=seed)
        done += 1
        count = f"{outcome.right_count}/{outcome.case_count}"
        say(f"{done}/{len(outcomes)} requests  {model_id}  {count}")

    await asyncio.gather(*(one(*each) for each in outcomes.items()))


async def _earlier(trial: Trial, model_id: str) -> None:
    """Have every earlier job made that the cases of a model refer to, while tasks succeed."""
    model = trial.models[model_id]
    for one in model.reference_inputs:
        try:
            await trial.earlier(trial.grpc).give(model, one)
        except AssertionError:
            continue  # each case that needs it tells why
