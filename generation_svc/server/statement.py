"""Has statements and receipts written in processes of their own, a few at a time."""

import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from generation_svc.domain.error import NotExamined, Overloaded, Unavailable
from generation_svc.domain.receipt import Receipt
from generation_svc.domain.statement import Statement, StatementFile, StatementForm
from generation_svc.media.decoder.child import ChildLimits, LimitReached
from generation_svc.media.decoder.fair_slots import Customer, FairSlots, NoSlot
from generation_svc.media.decoder.pool import Children
from generation_svc.media.meter import MediaMeter
from generation_svc.media.scratch import Scratch
from runtime.thread import in_thread

PROCESSES = 2
"""How many documents are written at a time; of one caller, one."""
MOST_WAITING = 32
"""How many wait for a process."""
MAX_WAIT_SECONDS = 10.0
"""How long one waits for a process."""
LIMITS = ChildLimits(
    memory_bytes=512 * 2**20, cpu_seconds=10, wall_seconds=20, program="generation_svc.statement"
)
"""The longest statement takes a third of a second and 80 MiB; the wall, on a busy machine."""
_BUSY_RETRY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class ProcessStatementWriter:
    """`StatementWriter` that has others do it."""

    scratch: Scratch
    children: Children
    places: FairSlots

    async def statement(
        self, statement: Statement, *, form: StatementForm, caller: str
    ) -> StatementFile:
        """Return a statement in a form. Raises Overloaded and Unavailable."""
        return await self._write((statement, form), Customer(caller, statement.owner))

    async def receipt(self, receipt: Receipt, *, caller: str) -> StatementFile:
        """Return a receipt. Raises Overloaded and Unavailable."""
        return await self._write((receipt, None), Customer(caller, receipt.top_up.owner))

    async def _write(self, told: object, customer: Customer) -> StatementFile:
        try:
            async with self.places.place(customer), self.scratch.file() as path:
                pickled = await in_thread(partial(pickle.dumps, told), name="statement")
                await self.scratch.append(path, pickled)
                order = {"path": str(path), "size_bytes": len(pickled)}
                answer = await self.children.ask(order)
                data = await self.scratch.read(path)
        except NoSlot as error:
            raise Overloaded("statements and receipts", retry_after=_BUSY_RETRY) from error
        except (LimitReached, NotExamined) as error:
            raise Unavailable("The document cannot be written at the moment.") from error
        return StatementFile(data, answer["mime_type"], answer["name"])


@asynccontextmanager
async def open_statement_writer(
    scratch: Scratch, *, limits: ChildLimits = LIMITS, meter: MediaMeter | None = None
) -> AsyncIterator[ProcessStatementWriter]:
    """Open a writer, whose processes start when they are needed and end with the block."""
    places = FairSlots(PROCESSES, most_waiting=MOST_WAITING, max_wait_seconds=MAX_WAIT_SECONDS)
    async with Children(limits, meter=meter) as children:
        yield ProcessStatementWriter(scratch, children, places)
