"""A replica of an earlier release beside the stack's own, and what becomes of paid jobs there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from atelier.generation.v1.job_pb2 import Job
from generation_client import connect
from tests.e2e.caller import TOKENS
from tests.e2e.program import Program, until
from tests.e2e.stack import Stack, serves
from tests.port import free_address
from tests.release import unpack_code

RELEASE = "0.2.0"


def older(running: Stack, folder: Path, *, release: str = RELEASE, listen: str = "") -> Program:
    """Return a service of an earlier release, on the database of the stack."""
    listen, metrics = listen or free_address(), free_address()
    changes = {
        "PYTHONPATH": unpack_code(folder / "code", release=release),
        "GENERATION_CALLERS_FILE": "",  # it knows no right to a wallet
        "GENERATION_LISTEN": listen,
        "METRICS_LISTEN": metrics,
    }
    return Program(
        name=release,
        module="generation_svc",
        folder=folder / release,
        env={**running.service.env, **changes},
        is_ready=partial(serves, listen),
        metrics_address=metrics,
    )


@asynccontextmanager
async def started(running: Stack, older: Program) -> AsyncIterator[Stack]:
    """Run an earlier release, and give the stack as it is through it."""
    older.start()
    try:
        await older.ready()
        address = older.env["GENERATION_LISTEN"]
        async with connect(address, token=SecretStr(TOKENS["caller"])) as client:
            yield replace(running, client=client)
    finally:
        await older.stop()


async def are_all(running: Stack, jobs: Sequence[Job], state: str) -> None:
    """Wait until the attempts of jobs are in a state."""
    query = "SELECT state FROM attempt WHERE job_id = ANY(%(ids)s::uuid[])"

    async def are() -> bool:
        rows = await running.history.rows(query, ids=[each.id for each in jobs])
        return [row["state"] for row in rows] == [state] * len(jobs)

    await until(are, within_s=30, what=f"attempts that are {state}")


async def end_of(running: Stack, paid: Sequence[Job]) -> None:
    """Wait until paid jobs have ended, and let what is claimed meanwhile be claimed again at once.

    The earlier release claims them as often as this one does, and then nobody does for minutes.
    """
    ids = [each.id for each in paid]
    over = "SELECT id FROM job WHERE id = ANY(%(ids)s::uuid[]) AND state IN ('succeeded', 'failed')"

    async def are_over() -> bool:
        await running.history.rows(
            "UPDATE attempt SET fetch_time = now() WHERE state = 'succeeded'"
        )
        await running.history.rows("UPDATE attempt SET read_time = now() WHERE state = 'accepted'")
        return len(await running.history.rows(over, ids=ids)) == len(ids)

    await until(are_over, within_s=30, what="the end of the paid jobs")
