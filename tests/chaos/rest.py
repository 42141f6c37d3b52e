"""What the processes hold while nothing is to be done, and when that is so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.chaos.star_view import all_stars_are_known
from tests.e2e.history import OWN_NAME
from tests.e2e.program import Program
from tests.e2e.stack import Stack

QUIET_S = 2.0
"""How long nothing may happen until that counts as quiet."""
_OPEN_WORK = """
SELECT (SELECT count(*) FROM job WHERE state IN ('queued', 'running'))
     + (SELECT count(*) FROM delivery WHERE state IN ('pending', 'leased', 'begun'))
     + (SELECT count(*) FROM callback_receipt WHERE apply_time IS NULL)
     + (SELECT count(*) FROM attempt WHERE state = 'succeeded')
     + (SELECT count(*) FROM hold WHERE state = 'open' AND NOT EXISTS (
            SELECT FROM attempt WHERE attempt.job_id = hold.job_id AND attempt.state = 'unknown'))
     + (SELECT count(*) FROM top_up WHERE state = 'refunding')
"""
_SESSIONS = """
SELECT count(*) AS connections, count(*) FILTER (
    WHERE state LIKE 'idle in trans%%' AND state_change < now() - interval '5 s') AS open
FROM pg_stat_activity WHERE datname = current_database() AND application_name <> %(own_name)s
"""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What a process holds at one moment."""

    process: str
    tasks: float
    fds: float
    memory_bytes: float


@dataclass(frozen=True, kw_only=True)
class Rest:
    """What everything holds while nothing is to be done."""

    samples: tuple[Sample, ...] = ()
    database_connections: int = 0
    open_transactions: int = 0


async def rest_of(stack: Stack) -> Rest:
    """Look at every process and at the database."""
    sessions = (await stack.history.rows(_SESSIONS, own_name=OWN_NAME))[0]
    return Rest(
        samples=tuple([await _sample(each) for each in stack.programs]),
        database_connections=sessions["connections"],
        open_transactions=sessions["open"],
    )


async def becomes_quiet(stack: Stack, *, within_s: float) -> bool:
    """Wait until there is no open work and no callback on its way; False if that never comes."""
    deadline = asyncio.get_running_loop().time() + within_s
    while asyncio.get_running_loop().time() < deadline:
        before = await _heard(stack)
        await asyncio.sleep(QUIET_S)
        is_done = not await stack.history.value(_OPEN_WORK) and await all_stars_are_known(stack)
        if is_done and await _heard(stack) == before:
            return True
    return False


async def _heard(stack: Stack) -> int:
    """Count what happens at all."""
    callbacks = int((await stack.kie.counters())["callbacks"])
    return callbacks + int(await stack.history.value("SELECT count(*) FROM job_event"))


async def _sample(program: Program) -> Sample:
    return Sample(
        process=program.name,
        tasks=await program.metric("asyncio_tasks"),
        fds=await program.metric("process_open_fds"),
        memory_bytes=await program.metric("process_resident_memory_bytes"),
    )
