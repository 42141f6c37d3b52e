"""A user who is shown a price, agrees to it, and has enough or has not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import grpc
import pytest

from atelier.generation.v1 import job_pb2
from edge_bot.conversation.session import TAG_LENGTH
from edge_bot.view.language import texts
from edge_bot.view.payment_notice import money_refusal
from generation_client import GenerationError
from generation_svc.catalog.load import load_catalog
from generation_svc.rpc.convert_model import model_to_proto
from tests.contract.edge_chat import Chat, buttons, chatting
from tests.contract.stand_in import Refusal
from tests.contract.test_edge_money import OWNER, wallet
from tests.edge_model import USER, catalog, job

pytestmark = pytest.mark.usefixtures("within_one_day")

MODEL = "gpt-image-2-text-to-image"
PRICE = 12
FAILED_PRECONDITION = 9


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    model = model_to_proto(load_catalog().models[MODEL])
    async with chatting(models=(*catalog().models, model), is_sold=True) as chat:
        yield chat


async def review(chat: Chat) -> None:
    """Fill in the form of a model that costs credits."""
    await chat.press_data(f"m::{MODEL}", message_id=(await chat.last())["message_id"])
    await chat.say("a cat")


def refuse_for_credits(chat: Chat, *, balance: int) -> None:
    chat.service.generation.refuse_with(
        "INSUFFICIENT_CREDITS",
        code=FAILED_PRECONDITION,
        price=f"{PRICE}",
        balance=f"{balance}",
        missing=f"{PRICE - balance}",
    )


async def test_the_review_tells_the_balance_and_the_press_agrees_to_its_price(chat: Chat) -> None:
    wallet(chat).balances[OWNER] = 40
    await review(chat)
    assert "12 credits" in await chat.last_text()
    assert "You have 40 credits." in await chat.last_text()
    assert not any("Top up" in label for label in await chat.labels())
    await chat.press("Create")
    [request] = chat.service.generation.requests.values()
    assert request.agreed_credits == PRICE


async def test_what_is_missing_is_told_with_the_pack_that_covers_it(chat: Chat) -> None:
    wallet(chat).balances[OWNER] = 5
    await review(chat)
    assert "7 more credits are needed" in await chat.last_text()
    assert (await chat.labels())[:2] == ["Top up: +100 credits · ⭐️ 50", "⭐️ Other packs"]
    chat.service.generation.quote.price.credits = "500"
    await review(chat)
    assert (await chat.labels())[0] == "Top up: +1,000 credits · ⭐️ 450"


async def test_the_draft_waits_and_is_one_press_away_after_the_payment(chat: Chat) -> None:
    wallet(chat).balances[OWNER] = 5
    await review(chat)
    refuse_for_credits(chat, balance=5)
    await chat.press("Create")
    assert "Not begun yet" in await chat.last_text()
    await chat.press("Top up: +100 credits")
    bill = await chat.last()
    query = (await chat.telegram.pay(USER, message_id=bill["message_id"]))["pre_checkout_query_id"]
    await chat.pump()
    await chat.telegram.until_paid(query)
    await chat.pump()
    chat.service.generation.refusal = None
    credited, shown = (await chat.from_bot())[-2:]
    assert "payment has arrived" in credited["text"]
    assert "a cat" in shown["text"]
    assert "You have 105 credits." in shown["text"]
    await chat.press("Create")
    [request] = chat.service.generation.requests.values()
    assert request.agreed_credits == PRICE
    assert (await chat.message(credited["message_id"]))["text"] == credited["text"]


async def test_a_draft_that_a_payment_did_not_bring_is_brought_by_its_button(chat: Chat) -> None:
    await review(chat)
    waiting = json.loads(chat.session)["draft"]["id"][:TAG_LENGTH]
    await chat.press_data(f"gr:{waiting}", message_id=(await chat.last())["message_id"])
    assert "a cat" in await chat.last_text()
    await chat.press("Create")
    [request] = chat.service.generation.requests.values()
    assert request.agreed_credits == PRICE


async def test_a_debt_is_part_of_what_is_missing(chat: Chat) -> None:
    wallet(chat).balances[OWNER] = 5
    wallet(chat).fields["debt"] = 95
    await review(chat)
    assert "102 more credits are needed" in await chat.last_text()
    assert "Owed: 95." in await chat.last_text()
    assert (await chat.labels())[0] == "Top up: +1,000 credits · ⭐️ 450"


async def test_another_price_is_shown_and_asked_for_again(chat: Chat) -> None:
    wallet(chat).balances[OWNER] = 40
    await review(chat)
    chat.service.generation.refuse_with(
        "PRICE_CHANGED", code=FAILED_PRECONDITION, price="15", agreed="12"
    )
    chat.service.generation.quote.price.credits = "15"
    await chat.press("Create")
    assert "it was 12, and now it is 15 credits." in await chat.last_text()
    assert "15 credits" in (await chat.last_text()).splitlines()
    chat.service.generation.refusal = None
    await chat.press("Create")
    [request] = chat.service.generation.requests.values()
    assert request.agreed_credits == 15


async def test_a_repetition_agrees_to_the_price_of_its_job(chat: Chat) -> None:
    done = chat.service.generation.put(job(job_pb2.JOB_STATE_SUCCEEDED, model_id=MODEL))
    done.price.credits = "12"
    message_id = (await chat.last())["message_id"]
    refuse_for_credits(chat, balance=5)
    await chat.press_data(f"a:{done.id}", message_id=message_id)
    text = await chat.last_text()
    assert "Price: 12, balance: 5, missing: 7." in text
    assert (await chat.labels())[0] == "Top up: +100 credits · ⭐️ 50"
    chat.service.generation.refusal = None
    await chat.press("Try again")
    [request] = chat.service.generation.requests.values()
    assert request.agreed_credits == PRICE


async def test_a_repetition_at_another_price_leads_to_the_review(chat: Chat) -> None:
    wallet(chat).balances[OWNER] = 40
    done = chat.service.generation.put(job(job_pb2.JOB_STATE_SUCCEEDED, model_id=MODEL))
    done.price.credits = "10"
    chat.service.generation.refuse_with(
        "PRICE_CHANGED", code=FAILED_PRECONDITION, price="12", agreed="10"
    )
    await chat.press_data(f"a:{done.id}", message_id=(await chat.last())["message_id"])
    assert "it was 10, and now it is 12" in await chat.last_text()
    assert await chat.labels() == ["✏️ Change"]
    chat.service.generation.refusal = None
    await chat.press("Change")
    await chat.press("Create")
    [request] = chat.service.generation.requests.values()
    assert request.agreed_credits == PRICE


async def test_a_free_model_asks_for_no_balance(chat: Chat) -> None:
    chat.service.generation.quote = type(chat.service.generation.quote)(
        price=job_pb2.Price(is_free=True, credits="0")
    )
    await review(chat)
    await chat.press("Create")
    assert not wallet(chat).asked("GetBalance")
    [request] = chat.service.generation.requests.values()
    assert not request.HasField("agreed_credits")


async def test_a_blocked_user_is_sent_to_a_person_and_not_to_a_shop(chat: Chat) -> None:
    wallet(chat).fields["is_blocked"] = True
    await review(chat)
    assert "/paysupport" in await chat.last_text()
    assert not any("Top up" in label for label in await chat.labels())


async def test_closed_sales_offer_nothing_to_buy(chat: Chat) -> None:
    wallet(chat).is_open = False
    await review(chat)
    assert "12 more credits are needed, but none are sold" in await chat.last_text()
    assert not any("Top up" in label for label in await chat.labels())


REFUSALS = {
    "OWNER_BLOCKED": ({"owner": OWNER}, "blocked"),
    "SALES_CLOSED": ({}, "Nothing is sold at the moment"),
    "DAILY_CAP_REACHED": ({"cap": "free"}, "used up for today"),
    "FREE_ALLOWANCE_USED": ({"daily_count": "10"}, "You have used up"),
    "PROVIDER_BALANCE_LOW": ({}, "the operator knows why"),
    "MONEY_MODE_MISMATCH": ({"mode": "live"}, "not fully set up"),
}


@pytest.mark.parametrize("reason", REFUSALS)
async def test_every_refusal_is_told_as_a_person_would(chat: Chat, reason: str) -> None:
    metadata, words = REFUSALS[reason]
    wallet(chat).balances[OWNER] = 40
    await review(chat)
    code = FAILED_PRECONDITION
    chat.service.generation.refuse_with(reason, code=code, **metadata)
    await chat.press("Create")
    assert words in await chat.last_text()
    assert reason not in await chat.last_text()


async def test_a_limit_that_passes_is_told_and_not_waited_for(chat: Chat) -> None:
    wallet(chat).balances[OWNER] = 40
    await review(chat)
    chat.service.generation.refusal = Refusal(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason="FREE_ALLOWANCE_USED",
        metadata={"daily_count": "10"},
        retry_after_s=4 * 3600,
    )
    await chat.press("Create")
    assert "Please try again in 4 hours." in await chat.last_text()


@pytest.mark.parametrize(
    ("seconds", "words"), [(90, "90 seconds"), (3000, "50"), (9000, "2 hours")]
)
def test_a_wait_is_told_in_words(seconds: float, words: str) -> None:
    error = GenerationError(
        grpc.StatusCode.FAILED_PRECONDITION, "DAILY_CAP_REACHED", retry_after_s=seconds
    )
    assert words in money_refusal(error, texts("en"))


async def test_the_buttons_of_the_review_are_few(chat: Chat) -> None:
    await review(chat)
    rows = (await chat.last())["reply_markup"]["inline_keyboard"]
    assert len(rows) <= 8
    assert len(buttons(await chat.last())) == sum(map(len, rows))
