"""What is held for the job in memory, and where credits are, with the same guards as the SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from generation_svc.domain.job import JobState
from generation_svc.domain.ledger import Delivered, HoldState, Transfer, Wallet
from tests.ledger_rule import Hold, captured_amount, returned
from tests.model.memory_store import Store, answered

_NOTHING = Delivered(0)


class MemoryLedgerStore(Store):
    @answered
    def lock(self, owners: Sequence[str]) -> Mapping[str, Wallet]:
        return _Wallets({owner: self._tables.accounts.wallet(owner) for owner in owners})

    @answered
    def wallet(self, owner: str) -> Wallet:
        return self._tables.accounts.wallet(owner)

    @answered
    def move(self, transfers: Sequence[Transfer]) -> int:
        self._write(accounts=self._tables.accounts.after(transfers))
        return len(transfers)

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
        before, now = returned(hold, captured=hold.captured), returned(hold, captured=captured)
        self._give_back("income", granted=now[0] - before[0], paid=now[1] - before[1])
        self._write(hold=replace(hold, captured=captured))
        if self._tables.row.job.charged_credits is not None:
            self.tell(captured)
        return captured

    async def book_cost(self, attempt_id: UUID, cost: Decimal, *, is_success: bool) -> bool:
        """Book nothing: what the provider took moves no credits."""
        return False

    def _end(self, delivered: Delivered, *, is_over: bool) -> int | None:
        hold = self._tables.hold
        if hold is None or hold.state is not HoldState.OPEN:
            return None
        if not is_over and self._tables.is_live:
            return None
        return self.finish(hold, captured=captured_amount(hold, delivered))

    def finish(self, hold: Hold, *, captured: int) -> int:
        """End what is held, and have a job say so that has had its last revision."""
        state = HoldState.CAPTURED if captured else HoldState.RELEASED
        self._write(hold=replace(hold, state=state, captured=captured))
        self.empty(hold, captured=captured)
        if self._tables.row.job.state is JobState.CANCELLED:
            self.tell(captured)
        return captured

    def tell(self, captured: int) -> None:
        """Have the job say what it was charged; who ends it otherwise saves that with it."""
        row = self._tables.row
        self._write(row=replace(row, job=replace(row.job, charged_credits=captured)))

    def empty(self, hold: Hold, *, captured: int) -> None:
        """Move what was held to where it belongs."""
        granted, paid = returned(hold, captured=captured)
        self._write(accounts=self._tables.accounts.moved("held", "income", captured))
        self._give_back("held", granted=granted, paid=paid)

    def _give_back(self, source: str, *, granted: int, paid: int) -> None:
        """Give credits back; bought ones pay the owner's debt first."""
        now = self._tables.accounts
        owed = min(paid, -now.debt)
        now = now.moved(source, "granted", granted).moved(source, "debt", owed)
        self._write(accounts=now.moved(source, "paid", paid - owed))


class _Wallets(dict[str, Wallet]):
    """An answer that can be a part of a state."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))
