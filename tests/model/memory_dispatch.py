"""What a claimer reads and writes, in memory, with the same guards as the SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from generation_svc.domain.account import Account, AccountLoad
from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.job import JobState
from generation_svc.domain.port.dispatch import AccountView, DispatchView, WaitingJob
from generation_svc.domain.port.queue import Claim
from runtime.token import token_hash as hash_of
from tests.model.clock import NOW, after
from tests.model.memory_store import Store, answered
from tests.model.table import AttemptRow
from tests.model.world import token


class MemoryDispatchStore(Store):
    async def view(
        self, accounts: Sequence[Account], *, lease: timedelta, limit: int, window: timedelta
    ) -> DispatchView:
        """Grant a place: budgets and breakers are another race."""
        view = AccountView(AccountLoad(), free_calls=1, call_wait=None)
        return DispatchView(dict.fromkeys(accounts, view))

    @answered
    def waiting(self, accounts: Sequence[Account], *, limit: int) -> Sequence[WaitingJob]:
        row = self._tables.row
        is_waiting = self._is_due() and row.job.start_deadline_time > NOW
        return (WaitingJob(row.job.id, None),) if is_waiting else ()

    @answered
    def claim(self, chosen: Mapping[UUID, Account], *, lease: timedelta) -> Sequence[Claim]:
        row = self._tables.row
        if not self._is_due():
            return ()
        name = UUID(int=self._run.fresh())
        self._write(row=replace(row, dispatch_time=after(lease), claim=name.int))
        account = chosen[row.job.id]
        return (Claim(job=row.job, token=name, attempts=self._counted(), account=account),)

    async def write_attempts(
        self, claims: Sequence[Claim], *, token_hashes: Sequence[bytes], time: datetime
    ) -> Sequence[Attempt]:
        attempts = await self._write_attempts(claims[0].account)
        for attempt, token_hash in zip(attempts, token_hashes, strict=False):
            self._run.bind(token_hash, attempt.number)
        return attempts

    @answered
    def _write_attempts(self, account: Account) -> Sequence[Attempt]:
        if self._counted():
            return ()
        number = len(self._tables.attempts) + 1
        attempt = Attempt(
            id=UUID(int=number),
            job_id=self._tables.row.job.id,
            number=number,
            state=AttemptState.SUBMITTING,
            submit_time=NOW,
            account=account,
        )
        row = AttemptRow(attempt, token_hash=hash_of(token(number)))
        self._write(attempts=(*self._tables.attempts, row))
        return (attempt,)

    def _is_due(self) -> bool:
        row = self._tables.row
        is_due = row.dispatch_time is not None and row.dispatch_time <= NOW
        return row.job.state is JobState.QUEUED and is_due

    def _counted(self) -> int:
        """Count the attempts that the provider did not refuse."""
        states = [row.attempt.state for row in self._tables.attempts]
        return sum(state is not AttemptState.REFUSED for state in states)
