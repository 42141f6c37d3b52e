"""Deliveries in memory, with the same guards as the SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    Destination,
    Impossible,
    SendingOutcome,
    Sent,
    Unknown,
)
from generation_svc.domain.error import StaleLease
from generation_svc.domain.job import Job
from tests.model.clock import NOW, TICK, after
from tests.model.memory_store import Store, answered
from tests.model.table import DeliveryRow

STALE = StaleLease()
"""One object: what an actor was told is compared by identity."""
HELD = (DeliveryState.LEASED, DeliveryState.BEGUN)
OPEN = (DeliveryState.PENDING, *HELD)


class MemoryDeliveryStore(Store):
    @answered
    def add(
        self, job: Job, *, kind: DeliveryKind, destination: Destination, due: timedelta
    ) -> None:
        earlier = next((row for row in self._tables.deliveries if row.kind is kind), None)
        if earlier is None:
            self._put(DeliveryRow(kind, due_time=after(due)))
        elif kind is DeliveryKind.PROGRESS:
            self._put(_shown_again(earlier, due=due))

    @answered
    def lease(
        self, *, bot_id: int | None, queue: str | None, caller: str, limit: int, span: timedelta
    ) -> Sequence[Delivery]:
        rows = [row for row in self._tables.deliveries if self._has_turn(row)]
        rows.sort(key=lambda row: (row.kind, row.due_time))
        return tuple(self._lease_one(row, span=span) for row in rows[:limit])

    @answered
    def begin(self, lease_token: str, *, sender: Caller | None, span: timedelta) -> datetime:
        row = self._held(lease_token)
        if row is None or not _is_running(row):
            raise STALE
        begun = replace(row, state=DeliveryState.BEGUN, due_time=after(span))
        self._put(begun)
        return begun.due_time

    @answered
    def report(self, lease_token: str, outcome: SendingOutcome, *, sender: Caller | None) -> None:
        row = self._held(lease_token)
        if row is not None:
            self._end(row, outcome)
        elif all(each.reported != int(lease_token) for each in self._tables.deliveries):
            raise STALE

    def _put(self, row: DeliveryRow) -> None:
        others = (each for each in self._tables.deliveries if each.kind is not row.kind)
        self._write(deliveries=tuple(sorted((*others, row), key=lambda each: each.kind)))

    def _held(self, lease_token: str) -> DeliveryRow | None:
        rows = self._tables.deliveries
        return next((row for row in rows if row.lease == int(lease_token)), None)

    def _has_turn(self, row: DeliveryRow) -> bool:
        others = [each for each in self._tables.deliveries if each is not row]
        is_free = not any(_is_before(each) for each in others)
        return row.state in OPEN and row.due_time <= NOW and is_free

    def _lease_one(self, row: DeliveryRow, *, span: timedelta) -> Delivery:
        leased = replace(
            row,
            state=DeliveryState.LEASED,
            lease=self._run.fresh(),
            due_time=after(span),
            maybe_sent=row.maybe_sent or _may_have_come(row),
            is_tried=True,
            is_stale=False,
        )
        self._put(leased)
        destination = self._tables.row.destination
        assert destination is not None
        return Delivery(
            id=UUID(int=list(DeliveryKind).index(row.kind)),
            kind=row.kind,
            job=self._tables.row.job,
            destination=destination,
            lease_token=str(leased.lease),
            lease_expire_time=leased.due_time,
            maybe_sent=leased.maybe_sent,
            try_number=1,
        )

    def _end(self, row: DeliveryRow, outcome: SendingOutcome) -> None:
        changes = _changes_after(row, outcome)
        ended = replace(row, reported=row.lease, lease=0, is_stale=False, **changes)
        self._put(ended)
        if row.kind is DeliveryKind.OUTCOME:
            self._free_progress(row, outcome)

    def _free_progress(self, row: DeliveryRow, outcome: SendingOutcome) -> None:
        if isinstance(outcome, Sent):
            self._finish_progress(is_overwritten=outcome.is_edit)
        elif isinstance(outcome, Impossible) and row.maybe_sent:
            self._finish_progress(is_overwritten=True)

    def _finish_progress(self, *, is_overwritten: bool) -> None:
        state = DeliveryState.SENT if is_overwritten else DeliveryState.PENDING
        for row in self._tables.deliveries:
            if row.kind is DeliveryKind.PROGRESS and row.state is not DeliveryState.IMPOSSIBLE:
                self._put(replace(row, state=state, lease=0, is_stale=False, due_time=NOW))


def _is_running(row: DeliveryRow) -> bool:
    return row.due_time > NOW


def _is_before(other: DeliveryRow) -> bool:
    """Return whether another delivery of the job has to end first."""
    is_under_lease = other.state in HELD and _is_running(other)
    return is_under_lease or (other.kind is DeliveryKind.OUTCOME and other.state in OPEN)


def _may_have_come(row: DeliveryRow) -> bool:
    return row.state is DeliveryState.BEGUN and row.kind is DeliveryKind.OUTCOME


def _shown_again(row: DeliveryRow, *, due: timedelta) -> DeliveryRow:
    due_time = row.due_time
    if row.state is DeliveryState.IDLE:
        due_time = after(due)
    elif row.state is DeliveryState.PENDING and not row.is_tried:
        due_time = min(row.due_time, after(due))
    is_idle = row.state is DeliveryState.IDLE
    return replace(
        row,
        state=DeliveryState.PENDING if is_idle else row.state,
        due_time=due_time,
        is_stale=row.state in HELD,
    )


def _changes_after(row: DeliveryRow, outcome: SendingOutcome) -> dict[str, Any]:
    if isinstance(outcome, Impossible):
        return {"state": DeliveryState.IMPOSSIBLE, "due_time": NOW}
    if not isinstance(outcome, Sent):
        doubt = isinstance(outcome, Unknown) and row.kind is DeliveryKind.OUTCOME
        changes = {"state": DeliveryState.PENDING, "due_time": NOW + TICK}
        return {**changes, "maybe_sent": row.maybe_sent or doubt}
    if row.kind is DeliveryKind.OUTCOME:
        return {"state": DeliveryState.SENT, "due_time": NOW}
    state = DeliveryState.PENDING if row.is_stale else DeliveryState.IDLE
    return {"state": state, "due_time": NOW}
