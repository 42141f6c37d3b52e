"""A service that hangs: who asks for something reads that it takes longer, and gets it once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from edge_bot.update.waiting_notice import NOTICE_S
from edge_bot.view.notice import takes_longer
from generation_svc.domain.money import MoneyMode
from tests.e2e.person import Person
from tests.e2e.program import Program, until
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(service={"MONEY": MoneyMode.TEST, "STAR_PACKS": "small=100:100"})
SOON_S = NOTICE_S + 4
"""A person reads something by then, on a slow machine too."""


@contextmanager
def hanging(program: Program) -> Iterator[None]:
    os.kill(program.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(program.pid, signal.SIGCONT)


async def texts(person: Person) -> list[str]:
    return [str(each.get("text", "")) for each in await person.heard()]


async def test_who_asks_while_the_service_hangs_is_told_so_and_answered_once(
    running: Stack,
) -> None:
    person = await running.telegram.person(language_code="ru")
    await person.says("/balance")
    await person.reads("Баланс")
    clock = asyncio.get_running_loop().time
    with hanging(running.service):
        asked_at = clock()
        await person.says("/balance")
        await person.says("/receipts")
        await person.reads(takes_longer("ru"))
        assert clock() - asked_at < SOON_S

    async def is_answered() -> bool:
        told = await texts(person)
        return any("Квитанции" in each for each in told) and takes_longer("ru") not in told

    await until(is_answered, within_s=60, what="the answers, and no notice any more")
    told = await texts(person)
    assert [each.split("\n")[0] for each in told] == ["Баланс", "Баланс", "Квитанции"], told
    sent = await person.calls("sendMessage")
    assert sum(call["params"]["text"] == takes_longer("ru") for call in sent) == 1
