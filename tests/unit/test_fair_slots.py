import asyncio
from contextlib import AsyncExitStack

import pytest

from generation_svc.media.decoder.fair_slots import Customer, FairSlots, NoSlot


def places(count: int = 3, *, most_waiting: int = 100, max_wait_seconds: float = 10) -> FairSlots:
    return FairSlots(count, most_waiting=most_waiting, max_wait_seconds=max_wait_seconds)


class Line:
    """People who hold a place until they are told to leave; notes who got one, in order."""

    def __init__(self, at: FairSlots) -> None:
        self._at = at
        self.served: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> "Line":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def come(self, *names: str) -> None:
        for name in names:
            self._leave[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._stay(name))
            await settled()

    async def leave(self, name: str) -> None:
        self._leave[name].set()
        await self._tasks[name]
        await settled()

    async def give_up(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)
        await settled()

    async def _stay(self, name: str) -> None:
        caller, owner, _ = name.split("/")
        async with self._at.place(Customer(caller, owner)):
            self.served.append(name)
            await self._leave[name].wait()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_owner_has_one_place_and_a_caller_never_all() -> None:
    async with Line(places(3)) as line:
        await line.come("alice/1/a", "alice/1/b", "alice/2/a", "alice/3/a")
        assert line.served == ["alice/1/a", "alice/2/a"]
        await line.come("bob/1/a")
        assert line.served[-1] == "bob/1/a"


async def test_a_single_place_is_everybodys_in_turn() -> None:
    async with Line(places(1)) as line:
        await line.come("alice/1/a", "alice/2/a", "alice/3/a", "bob/1/a", "carol/1/a")
        for name in ("alice/1/a", "alice/2/a", "bob/1/a", "carol/1/a", "alice/3/a"):
            assert line.served[-1] == name
            await line.leave(name)


async def test_owners_of_a_caller_are_served_in_rounds() -> None:
    async with Line(places(1)) as line:
        await line.come("a/1/a", "a/1/b", "a/1/c", "a/2/a")
        await line.leave("a/1/a")
        await line.leave("a/1/b")
        assert line.served == ["a/1/a", "a/1/b", "a/2/a"]


async def test_who_gives_up_leaves_the_line() -> None:
    at = places(1)
    async with Line(at) as line:
        await line.come("alice/1/a", "bob/1/a", "carol/1/a")
        await line.give_up("bob/1/a")
        await line.leave("alice/1/a")
        assert line.served == ["alice/1/a", "carol/1/a"]
        assert at.waiting == 0


async def test_a_place_given_to_somebody_who_just_gave_up_goes_on() -> None:
    at = places(1)
    async with AsyncExitStack() as first:
        await first.enter_async_context(at.place(Customer("alice", "1")))
        waiting = asyncio.create_task(_pass_through(at, Customer("bob", "1")))
        await settled()
        closing = asyncio.create_task(first.aclose())
        await asyncio.sleep(0)  # the place is given to bob in this step
        waiting.cancel()
        await asyncio.gather(waiting, closing, return_exceptions=True)
    async with asyncio.timeout(5), at.place(Customer("carol", "1")):
        assert at.waiting == 0


async def _pass_through(at: FairSlots, customer: Customer) -> None:
    async with at.place(customer):
        pass


async def test_the_line_has_a_bound_and_so_has_the_wait() -> None:
    at = places(1, most_waiting=1, max_wait_seconds=0.05)
    async with at.place(Customer("alice", "1")):
        first = asyncio.create_task(_pass_through(at, Customer("bob", "1")))
        await settled()
        with pytest.raises(NoSlot):
            await _pass_through(at, Customer("carol", "1"))
        with pytest.raises(NoSlot):
            await first
    async with asyncio.timeout(5), at.place(Customer("bob", "1")):
        assert at.waiting == 0
