"""A caller who sends harmful files, eight at once, until it is told to stop: in a process apart.

    python -m tests.e2e.attacker ADDRESS TOKEN

It ends with an error where a file is not refused, not in time, or not in the words that it
deserves; else it prints how many it sent.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from itertools import count, cycle

import grpc
from pydantic import SecretStr

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_client import GenerationClient, connect
from tests.attack import attacks

AT_ONCE = 8
REFUSED_WITHIN_S = 30.0
PIECE_BYTES = 2**20
_owners = count(1)


async def attack(client: GenerationClient, name: str) -> None:
    """Send a file as an input, and see that it is refused with the words that it deserves."""
    data, words = attacks()[name]
    async with asyncio.timeout(REFUSED_WITHIN_S):
        said = await _refusal(client, data, owner=f"telegram:{next(_owners)}")
    assert re.search(words, said), f"{name}: {said!r}"


async def _refusal(client: GenerationClient, data: bytes, *, owner: str) -> str:
    call = client.generation.UploadInput(_messages(data, owner=owner))
    code = await call.code()
    assert code is grpc.StatusCode.INVALID_ARGUMENT, code
    return await call.details() or ""


def _messages(data: bytes, *, owner: str) -> Iterator[pb.UploadInputRequest]:
    for start in range(0, len(data), PIECE_BYTES):
        piece = data[start : start + PIECE_BYTES]
        yield pb.UploadInputRequest(owner=owner if start == 0 else "", data=piece)


async def _attack_on(client: GenerationClient, stop: asyncio.Event, *, first: int) -> int:
    """Attack until it is enough; return how often."""
    names = [*attacks()]
    for sent, name in enumerate(cycle(names[first:] + names[:first])):
        if stop.is_set():
            return sent
        await attack(client, name)
    raise AssertionError("there are no attacks")


async def _main(address: str, token: str) -> None:
    stop = asyncio.Event()
    attacks()  # made now, not while they should be sent
    async with connect(address, token=SecretStr(token)) as client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(_attack_on(client, stop, first=n)) for n in range(AT_ONCE)]
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        stop.set()
        sent = await asyncio.gather(*tasks)
        await asyncio.gather(*(attack(client, name) for name in attacks()))
    sys.stdout.write(f"{sum(sent)}\n")


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
