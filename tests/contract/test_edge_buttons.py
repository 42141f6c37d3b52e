import json
import re
from collections.abc import AsyncIterator

import pytest

from atelier.generation.v1 import job_pb2
from atelier.generation.v1.consent_pb2 import CONSENT_KIND_FACE
from atelier.generation.v1.media_pb2 import Media
from atelier.generation.v1.session_pb2 import Session as StoredSession
from atelier.wallet.v1.wallet_pb2 import Wallet
from edge_bot.conversation.session import TAG_LENGTH
from edge_bot.view import button
from edge_bot.view.button import ACTIONS, Action
from edge_bot.view.button_data import decode, encode
from edge_bot.view.layout import Rows
from edge_bot.view.money_button import MONEY_ACTIONS
from edge_bot.view.outcome import failure_buttons, missed_screen, result_buttons
from edge_bot.view.progress import cancel_question_screen, job_screen
from edge_bot.view.top_up import credited_screen
from generation_svc.catalog.load import load_catalog
from generation_svc.rpc.convert_model import model_to_proto
from tests.contract.edge_chat import Chat, buttons, chatting
from tests.contract.edge_job import CLIP
from tests.edge_model import USER, catalog, job
from tests.integration.sandbox_telegram import Json, picture

KEY = f"chat:{USER}"
FORMS = ("kling-3.0/video", "ai-music-api/separate-vocals", "gpt-image-2-text-to-image")
PALETTE = "wan/2-7-image-pro"
OTHERS = (PALETTE, "gpt-image-2-5-flare-text-to-image", "google/imagen4")
ANSWERS = {"kling-3.0/video": ("yes", "a door", "5")}
FORM_ACTIONS = {
    button.ShowGroup,
    button.ShowPurpose,
    button.ShowShelf,
    button.ShowFamily,
    button.AskField,
    button.ShowChoicePage,
    button.ShowItems,
    button.ShowSettings,
    button.FinishList,
    button.AddItem,
    button.DropAnswer,
    button.PickBranch,
    button.ShowResults,
    button.TakeResult,
}
"""What only models with forms need."""
SERVICE_ACTIONS = {button.RecordConsent, button.TakeUpload}
"""What only comes up where the service asks for consent, or serves a page for large files."""
TAG = re.compile(r"[0-9a-f]{8}(?=:|$)")


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with chatting() as chat:
        yield chat


