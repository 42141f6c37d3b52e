"""The owner's two top-ups in memory, with the same guards as the SQL."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from generation_svc.domain.top_up import TopUp, TopUpState
from tests.model.memory_store import Store, answered
from tests.model.world import LATER_ID


class MemoryTopUpStore(Store):
    @answered
    def lock(self, top_up_id: UUID) -> TopUp | None:
        return self._by_id(top_up_id)

    @answered
    def get(self, top_up_id: UUID) -> TopUp | None:
        return self._by_id(top_up_id)

    @answered
    def find(self, provider: str, external_id: str) -> TopUp | None:
        return self._known(provider, external_id)

    async def add(self, top_up: TopUp, *, is_untold: bool) -> bool:
        self._run.bind(top_up.id, LATER_ID.int)
        return await self._add(replace(top_up, id=LATER_ID))

    @answered
    def _add(self, top_up: TopUp) -> bool:
        if self._known(top_up.provider, top_up.external_id):
            return False
        self._write(later=top_up)
        return True

    def _by_id(self, top_up_id: UUID) -> TopUp | None:
        is_later = self._run.number(top_up_id) == LATER_ID.int
        return self._tables.later if is_later else self._tables.top_up

    def _known(self, provider: str, external_id: str) -> TopUp | None:
        known = (each for each in (self._tables.top_up, self._tables.later) if each)
        of_it = (e for e in known if (e.provider, e.external_id) == (provider, external_id))
        return next(of_it, None)

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
