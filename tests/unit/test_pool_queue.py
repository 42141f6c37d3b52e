"""The line before the connections: in order, as long as it moves, and no place is ever lost."""

import asyncio

import pytest
from psycopg_pool import PoolTimeout

from generation_svc.storage.pool_queue import PoolQueue


class Crowd:
    """People who go through a queue, each for as long as the gate is shut."""

    def __init__(self, pool_queue: PoolQueue) -> None:
        self.pool_queue = pool_queue
        self.entered: list[int] = []
        self.gate = asyncio.Event()

    def come(self, count: int) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self._go(number)) for number in range(count)]

    async def _go(self, number: int) -> None:
        async with self.pool_queue.slot():
            self.pool_queue.move()
            self.entered.append(number)
            await self.gate.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_as_many_as_there_are_places_go_in_and_the_others_in_order() -> None:
    crowd = Crowd(PoolQueue(2, max_wait_seconds=10))
    people = crowd.come(50)
    await settle()
    assert crowd.entered == [0, 1]
    crowd.gate.set()
    await asyncio.gather(*people)
    assert crowd.entered == list(range(50))


async def test_who_leaves_the_line_takes_no_place_along() -> None:
    crowd = Crowd(PoolQueue(1, max_wait_seconds=10))
    people = crowd.come(10)
    await settle()
    for each in people[1:9]:
        each.cancel()
    people[0].cancel()  # who is inside goes at the same moment
    await asyncio.wait(people[:9])
    crowd.gate.set()
    await people[9]
    assert crowd.entered == [0, 9]


async def test_a_line_that_does_not_move_is_sent_away_and_one_that_moves_is_not() -> None:
    crowd = Crowd(PoolQueue(1, max_wait_seconds=0.05))
    people = crowd.come(3)
    for stuck in people[1:]:
        with pytest.raises(PoolTimeout):
            await stuck
    waiting = crowd.come(1)[0]
    mover = asyncio.get_running_loop().create_task(_keep_moving(crowd))
    crowd.gate.set()
    await asyncio.gather(people[0], waiting, mover)
    assert crowd.entered == [0, 0]


async def _keep_moving(crowd: Crowd) -> None:
    for _ in range(10):
        crowd.pool_queue.move()
        await asyncio.sleep(0.01)
