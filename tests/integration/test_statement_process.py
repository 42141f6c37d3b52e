"""The processes that write documents about money: what ends them, and what that does to whom."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from generation_svc.domain.error import Overloaded, Unavailable
from generation_svc.domain.receipt import Receipt
from generation_svc.domain.statement import MOST_LINES, Statement, StatementFile, StatementForm
from generation_svc.media.decoder.child import ChildLimits
from generation_svc.media.scratch import open_scratch
from generation_svc.server.statement import (
    LIMITS,
    MOST_WAITING,
    ProcessStatementWriter,
    open_statement_writer,
)
from generation_svc.statement.file import write_file
from generation_svc.statement.receipt import write_receipt
from tests.integration.test_media_decoder import frozen, is_alive, of_process, running
from tests.unit.test_receipt import NOON, top_up
from tests.unit.test_statement import statement

SHORT, LONG = statement(), statement(count=MOST_LINES)
PATIENT = replace(LIMITS, wall_seconds=300)
"""It stands back for everything else: how long it takes depends on what a machine does besides."""


@asynccontextmanager
async def writing(
    folder: Path, limits: ChildLimits = PATIENT
) -> AsyncIterator[ProcessStatementWriter]:
    with open_scratch(folder / "scratch") as scratch:
        async with open_statement_writer(scratch, limits=limits) as writer:
            yield writer


async def written(
    writer: ProcessStatementWriter, made: Statement = SHORT, *, who: str = "edge/1"
) -> StatementFile:
    caller, _, owner = who.partition("/")
    told = replace(made, owner=owner)
    return await writer.statement(told, form=StatementForm.PDF, caller=caller)


@pytest.mark.parametrize("form", StatementForm)
async def test_a_document_is_what_it_would_be_here(tmp_path: Path, form: StatementForm) -> None:
    receipt = Receipt(top_up(), paid="1 XTR", time=NOON, language="ru")
    async with writing(tmp_path) as writer:
        made = await writer.statement(LONG, form=form, caller="edge")
        assert made == write_file(LONG, form)
        assert await writer.receipt(receipt, caller="edge") == write_receipt(receipt)
        assert len(writer.children.pids) == 1
        assert [each.name for each in writer.scratch.folder.iterdir()] == ["lock"]


async def test_its_process_knows_no_secret_and_nothing_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIE_API_KEY", "a key that stays here")
    async with writing(tmp_path) as writer:
        assert writer.children.pids == set()
        await written(writer)
        (pid,) = writer.children.pids
        assert "a key that stays here" not in of_process(pid, "environ")
        for library in ("grpc", "psycopg", "pydantic"):
            assert library not in of_process(pid, "maps")
    assert not is_alive(pid)


async def test_a_process_that_is_lost_is_made_up_for(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer, running(written(writer, LONG)) as (made,):
        os.kill(await frozen(writer.children), signal.SIGKILL)
        assert isinstance(await made, StatementFile)


async def test_one_that_does_not_end_is_ended_and_the_next_one_is_written(tmp_path: Path) -> None:
    async with writing(tmp_path, replace(LIMITS, wall_seconds=0.001)) as writer:
        with pytest.raises(Unavailable, match="document"):
            await written(writer, LONG)
        assert writer.children.pids == set()
    async with writing(tmp_path, replace(LIMITS, memory_bytes=64 * 2**20)) as writer:
        with pytest.raises(Unavailable, match="document"):
            await written(writer, LONG)


async def test_who_gives_up_stops_the_work(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        async with running(written(writer, LONG)):
            pid = await frozen(writer.children)
        assert not is_alive(pid)
        assert (await written(writer)).mime_type == "application/pdf"


async def test_a_caller_who_wants_many_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        many = [written(writer, LONG, who=f"shop/{n}") for n in range(6)]
        async with running(*many) as tasks:
            await frozen(writer.children)
            assert (await written(writer, who="edge/1")).data
            assert not any(task.done() for task in tasks)


async def test_more_than_can_wait_are_told_to_come_again(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer, running(written(writer, LONG)):
        await frozen(writer.children)
        more = [written(writer, who=f"edge/{n}") for n in range(2, MOST_WAITING + 4)]
        async with running(*more) as tasks:
            done, _ = await asyncio.wait(tasks, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            assert {type(task.exception()) for task in done} == {Overloaded}
