"""Looking names up: one that hangs keeps nobody else waiting."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from generation_svc.egress.resolver import MOST_LOOK_UPS, NameResolver

HANGING = "hanging.example"
FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]


class NameServer:
    """What stands for the system's look-ups: it keeps everybody who asks for `HANGING`."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.may_answer = threading.Event()

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked[host] += 1
        if host.endswith(HANGING):
            self.may_answer.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return FOUND


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server)
    yield server
    server.may_answer.set()


async def give_up(resolve: NameResolver, host: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await resolve(host, 443)


async def test_a_name_that_hangs_has_one_look_up_and_stops_no_other(
    name_server: NameServer,
) -> None:
    resolve = NameResolver()
    await asyncio.gather(*(give_up(resolve, HANGING) for _ in range(3 * MOST_LOOK_UPS)))
    assert await resolve("good.example", 443) == ["192.0.2.1"]
    assert name_server.asked == {HANGING: 1, "good.example": 1}


async def test_all_who_wait_for_a_name_get_its_answer(name_server: NameServer) -> None:
    resolve = NameResolver()
    waiting = [asyncio.create_task(resolve(HANGING, 443)) for _ in range(3)]
    await give_up(resolve, HANGING)
    name_server.may_answer.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [socket.gaierror] * 3
    with pytest.raises(socket.gaierror):
        await resolve(HANGING, 443)
    assert name_server.asked[HANGING] == 2


async def test_no_more_names_are_looked_up_at_once_than_there_are_threads(
    name_server: NameServer,
) -> None:
    resolve = NameResolver()
    hosts = [f"{number}.{HANGING}" for number in range(MOST_LOOK_UPS + 5)]
    await asyncio.gather(*(give_up(resolve, host) for host in hosts))
    assert name_server.asked.total() == MOST_LOOK_UPS


async def test_a_name_that_is_none_is_an_error_of_the_caller() -> None:
    with pytest.raises(UnicodeError):
        await NameResolver()("a" * 70 + ".example", 443)
