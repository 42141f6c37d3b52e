"""How fast a queue that lies in the database is sent, and how fast what was sent ends.

Nobody calls: a replica finds the jobs there. The provider holds what it took until it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, LiteralString

import httpx2
import psycopg

from tests.bench.life import RAISED
from tests.bench.load import Sample
from tests.bench.world import Part, World, running
from tests.e2e.program import until
from tests.port import free_address

HELD_S = 36_000.0
SPARE = 20
"""How many more may be sent: the provider still holds what was sent while others ended."""
WITHIN_S = 300.0
"""How long a round may take on a machine that is busy."""
_SENT = "SELECT count(*) FROM attempt WHERE state = 'accepted' AND accept_time >= %s"
_SENT_AT: LiteralString = (
    "SELECT extract(epoch FROM accept_time)::float8 FROM attempt"
    " WHERE accept_time >= %s ORDER BY accept_time LIMIT %s"
)
_SENT_TO: LiteralString = (
    "SELECT job.caller FROM attempt JOIN job ON job.id = attempt.job_id"
    " WHERE accept_time >= %s ORDER BY submit_time LIMIT %s"
)
_ENDED = "SELECT count(*) FROM job WHERE state = 'succeeded' AND update_time >= %s"
_ENDED_AT: LiteralString = (
    "SELECT extract(epoch FROM update_time)::float8 FROM job"
    " WHERE state = 'succeeded' AND update_time >= %s ORDER BY update_time LIMIT %s"
)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A database whose jobs wait, and a provider that holds what it takes."""

    world: World
    url: str
    kie: Part
    listen: str

    @classmethod
    def on(cls, world: World, url: str) -> Queue:
        """Return the queue of a database."""
        kie = world.bare("kie", DURATION_S=str(HELD_S))
        return cls(world=world, url=url, kie=kie, listen=free_address())

    async def send(self, count: int) -> tuple[Sample, Sequence[str]]:
        """Send so many: the rate and the gaps from each to the next, and the callers in order."""
        began = await self._now()
        most = {"KIE_MAX_CONCURRENT": str(count + SPARE)}
        async with running(self._service(**RAISED | most)):
            await self._until(_SENT, since=began, count=count)
        callers = await self._asked(_SENT_TO, began, count)
        return _rate(await self._asked(_SENT_AT, began, count)), callers

    async def end(self, count: int) -> Sample:
        """Have the provider end what it took, and return the rate of the ends."""
        service = self._service(KIE_CREATE_LIMIT="1")  # almost nothing new is sent meanwhile
        gateway = self.world.gateway(service.address, listen=self.listen)
        async with running(service, gateway), httpx2.AsyncClient(trust_env=False) as http:
            began = await self._now()
            (await http.put(f"http://{self.kie.address}/end")).raise_for_status()
            await self._until(_ENDED, since=began, count=count)
        return _rate(await self._asked(_ENDED_AT, began, count), since=began)

    def _service(self, **settings: str) -> Part:
        back = f"http://{self.listen}"
        return self.world.service(
            self.url, kie=self.kie.address, CALLBACK_BASE_URL=back, **settings
        )

    async def _until(self, question: LiteralString, *, since: datetime, count: int) -> None:
        async def are_there() -> bool:
            (found,) = await self._asked(question, since)
            return int(found) >= count

        await until(are_there, within_s=WITHIN_S, what=f"{count} of a queue")

    async def _now(self) -> datetime:
        (now,) = await self._asked("SELECT clock_timestamp()")
        assert isinstance(now, datetime)
        return now

    async def _asked(self, question: LiteralString, *values: object) -> list[Any]:
        connect = psycopg.AsyncConnection.connect(self.url, autocommit=True)
        async with await connect as connection:
            cursor = await connection.execute(question, values or None)
            return [value for (value,) in await cursor.fetchall()]


def _rate(times: Sequence[float], *, since: datetime | None = None) -> Sample:
    """Return how many there were a second, and the gaps between them."""
    moments = [since.timestamp(), *times] if since else list(times)
    gaps = [after - before for before, after in pairwise(moments)]
    return Sample(gaps, (len(moments) - 1) / max(moments[-1] - moments[0], 1e-6))