class Crawler:
    """Presses every button of a message, then those of what came of it, and so on."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.pressed: set[type[Action]] = set()
        self._seen: set[tuple[str, str]] = set()

    async def crawl(self, message: Json, data: list[str]) -> None:
        """Press these buttons, each from the state in which they were shown."""
        session = StoredSession()
        session.CopyFrom(self.chat.service.edge.sessions[KEY])
        for each in data:
            place = (str(message.get("text", ""))[:20], TAG.sub("", each))
            if place in self._seen:
                continue
            self._seen.add(place)
            self.chat.service.edge.sessions[KEY].data = session.data
            await self._show_again(message)
            result = await self._press(message["message_id"], each)
            await self.crawl(result, [data for _, data in buttons(result)])

    async def _show_again(self, message: Json) -> None:
        """Give a message its buttons back, with another text so that the next change is seen."""
        if "text" in message:
            await self.chat.telegram.call(
                "editMessageText",
                chat_id=USER,
                message_id=message["message_id"],
                text="…",
                reply_markup=message.get("reply_markup", {"inline_keyboard": []}),
            )

    async def _press(self, message_id: int, data: str) -> Json:
        action = decode(data)
        assert action is not None
        self.pressed.add(type(action))
        before = await self._what_is_there()
        query = await self.chat.press_data(data, message_id=message_id)
        assert await self.chat.answer(query) is not None, data
        after = await self._what_is_there()
        assert after != before, f"{data} did nothing"
        new = [each for each in after if each not in before]
        return new[-1] if new else after[-1]

    async def _what_is_there(self) -> list[Json]:
        return await self.chat.from_bot()


async def crawl_rows(crawler: Crawler, rows: Rows) -> None:
    data = [encode(button.action) for row in rows for button in row]
    await crawler.crawl(await crawler.chat.last(), data)


async def test_every_button_of_every_screen_does_something(chat: Chat) -> None:
    crawler = Crawler(chat)
    done = chat.service.generation.put(job(job_pb2.JOB_STATE_SUCCEEDED))
    for number in range(2):
        data = picture(64, 64)
        media = Media(id=f"m{number}", mime_type="image/png", width=64, height=64)
        media.size_bytes = len(data)
        chat.service.generation.media[media.id] = (media, data)
        done.result.media.append(media)
    for said in ("/start", "/models", "a cat", "x" * 1001, "/cancel"):
        await chat.say(said)
        await crawler.crawl(await chat.last(), [data for _, data in buttons(await chat.last())])
    for caption in ("", "make it red"):
        await chat.say(caption, files={"photo": ("cat.png", picture(), "image/png")})
        await crawler.crawl(await chat.last(), [data for _, data in buttons(await chat.last())])
    await crawl_rows(crawler, result_buttons(done, "en", is_first_of_album=True))
    await crawl_rows(crawler, failure_buttons(done, "en"))
    running = chat.service.generation.put(job())
    running.id = "01990000-0000-7000-8000-0000000000ff"
    chat.service.generation.put(running)
    await crawl_rows(crawler, job_screen(running, "en", now=chat.context.clock.now()).keyboard)
    await crawl_rows(crawler, cancel_question_screen(running, "en", is_apart=True).keyboard)
    await crawl_rows(crawler, missed_screen(1, "en").keyboard)
    others = FORM_ACTIONS | SERVICE_ACTIONS | set(MONEY_ACTIONS)
    assert crawler.pressed | others == set(ACTIONS)


async def test_every_button_of_every_form_does_something() -> None:
    models = tuple(model_to_proto(load_catalog().models[name]) for name in FORMS + OTHERS)
    async with chatting(models=(*catalog().models, *models)) as chat:
        crawler = Crawler(chat)
        done = job(job_pb2.JOB_STATE_SUCCEEDED, model_id="ai-music-api/generate")
        song = Media(id="m1", mime_type="audio/mpeg", title="Rain", size_bytes=9)
        chat.service.generation.media[song.id] = (song, b"ID3" + bytes(6))
        done.result.media.append(song)
        chat.service.generation.put(done)
        await crawler.crawl(await chat.last(), [data for _, data in buttons(await chat.last())])
        for model_id in FORMS:
            await chat.say("/start")
            await chat.press_data(f"m::{model_id}", message_id=(await chat.last())["message_id"])
            for answer in ANSWERS.get(model_id, ()):
                await chat.say(answer)
            shown = await chat.last()
            await crawler.crawl(shown, [data for _, data in buttons(shown)])
        shown = await long_list(chat)
        await crawler.crawl(shown, [data for _, data in buttons(shown)])
    assert crawler.pressed >= FORM_ACTIONS


async def long_list(chat: Chat) -> Json:
    """Fill a list of a form until it takes two pages; return the message that shows it."""
    await chat.say("/start")
    await chat.press_data(f"m::{PALETTE}", message_id=(await chat.last())["message_id"])
    await chat.say("a quilt")
    shown = await chat.last()
    tag = next(data.split(":")[1] for _, data in buttons(shown) if ":" in data)
    await chat.press_data(f"q:{tag}:color_palette", message_id=shown["message_id"])
    for number in range(7):
        await chat.say(f"#00000{number}")
        await chat.say("10%")
    return await chat.last()


async def test_every_button_about_money_does_something() -> None:
    model = model_to_proto(load_catalog().models["gpt-image-2-text-to-image"])
    async with chatting(models=(*catalog().models, model), is_sold=True) as chat:
        crawler, wallet = Crawler(chat), chat.service.wallet
        await chat.press_data(f"m::{model.id}", message_id=(await chat.last())["message_id"])
        await chat.say("a cat")
        waiting = await chat.last()
        for number in range(14):
            wallet.pay(f"telegram:{USER}", charge_id=f"stx{number}")
            wallet.top_ups[-1].receipt_number = f"A-{number:06}" if number % 2 else ""
        wallet.balances[f"telegram:{USER}"] = 5
        await chat.say("/balance")
        starts = [waiting, await chat.last()]
        screen = credited_screen(
            amount=100,
            paid_debt=0,
            wallet=Wallet(balance=100),
            top_up_id=wallet.top_ups[0].id,
            number="",
            draft=json.loads(chat.session)["draft"]["id"][:TAG_LENGTH],
            language="en",
        )
        await crawl_rows(crawler, screen.keyboard)
        for shown in starts:
            told = [data for _, data in buttons(shown) if data[0] == "w" or data.startswith("ga")]
            await crawler.crawl(shown, told)
    assert crawler.pressed >= set(MONEY_ACTIONS)


async def test_every_button_that_the_service_causes_does_something() -> None:
    model = model_to_proto(load_catalog().models["topaz/video-upscale"])
    async with chatting(models=(*catalog().models, model)) as chat:
        service, crawler = chat.service, Crawler(chat)
        service.edge.has_links = True
        service.generation.quote.missing_consent = CONSENT_KIND_FACE
        await chat.press_data(f"m::{model.id}", message_id=(await chat.last())["message_id"])
        for is_sent in (False, True):
            await chat.say(files={"document": ("a.mp4", CLIP + bytes(20_000_001), "video/mp4")})
            for link in service.edge.links.values() if is_sent else ():
                link.upload.id = link.upload_id
            shown = await chat.last()
            await crawler.crawl(shown, [data for _, data in buttons(shown)])
        await chat.press("I have sent it", message=shown)
        agreed = await chat.message(shown["message_id"])
        await crawler.crawl(agreed, [data for _, data in buttons(agreed)])
        assert crawler.pressed >= SERVICE_ACTIONS
