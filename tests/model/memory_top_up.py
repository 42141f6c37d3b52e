"""The owner's top-up in memory, with the same guards as the SQL."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from generation_svc.domain.top_up import TopUp, TopUpState
from tests.model.memory_store import Store, answered


class MemoryTopUpStore(Store):
    @answered
    def lock(self, top_up_id: UUID) -> TopUp | None:
        return self._tables.top_up

    @answered
    def get(self, top_up_id: UUID) -> TopUp | None:
        return self._tables.top_up

    @answered
    def begin_refund(
        self,
        top_up: TopUp,
        *,
        state: TopUpState,
        actor: str,
        reason: str,
        is_forced: bool,
        is_untold: bool,
    ) -> TopUp:
        begun = replace(top_up, state=state, refund_count=1)
        self._write(top_up=begun)
        return begun
