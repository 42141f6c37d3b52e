"""The turns in which uploads are read from."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import cast

import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.domain.caller import Caller
from generation_svc.domain.error import CallTooLong
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.upload import MOST_READ, UploadMessages, UploadTurns

TIMEOUT = timedelta(milliseconds=100)


class Sender:
    """What a handler reads from: a client that sends its message at once, or never."""

    def __init__(self, message: pb.UploadInputRequest | None) -> None:
        self._message = message

    async def read(self) -> pb.UploadInputRequest:
        if self._message is None:
            await asyncio.Event().wait()
        assert self._message is not None
        return self._message


def sending(message: pb.UploadInputRequest | None) -> ServicerContext:
    return cast(ServicerContext, Sender(message))


async def test_the_time_of_a_sender_begins_with_its_turn() -> None:
    turns, sender = asyncio.Semaphore(0), sending(pb.UploadInputRequest(owner="ann", data=b"x"))
    reading = asyncio.create_task(UploadMessages(sender, turns=turns, timeout=TIMEOUT).begin())
    asyncio.get_running_loop().call_later(3 * TIMEOUT.total_seconds(), turns.release)
    assert await reading == "ann"


async def test_a_sender_who_sends_nothing_in_its_turn_is_given_up() -> None:
    turns = asyncio.Semaphore(1)
    with pytest.raises(CallTooLong):
        await UploadMessages(sending(None), turns=turns, timeout=TIMEOUT).begin()
    assert not turns.locked()


async def test_each_caller_has_turns_of_its_own() -> None:
    turns = UploadTurns()
    for _ in range(MOST_READ):
        await turns.of(Caller("one")).acquire()
    assert turns.of(Caller("one")).locked()
    assert not turns.of(Caller("other")).locked()
