"""Top-ups: payments that became credits, what is sold for them, and their receipts."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from generation_svc.domain.top_up import Pack, Standing, TopUp, TopUpState


class TopUpStore(Protocol):
    """Keeps top-ups. Whoever changes one locks it before the wallet of its owner."""

    async def offer(self, packs: Sequence[Pack]) -> None:
        """Note that packs are sold, so that their payments are known also after a change."""

    async def offered(self, pack_id: str) -> Sequence[Pack]:
        """Read at which rates a pack was ever sold, the latest first."""

    async def standing(self, owner: str, *, caller: str) -> Standing:
        """Read what keeps an owner from buying, without a lock."""

    async def take_turn(self, caller: str) -> int:
        """Wait until nobody else adds a top-up; return the caller's unconfirmed ones of today."""

    async def add(self, top_up: TopUp, *, is_untold: bool = False) -> bool:
        """Write a new top-up; return False if its provider has one of that id."""

    async def find(self, provider: str, external_id: str) -> TopUp | None:
        """Read the top-up of a payment."""

    async def get(self, top_up_id: UUID) -> TopUp | None:
        """Read a top-up."""

    async def lock(self, top_up_id: UUID) -> TopUp | None:
        """Read a top-up, which nobody changes until the end of the transaction."""

    async def page(self, owner: str, *, after: UUID | None, limit: int) -> Sequence[TopUp]:
        """Read an owner's top-ups, the newest first, from after one on."""

    async def begin_refund(
        self,
        top_up: TopUp,
        *,
        state: TopUpState,
        actor: str,
        reason: str,
        is_forced: bool,
        is_untold: bool,
    ) -> TopUp:
        """Note that the credits of a locked top-up are taken back."""

    async def end_refund(self, top_up: TopUp, *, state: TopUpState, error: str = "") -> TopUp:
        """Note what became of the refund of a locked top-up."""

    async def return_again(self, top_up: TopUp) -> bool:
        """Make the return of a locked top-up's payment due once more, unless Telegram lists it."""

    async def end_return(self, top_up: TopUp, *, error: str = "") -> TopUp:
        """Note that such a return was made, or that it cannot be."""

    async def lease_refunds(self, bot_id: int, *, span: timedelta, limit: int) -> Sequence[TopUp]:
        """Lease top-ups whose payments a bot is to return, for some time."""

    async def lease_untold(self, bot_id: int, *, span: timedelta, limit: int) -> Sequence[TopUp]:
        """Lease top-ups of whose state a bot is to tell their owners, for some time."""

    async def told(self, top_up_id: UUID, *, state: TopUpState) -> None:
        """Note that an owner knows of a top-up, unless it has another state by now."""

    async def number_receipts(self, *, limit: int) -> int | None:
        """Give what has no receipt the next numbers; None if another replica is doing it."""
