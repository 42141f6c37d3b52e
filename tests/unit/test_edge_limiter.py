import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from telegram.error import RetryAfter

import edge_bot.telegram.bot  # noqa: F401 - sets how python-telegram-bot gives times
from edge_bot.telegram.limiter import ChatLimiter, RateLimit


def limiter() -> ChatLimiter:
    return ChatLimiter(
        chat=lambda: RateLimit(interval_s=0.05, burst=2),
        overall=RateLimit(interval_s=0.001, burst=100),
    )


class Telegram:
    """Notes when it was called and refuses as often as it was told to."""

    def __init__(self, *refusals: float) -> None:
        self.refusals = [timedelta(seconds=each) for each in refusals]
        self.calls: list[float] = []

    async def __call__(self, *args: Any, **kwargs: Any) -> bool:
        self.calls.append(time.monotonic())
        if self.refusals:
            raise RetryAfter(self.refusals.pop(0))
        return True


async def call(
    limited: ChatLimiter,
    telegram: Telegram,
    *,
    chat: int | None = 7,
    max_wait_s: float | None = None,
    endpoint: str = "sendMessage",
) -> Any:
    data = {} if chat is None else {"chat_id": chat}
    return await limited.process_request(telegram, (), {}, endpoint, data, max_wait_s)


def test_a_pace_lets_a_burst_through_and_then_keeps_its_interval() -> None:
    rate_limit = RateLimit(interval_s=1, burst=3)
    delays = []
    for _ in range(5):
        delays.append(rate_limit.delay_s(100))
        rate_limit.take(100)
    assert delays == [0, 0, 0, 1, 2]


def test_a_pace_forgets_what_is_long_ago() -> None:
    rate_limit = RateLimit(interval_s=1, burst=1)
    rate_limit.take(100)
    assert not rate_limit.is_idle(100.5)
    assert rate_limit.delay_s(101) == 0
    assert rate_limit.is_idle(101)


def test_a_silenced_pace_gives_no_turn() -> None:
    rate_limit = RateLimit(interval_s=1, burst=1)
    rate_limit.silence(110)
    assert rate_limit.delay_s(100) == 10


async def test_messages_in_a_chat_are_spread() -> None:
    limited, telegram = limiter(), Telegram()
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(call(limited, telegram))
    assert telegram.calls[-1] - telegram.calls[0] >= 0.14


async def test_chats_do_not_wait_for_each_other() -> None:
    limited = ChatLimiter(
        chat=lambda: RateLimit(interval_s=3600, burst=1),
        overall=RateLimit(interval_s=0.001, burst=100),
    )
    telegram = Telegram()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for chat in range(20):
            group.create_task(call(limited, telegram, chat=chat))
    assert len(telegram.calls) == 20


async def test_all_chats_together_keep_the_overall_pace() -> None:
    limited = ChatLimiter(overall=RateLimit(interval_s=0.02, burst=1))
    telegram = Telegram()
    async with asyncio.TaskGroup() as group:
        for chat in range(6):
            group.create_task(call(limited, telegram, chat=chat))
    assert telegram.calls[-1] - telegram.calls[0] >= 0.09


async def test_a_429_is_waited_out_and_the_call_made_again() -> None:
    limited, telegram = limiter(), Telegram(0.1)
    assert await call(limited, telegram)
    assert telegram.calls[1] - telegram.calls[0] >= 0.1


async def test_a_429_silences_its_chat_only() -> None:
    limited, telegram = limiter(), Telegram(30)
    with pytest.raises(RetryAfter):
        await call(limited, telegram, max_wait_s=1)
    assert await call(limited, telegram, chat=8, max_wait_s=0)
    with pytest.raises(RetryAfter):
        await call(limited, telegram, max_wait_s=1)
    assert len(telegram.calls) == 2


async def test_a_turn_beyond_the_patience_is_refused_without_a_call() -> None:
    limited, telegram = limiter(), Telegram()
    for _ in range(2):
        await call(limited, telegram)
    with pytest.raises(RetryAfter) as refused:
        await call(limited, telegram, max_wait_s=0.01)
    assert isinstance(refused.value.retry_after, timedelta)
    assert len(telegram.calls) == 2


@pytest.mark.parametrize(
    ("chat", "endpoint"), [(None, "answerCallbackQuery"), (7, "sendChatAction")]
)
async def test_what_is_no_message_never_waits(chat: int | None, endpoint: str) -> None:
    limited, telegram = limiter(), Telegram()
    for _ in range(10):
        assert await call(limited, telegram, chat=chat, endpoint=endpoint, max_wait_s=0)
