"""Attempts in memory, with the same guards as the SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from generation_svc.domain.account import Account
from generation_svc.domain.attempt import Attempt, AttemptState, is_overdue
from generation_svc.domain.observation import Observation, Source
from runtime.token import token_hash as hash_of
from tests.model.clock import NOW, TICK, after, came
from tests.model.memory_store import Store, answered
from tests.model.table import AttemptRow
from tests.model.world import token

FAR = NOW + TICK
"""When something is due that is never due."""


class MemoryAttemptStore(Store):
    @property
    def _is_measured(self) -> bool:
        """Whether anything depends on what an attempt took; else none is kept."""
        return self._tables.row.job.price.is_ceiling

    def _row(self, attempt_id: UUID) -> AttemptRow:
        return self._tables.attempts[self._run.number(attempt_id) - 1]

    def _set(self, row: AttemptRow, *, row_changes: dict[str, Any], **changes: Any) -> None:
        changed = replace(row, attempt=replace(row.attempt, **changes), **row_changes)
        rows = list(self._tables.attempts)
        rows[row.attempt.number - 1] = changed
        self._write(attempts=tuple(rows))

    async def insert(self, attempt: Attempt, *, token_hash: bytes) -> None:
        self._run.bind(attempt.id, attempt.number)
        self._run.bind(token_hash, attempt.number)
        await self._insert(replace(attempt, id=UUID(int=attempt.number)))

    @answered
    def _insert(self, attempt: Attempt) -> None:
        assert attempt.number == len(self._tables.attempts) + 1
        row = AttemptRow(attempt, token_hash=hash_of(token(attempt.number)))
        self._write(attempts=(*self._tables.attempts, row))

    @answered
    def lock(self, attempt_id: UUID) -> Attempt:
        return self._row(attempt_id).attempt

    @answered
    def lock_answered(self, attempt: Attempt) -> tuple[Attempt, bool]:
        return self._row(attempt.id).attempt, False

    @answered
    def find_by_token(self, token_hash: bytes) -> Attempt | None:
        rows = (row.attempt for row in self._tables.attempts if row.token_hash == token_hash)
        return next(rows, None)

    @answered
    def find_by_task(self, task_id: str, *, provider: str) -> Attempt | None:
        attempts = (row.attempt for row in self._tables.attempts)
        return next((each for each in attempts if each.task_id == task_id), None)

    @answered
    def live(self, job_id: UUID) -> Sequence[Attempt]:
        return tuple(row.attempt for row in self._tables.attempts if row.attempt.is_live)

    @answered
    def settled(self, job_id: UUID) -> Attempt | None:
        attempts = (row.attempt for row in self._tables.attempts)
        return next((each for each in attempts if each.state is AttemptState.SETTLED), None)

    @answered
    def count(self, job_id: UUID) -> int:
        return len(self._tables.attempts)

    @answered
    def count_unrefused(self, job_id: UUID) -> int:
        states = [row.attempt.state for row in self._tables.attempts]
        return sum(state is not AttemptState.REFUSED for state in states)

    async def typical_duration(self, model_id: str) -> timedelta | None:
        return None

    @answered
    def accept(self, attempt_id: UUID, *, task_id: str, first_read: timedelta | None) -> None:
        times = {"read_time": first_read and after(first_read)}
        self._set(
            self._row(attempt_id),
            row_changes=times,
            state=AttemptState.ACCEPTED,
            task_id=task_id,
            accept_time=NOW,
        )

    @answered
    def end(self, attempt_id: UUID, state: AttemptState, *, error: str = "") -> None:
        row = self._row(attempt_id)
        is_unknown = row.cost is None or state is AttemptState.LOST
        is_asked = self._is_measured and is_unknown and row.attempt.task_id is not None
        times = {"read_time": None, "fetch_time": None, "cost_time": NOW if is_asked else None}
        self._set(row, row_changes=times, state=state, fetch_tries=0)

    @answered
    def mark_unknown(self, attempt_id: UUID, *, error: str) -> bool:
        row = self._row(attempt_id)
        is_news = row.attempt.state is AttemptState.SUBMITTING
        if is_news:
            self._set(row, row_changes={}, state=AttemptState.UNKNOWN)
        return is_news

    @answered
    def succeed(
        self,
        attempt_id: UUID,
        observation: Observation,
        *,
        source: Source,
        lease: timedelta | None = None,
    ) -> Attempt:
        row, tries = self._row(attempt_id), self._row(attempt_id).attempt.fetch_tries
        cost = row.cost if observation.cost is None else observation.cost
        fetch_time, timed = after(lease) if lease else NOW, came(row.attempt)
        times = {"read_time": None, "fetch_time": fetch_time, "cost_time": None}
        self._set(
            row,
            row_changes={**times, "cost": cost},
            state=AttemptState.SUCCEEDED,
            observation=replace(observation, cost=cost),
            task_id=row.attempt.task_id or observation.task_id,
            accept_time=timed.accept_time,
            end_time=timed.end_time,
            fetch_tries=_next_try(tries) if lease else tries,
        )
        return self._row(attempt_id).attempt

    @answered
    def see(self, attempt_id: UUID, observation: Observation) -> None:
        self._set(self._row(attempt_id), row_changes={}, observation=observation)

    @answered
    def keep_cost(self, attempt_id: UUID, cost: Decimal) -> bool:
        is_news = self._row(attempt_id).cost is None and self._is_measured
        if is_news:
            self.note_cost(attempt_id, cost)
        else:
            self._ask_no_more(attempt_id)
        return is_news

    def note_cost(self, attempt_id: UUID, cost: Decimal) -> None:
        """Write what an attempt took, which whoever reads it finds with its observation."""
        row = self._row(attempt_id)
        told = row.attempt.observation and replace(row.attempt.observation, cost=cost)
        self._set(row, row_changes={"cost": cost, "cost_time": None}, observation=told)

    @answered
    def give_up_cost(self, attempt_id: UUID) -> bool:
        return self._ask_no_more(attempt_id) and self._row(attempt_id).cost is None

    def _ask_no_more(self, attempt_id: UUID) -> bool:
        row = self._row(attempt_id)
        was_asked = row.cost_time is not None
        if was_asked:
            self._set(row, row_changes={"cost_time": None})
        return was_asked

    @answered
    def claim_costs(
        self, *, first_wait: timedelta, readable: Sequence[Account], limit: int
    ) -> tuple[Sequence[Attempt], timedelta | None]:
        """Count no reads: whether a cost stays unknown in the end is no part of the race."""
        due = [row for row in self._tables.attempts if (row.cost_time or FAR) <= NOW][:limit]
        for row in due:
            self._set(row, row_changes={"cost_time": after(first_wait)})
        return tuple(row.attempt for row in due), None

    @answered
    def claim_reads(
        self, *, lease: timedelta, readable: Sequence[Account], limit: int
    ) -> tuple[Sequence[Attempt], timedelta | None]:
        rows = self._due(AttemptState.ACCEPTED, "read_time")[:limit]
        for row in rows:
            self._set(row, row_changes={"read_time": after(lease)})
        return tuple(row.attempt for row in rows), None

    @answered
    def schedule_read(self, attempt_id: UUID, *, due: timedelta) -> None:
        row = self._row(attempt_id)
        if row.attempt.state is AttemptState.ACCEPTED:
            self._set(row, row_changes={"read_time": after(due)})

    @answered
    def hasten_read(self, attempt_id: UUID, *, interval: timedelta) -> bool:
        row = self._row(attempt_id)
        is_early = row.hint_time is not None and row.hint_time > NOW - interval
        if row.attempt.state is not AttemptState.ACCEPTED or is_early:
            return False
        self._set(row, row_changes={"read_time": NOW, "hint_time": NOW})
        return True

    @answered
    def claim_fetches(
        self, *, lease: timedelta, limit: int
    ) -> tuple[Sequence[Attempt], timedelta | None]:
        claimed = []
        for row in self._due(AttemptState.SUCCEEDED, "fetch_time")[:limit]:
            tries = _next_try(row.attempt.fetch_tries)
            self._set(row, row_changes={"fetch_time": after(lease)}, fetch_tries=tries)
            claimed.append(replace(row.attempt, fetch_tries=tries))
        return tuple(claimed), None

    @answered
    def renew_fetch(self, attempt: Attempt, *, lease: timedelta) -> bool:
        row = self._row(attempt.id)
        is_ours = row.attempt.fetch_tries == attempt.fetch_tries
        if row.attempt.state is not AttemptState.SUCCEEDED or not is_ours:
            return False
        self._set(row, row_changes={"fetch_time": after(lease)})
        return True

    @answered
    def schedule_fetch(self, attempt_id: UUID, *, due: timedelta, trouble: object = None) -> None:
        """Keep no trouble: the hard stop comes before any time that is counted from one."""
        row = self._row(attempt_id)
        if row.attempt.state is AttemptState.SUCCEEDED:
            self._set(row, row_changes={"fetch_time": after(due)})

    @answered
    def orphans(
        self, *, older_than: timedelta, after: object = None, limit: int
    ) -> Sequence[Attempt]:
        return tuple(
            row.attempt
            for row in self._tables.attempts
            if row.attempt.state is AttemptState.SUBMITTING
            and row.attempt.submit_time <= NOW - older_than
        )

    @answered
    def overdue(
        self, *, hard_deadline: timedelta, after: object = None, limit: int
    ) -> Sequence[Attempt]:
        job = self._tables.row.job
        live = [row.attempt for row in self._tables.attempts if row.attempt.is_live]
        return tuple(
            each for each in live if is_overdue(each, job, now=NOW, hard_deadline=hard_deadline)
        )

    def _due(self, state: AttemptState, clock: str) -> list[AttemptRow]:
        rows = [row for row in self._tables.attempts if row.attempt.state is state]
        return [row for row in rows if (getattr(row, clock) or FAR) <= NOW]


def _next_try(tries: int) -> int:
    """Return the number of a claim.

    Of it only this matters here: it tells a claim from the one before it. It stays below the one
    from which on fresh links are asked for.
    """
    return 1 - tries
