"""The door in the chat: a person finds a model, fills in its form, agrees, and gets the result.

The required fields are given in English by way of the shelves, all fields in Russian by the
model's name; earlier results are chosen from the list once and replied to the other time.
"""

from __future__ import annotations

from atelier.generation.v1.job_pb2 import Job
from edge_bot.view.button import Action, Again, JobAction, TakeResult
from edge_bot.view.button_data import decode
from edge_bot.view.language import Texts, texts
from generation_svc.domain.media_input import parse_reference
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject
from tests.e2e.every_model.arrival import arrived
from tests.e2e.every_model.chat import Chat, Chats
from tests.e2e.every_model.door import Received
from tests.e2e.every_model.form_reader import FormReader
from tests.e2e.every_model.form_walk import FormWalk
from tests.e2e.every_model.plain_walk import ask_plainly, askable, has_more, opened_form
from tests.e2e.every_model.sample import Samples
from tests.e2e.every_model.screen import Json, Screen, buttons_of, screen_of
from tests.e2e.every_model.shelf_walk import find_by_name, find_on_shelf

MOST_PAGES = 5


class ChatDoor:
    """One person who tries one model."""

    name = "chat"

    def __init__(self, chats: Chats, samples: Samples) -> None:
        self._chats, self._samples = chats, samples
        self._chat: Chat | None = None
        self._language = "en"
        self._asked: dict[str, Screen] = {}
        """The summary of each job as it was confirmed."""

    def askable(self, model: Model, inputs: JsonObject) -> JsonObject:
        """Return what the chat gives a model."""
        if model.is_free:
            return askable(model, inputs)
        return {name: value for name, value in inputs.items() if name not in model.operator_fields}

    async def create(self, model: Model, inputs: JsonObject, *, way: str) -> str:
        """Have a job made as a person does, and return its id."""
        self._language = "en" if way == "required" else "ru"
        self._chat = self._chat or await self._chats.begin()
        await self._chat.speak(self._language)
        await self._chat.say("/start")
        find = find_on_shelf if way == "required" else find_by_name
        screen = await find(self._chat, model, language=self._language)
        summary = await self._filled(self._chat, screen, model=model, wanted=inputs)
        return await self._confirmed(self._chat, summary, model=model)

    async def received(self, model: Model, job: Job) -> list[Received]:
        """Return the files that arrived in the chat."""
        assert self._chat is not None
        summary, title = self._asked[job.id], str(getattr(model.title, self._language))
        _check_price(summary, job, speak=texts(self._language))
        return await arrived(self._chat, job, after=summary.message_id - 1, title=title)

    def file(self, text: str) -> tuple[str, bytes]:
        """Return the file that an input text stands for."""
        return self._samples.files[text]

    async def refer(self, screen: Screen, text: str) -> Screen:
        """Choose an earlier result from the list, or reply to it."""
        reference = parse_reference(text)
        assert reference is not None, text
        assert self._chat is not None
        job_id = str(reference.job_id)
        if self._language == "ru" and reference.number == 1:
            return await self._chat.say("Вот этот", reply_to=await self._result_of(job_id))
        speak = texts(self._language)
        screen = await self._chat.press(screen, speak.plain("📂 One of my results"))
        for _ in range(MOST_PAGES):
            for label, data in screen.buttons:
                if _is_meant(decode(data), job_id, reference.number, has_number="/" in text):
                    return await self._chat.press(screen, label)
            screen = await self._chat.press(screen, "▶")
        raise AssertionError(f"the earlier result is not offered: {screen}")

    async def _filled(
        self, chat: Chat, screen: Screen, *, model: Model, wanted: JsonObject
    ) -> Screen:
        reader = FormReader(model, self._language)
        if model.is_free:
            screen = await ask_plainly(
                chat, screen, model=model, wanted=wanted, reader=reader, things=self
            )
            if not has_more(model, wanted):
                return screen
            screen = await opened_form(chat, screen, speak=reader.speak)
        walk = FormWalk(chat, model, wanted, reader, things=self)
        return await walk.to_the_end(screen)

    async def _confirmed(self, chat: Chat, summary: Screen, *, model: Model) -> str:
        """Press the button that begins, and wait until a message is about a new job.

        Who is asked for consent only now agrees and presses once more.
        """
        speak = texts(self._language)
        agree = speak.plain("✓ I agree")
        draw, create = speak.plain("✨ Generate"), speak.plain("✨ Create")
        label = draw if summary.data_of(draw) else create
        await chat.touch(summary, label)

        def find() -> str | Screen | None:
            told = chat.heard(after=summary.message_id - 1)
            return _question(told, summary, agree=agree) or self._new_job(told)

        found: str | Screen = await chat.see(find, what="a job")
        if isinstance(found, Screen):
            again = await chat.press(found, agree)
            return await self._confirmed(chat, again, model=model)
        self._asked[found] = summary
        return found

    def _new_job(self, told: list[Json]) -> str | None:
        known = [each for message in told for each in _jobs_of(message)]
        return next((each for each in known if each not in self._asked), None)

    async def _result_of(self, job_id: str) -> int:
        """Wait for the message that offers a result again; return its number."""
        assert self._chat is not None
        chat = self._chat

        def find() -> int | None:
            for message in chat.heard(after=0):
                actions = [decode(data) for _, data in buttons_of(message)]
                if any(isinstance(each, Again) and each.job_id == job_id for each in actions):
                    return int(message["message_id"])
            return None

        return await chat.see(find, what="the message of an earlier result")


def _is_meant(action: Action | None, job_id: str, number: int, *, has_number: bool) -> bool:
    """Return whether a button stands for a thing of a job."""
    if not isinstance(action, TakeResult) or action.job_id != job_id:
        return False
    return not has_number or action.number == number


def _question(told: list[Json], summary: Screen, *, agree: str) -> Screen | None:
    """Return the screen that asks for consent, if there is one; fail if the job is refused."""
    for screen in filter(None, map(screen_of, told)):
        assert screen == summary or not screen.is_refusal, f"is refused: {screen}"
        if screen.data_of(agree):
            return screen
    return None


def _jobs_of(message: Json) -> list[str]:
    """Return the jobs that the buttons of a message are about."""
    actions = [decode(data) for _, data in buttons_of(message)]
    return [each.job_id for each in actions if isinstance(each, JobAction)]


def _check_price(summary: Screen, job: Job, *, speak: Texts) -> None:
    """Hold the price that a person confirmed against that of the job."""
    if job.price.is_free:
        is_told = speak.plain("Free") in summary.bold or speak.html("Price: free.") in summary.text
        assert is_told, f"is free: {summary}"
        return
    number = int(job.price.credits or 0)
    told = speak.count("{n} credit", "{n} credits", number)
    if job.price.is_ceiling:
        told = speak.count("At most {n} credit", "At most {n} credits", number)
    assert not number or told in summary.bold, f"costs {told}: {summary}"
