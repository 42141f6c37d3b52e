"""What is held for the job in memory, with the same guards as the SQL."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from generation_svc.domain.ledger import Delivered, Hold, HoldState, captured_amount
from tests.model.memory_store import Store, answered

_NOTHING = Delivered(0)


class MemoryLedgerStore(Store):
    @answered
    def hold_of(self, job_id: UUID) -> Hold | None:
        return self._tables.hold

    @answered
    def capture(self, job_id: UUID, delivered: Delivered) -> int | None:
        return self._end(delivered, is_over=True)

    @answered
    def release(self, job_id: UUID, *, is_over: bool = True) -> bool:
        return self._end(_NOTHING, is_over=is_over) is not None

    @answered
    def lower(self, job_id: UUID, delivered: Delivered) -> int | None:
        hold = self._tables.hold
        if hold is None or hold.state is not HoldState.CAPTURED:
            return None
        captured = captured_amount(hold, delivered)
        if captured >= hold.captured:
            return None
        self._write(hold=replace(hold, captured=captured))
        return captured

    async def book_cost(self, attempt_id: UUID, cost: Decimal, *, is_success: bool) -> None:
        """Book nothing: what the provider took moves no credits."""

    def _end(self, delivered: Delivered, *, is_over: bool) -> int | None:
        hold = self._tables.hold
        if hold is None or hold.state is not HoldState.OPEN:
            return None
        if not is_over and self._tables.is_live:
            return None
        captured = captured_amount(hold, delivered)
        state = HoldState.CAPTURED if captured else HoldState.RELEASED
        self._write(hold=replace(hold, state=state, captured=captured))
        return captured
