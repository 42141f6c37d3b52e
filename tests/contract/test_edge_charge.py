"""A user who hears what a job cost, what came back, and what became of a payment."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from atelier.generation.v1 import job_pb2
from atelier.wallet.v1.top_up_pb2 import Pack
from atelier.wallet.v1.transfer_pb2 import TRANSFER_KIND_DEBT_PAYMENT, TRANSFER_KIND_TOP_UP
from edge_bot.conversation.handler.late_payment import MAX_REMEMBERED
from edge_bot.conversation.interaction import MAX_SENT
from edge_bot.view.language import texts
from edge_bot.view.outcome import cancelled_screen, failure_screen, result_caption
from edge_bot.view.progress import cancel_question_screen
from generation_client import GenerationError
from tests.contract.edge_chat import Chat, chatting
from tests.contract.edge_harness import Harness, delivery, failed, harness, succeeded
from tests.contract.test_edge_money import LANGUAGES, OWNER, buy, invoice, wallet
from tests.edge_model import USER, job
from tests.integration.sandbox_telegram import picture

PHOTO = {"photo": ("cat.png", picture(), "image/png")}

MONEY_WORDS = ("credit", "charged", "cost", "кредит", "списан", "стоимость")


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with chatting(is_sold=True) as chat:
        yield chat


@pytest.fixture
async def edge() -> AsyncIterator[Harness]:
    async with harness() as edge:
        yield edge


def priced(
    state: job_pb2.JobState.ValueType, *, price: int = 12, charged: int | None = None
) -> job_pb2.Job:
    made = job(state)
    made.price.credits = f"{price}"
    if charged is not None:
        made.charged_credits = charged
    return made


def caption(*, charged: int, language: str = "en", balance: int | None = None) -> str:
    made = priced(job_pb2.JOB_STATE_SUCCEEDED, charged=charged)
    return result_caption(made, language, balance=balance)


def test_a_result_tells_what_it_cost_what_came_back_and_what_is_left() -> None:
    assert "Cost: 12 credits. You have 1,088 credits." in caption(charged=12, balance=1088)
    assert "Cost: 9 credits. 3 credits came back." in caption(charged=9)
    assert "Nothing was charged. 12 credits came back." in caption(charged=0)
    told = "Стоимость: 11 кредитов. Вернулся 1 кредит. На балансе 21 кредит."
    assert told in caption(charged=11, balance=21, language="ru")


def test_a_failure_says_that_its_credits_came_back() -> None:
    screen = failure_screen(priced(job_pb2.JOB_STATE_FAILED), "ru", balance=12_000)
    told = "Ничего не списано. Вернулось 12 кредитов. На балансе 12\u00a0000 кредитов."
    assert told in screen.text


def test_a_cancelled_job_says_what_becomes_of_its_credits() -> None:
    running = priced(job_pb2.JOB_STATE_RUNNING)
    assert "If the model finishes it" in cancel_question_screen(running, "en").text
    open_ = priced(job_pb2.JOB_STATE_CANCELLED)
    assert "If the model finishes it" in cancelled_screen(open_, "en").text
    free_again = priced(job_pb2.JOB_STATE_CANCELLED, charged=0)
    assert "12 credits came back." in cancelled_screen(free_again, "en").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_free_job_never_says_a_word_of_credits(language: str) -> None:
    texts_ = [
        result_caption(job(job_pb2.JOB_STATE_SUCCEEDED), language, balance=5),
        failure_screen(job(job_pb2.JOB_STATE_FAILED), language, balance=5).text,
        cancelled_screen(job(job_pb2.JOB_STATE_CANCELLED), language).text,
        cancel_question_screen(job(job_pb2.JOB_STATE_RUNNING), language).text,
    ]
    for text in texts_:
        assert not any(word in text.lower() for word in MONEY_WORDS)


async def test_a_paid_result_is_sent_with_the_balance(edge: Harness) -> None:
    desk = edge.service.wallet
    desk.balances[OWNER] = 88
    for made in (succeeded(edge.media()), failed()):
        made.owner, made.price.credits = OWNER, "12"
        made.charged_credits = 12
        edge.service.delivery.offer(delivery(made))
    await edge.telegram.started(USER)
    async with edge.sending():
        await edge.service.delivery.outcome()
        await edge.service.delivery.outcome()
    told = [str(each.get("caption") or each.get("text")) for each in await edge.messages()]
    assert sum("You have 88 credits." in each for each in told) == 2


@pytest.mark.parametrize("trouble", ["refused", "silent"])
async def test_a_result_comes_without_the_balance_if_nobody_tells_it(
    edge: Harness, trouble: str
) -> None:
    if trouble == "silent":
        edge.service.wallet.hangs.add("GetBalance")
    else:
        edge.service.wallet.refuse_with("GetBalance", "", grpc.StatusCode.UNAVAILABLE)
    made = succeeded(edge.media())
    made.owner, made.price.credits, made.charged_credits = OWNER, "12", 12
    await edge.telegram.started(USER)
    edge.service.delivery.offer(delivery(made))
    async with edge.sending():
        await edge.service.delivery.outcome(within_s=10)
    [message] = [each for each in await edge.messages() if "photo" in each]
    assert "Cost: 12 credits." in message["caption"]
    assert "You have" not in message["caption"]


async def test_a_free_result_asks_for_no_balance(edge: Harness) -> None:
    await edge.telegram.started(USER)
    edge.service.delivery.offer(delivery(succeeded(edge.media())))
    async with edge.sending():
        await edge.service.delivery.outcome()
    assert not edge.service.wallet.asked("GetBalance")


async def test_a_payment_that_has_to_wait_is_told_at_once_and_once(chat: Chat) -> None:
    wallet(chat).refuse_with("RecordTopUp", "", grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(GenerationError):
        await buy(chat)
    with pytest.raises(GenerationError):
        await chat.repeat()
    told = [each for each in await chat.from_bot() if "cannot credit it" in str(each)]
    assert len(told) == 1
    wallet(chat).refusals.clear()
    await chat.repeat()
    assert "You have 100 credits." in await chat.last_text()
    assert not chat.context.late_payments


async def test_a_payment_that_was_thanked_for_is_neither_late_nor_thanked_for_again(
    chat: Chat,
) -> None:
    chat.service.edge.writes_left = 3  # the packs, the invoice, and that an answer is begun
    with pytest.raises(GenerationError):
        await buy(chat)
    assert "✅" in await chat.last_text()
    wallet(chat).refuse_with("RecordTopUp", "", grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(GenerationError):
        await chat.repeat()
    wallet(chat).refusals.clear()
    chat.service.edge.writes_left = None
    await chat.repeat()
    told = [str(each) for each in await chat.from_bot() if "payment has arrived" in str(each)]
    assert len(told) == 1
    assert "✅" in told[0]
    assert b"payment:" in chat.session


async def test_a_payment_that_could_not_be_credited_is_not_called_late_afterwards(
    chat: Chat,
) -> None:
    wallet(chat).refuse_with("RecordTopUp", "MONEY_MODE_MISMATCH")
    await buy(chat)
    wallet(chat).refuse_with("RecordTopUp", "", grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(GenerationError):
        await chat.repeat()
    assert not [each for each in await chat.from_bot() if "cannot credit it" in str(each)]


async def test_what_is_remembered_of_answers_is_bounded(chat: Chat) -> None:
    sent = chat.context.sent_replies
    sent.clear()
    sent.update({f"message:{number}": number for number in range(1, MAX_SENT + 1)})
    await chat.say("/help")
    assert len(sent) == MAX_SENT
    assert "message:1" not in sent


async def test_what_is_remembered_of_late_payments_is_bounded(chat: Chat) -> None:
    chat.context.late_payments.update(f"stx{number}" for number in range(MAX_REMEMBERED))
    wallet(chat).refuse_with("RecordTopUp", "", grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(GenerationError):
        await buy(chat)
    assert len(chat.context.late_payments) == 1


async def test_a_payment_says_how_much_of_it_paid_a_debt(chat: Chat) -> None:
    await invoice(chat)
    desk, top_up_id = wallet(chat), "01990000-0000-7000-8000-000000000001"
    for kind, amount in ((TRANSFER_KIND_TOP_UP, 70), (TRANSFER_KIND_DEBT_PAYMENT, 0)):
        desk.move(amount, kind=kind, owner=OWNER, cause_id=top_up_id)
    await buy(chat)
    assert "Of these, 30 went towards your debt." in await chat.last_text()


async def test_a_free_draft_waits_for_no_payment(chat: Chat) -> None:
    await chat.say("a cat")
    await buy(chat)
    assert "payment has arrived" in await chat.last_text()
    assert not any("draft" in label for label in await chat.labels())


@pytest.mark.parametrize(
    ("language", "words"), [("en", "I have paid, approve it"), ("ru", "вот скриншот оплаты")]
)
async def test_a_picture_of_a_payment_is_no_payment(language: str, words: str) -> None:
    async with chatting(language=language, is_sold=True) as chat:
        await chat.say(words, files=PHOTO)
        assert "/paysupport" in await chat.last_text()
        assert not wallet(chat).asked("RecordTopUp")
        await chat.say("make the sky red", files=PHOTO)
        assert "/paysupport" not in await chat.last_text()


async def test_where_nothing_is_sold_no_picture_is_about_a_payment() -> None:
    async with chatting() as chat:
        await chat.say("I have paid", files=PHOTO)
        assert "/paysupport" not in await chat.last_text()


async def test_the_help_names_the_commands_about_money_only_where_it_is(chat: Chat) -> None:
    commands = ("/balance", "/topup", "/receipts", "/paysupport", "/terms")
    await chat.say("/help")
    text = await chat.last_text()
    assert all(each in text for each in commands)
    wallet(chat).is_off = True
    await chat.say("/help")
    text = await chat.last_text()
    assert not any(each in text for each in commands)


async def test_a_blocked_user_is_offered_no_pack(chat: Chat) -> None:
    wallet(chat).fields["is_blocked"] = True
    await chat.say("/topup")
    assert "blocked" in await chat.last_text()
    assert await chat.labels() == ["👛 Balance"]


async def test_another_payment_can_be_asked_about(chat: Chat) -> None:
    for number in range(2):
        wallet(chat).pay(OWNER, charge_id=f"stx{number}")
    await chat.say("/paysupport")
    assert "stx1" in await chat.last_text()
    await chat.press("Another payment")
    first = (await chat.last())["reply_markup"]["inline_keyboard"][1][0]["callback_data"]
    await chat.press_data(first, message_id=(await chat.last())["message_id"])
    await chat.press("Ask about it")
    assert "stx0" in await chat.last_text()


@pytest.mark.parametrize(
    ("language", "shown"),
    [("en", "+1,234,567 credits · ⭐️ 25,000"), ("ru", "+1 234 567 кредитов · ⭐️ 25 000")],
)
async def test_large_numbers_are_grouped(language: str, shown: str) -> None:
    async with chatting(language=language, is_sold=True) as chat:
        wallet(chat).packs = (Pack(id="huge", credits=1_234_567, stars=25_000),)
        await chat.say("/topup")
        assert (await chat.labels())[0].replace("\u00a0", " ") == shown
        assert texts(language).number(25_000) in (await chat.labels())[0]
