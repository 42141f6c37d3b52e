"""A user who is told by the service itself what a generation costs, and agrees to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.edge_chat import Chat, chatting_at
from tests.contract.market import market, quoted
from tests.contract.service import Service
from tests.edge_model import USER
from tests.integration.sandbox_telegram import picture

OWNER = f"telegram:{USER}"
SHOTS = "bytedance/seedance-2"
FACE = "ideogram/character"


@pytest.fixture
async def open_market(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with market(database_url, tmp_path / "media") as service:
        yield service


async def choose(chat: Chat, model_id: str) -> None:
    await chat.press_data(f"m::{model_id}", message_id=(await chat.last())["message_id"])


async def test_the_review_has_the_price_of_the_service(open_market: Service) -> None:
    async with chatting_at(open_market.address) as chat:
        await choose(chat, SHOTS)
        await chat.press("What happens")
        await chat.say("waves")
        shown = (await chat.last_text()).splitlines()
    told = await quoted(open_market, SHOTS, inputs={"prompt": "waves"}, owner=OWNER)
    ceiling = "At most " if told.price.is_ceiling else ""
    at = shown.index(f"{ceiling}{told.price.credits} credits")
    assert told.lines
    assert shown[at + 1 : at + 1 + len(told.lines)] == [*told.lines]


async def test_a_face_is_copied_once_the_user_has_agreed(open_market: Service) -> None:
    async with chatting_at(open_market.address) as chat:
        for number in range(2):
            await chat.say("/start")
            await choose(chat, FACE)
            await chat.say("on a beach")
            await chat.say(files={"photo": ("me.png", picture(256, 256), "image/png")})
            while "Done" in str(await chat.labels()):
                await chat.press("Done")
            assert ("copies a person’s face" in await chat.last_text()) is (number == 0)
            if number == 0:
                await chat.press("I agree")
            assert "credits" in await chat.last_text()
            await chat.press("Create")
            assert "consent" not in await chat.last_text()
