"""The Star transactions of bots, as Telegram lists them, beside what the ledger says."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from generation_svc.domain.star import StarDifference, StarDirection, StarState, StarTransaction


class StarStore(Protocol):
    """Keeps what Telegram lists. Whoever takes a page in has the bot's turn first."""

    async def take_turn(self, bot_id: int) -> int:
        """Wait until nobody else takes in pages of a bot; return the offset of the next page."""

    async def cursor(self, bot_id: int) -> int:
        """Read from which offset on a bot's transactions are read."""

    async def set_cursor(self, bot_id: int, offset: int) -> None:
        """Say from which offset on they are read next."""

    async def note_end(self, bot_id: int, *, time: datetime, is_ordered: bool) -> None:
        """Note that a bot's list was taken in to its end, as it was at a time, and healed."""

    async def read_again(self, bots: Sequence[int] = ()) -> Sequence[int]:
        """Have everything of all bots that are known, and of these, read again; return them."""

    async def order(self, bots: Sequence[int] = ()) -> Sequence[int]:
        """Have everything read again and healed, whatever the edges are set to; return of whom."""

    async def is_ordered(self, bot_id: int) -> bool:
        """Return whether a bot's list was ordered to be healed, and was not read since."""

    async def ordered(self) -> Sequence[int]:
        """Return the bots of which that holds."""

    async def unread(self, bots: Sequence[int], *, since: datetime) -> Sequence[int]:
        """Return those of which nothing was read to the end since a time."""

    async def find(
        self, bot_id: int, star_id: str, *, direction: StarDirection
    ) -> StarTransaction | None:
        """Read a transaction that was listed; None for an unknown one."""

    async def lock(
        self, bot_id: int, star_id: str, *, direction: StarDirection
    ) -> StarTransaction | None:
        """Read a transaction that was listed, and let nobody else judge it until the end."""

    async def settle(
        self, transaction: StarTransaction, *, state: StarState, actor: str, reason: str
    ) -> None:
        """Note what an operator decided; from then on nobody judges it."""

    async def position(self, transaction: StarTransaction) -> int | None:
        """Read at which offset a transaction was listed last; None for an unknown one."""

    async def keep(
        self, transactions: Sequence[StarTransaction], *, offset: int
    ) -> Sequence[StarTransaction]:
        """Write what a page lists from an offset on, and return it as it is known now."""

    async def open(self, bot_id: int, *, limit: int) -> Sequence[StarTransaction]:
        """Read transactions of a bot with a problem: those nobody compared, then any others."""

    async def judge(
        self, transaction: StarTransaction, *, state: StarState, problem: str = ""
    ) -> None:
        """Note what is known of a transaction."""

    async def has_come_back(self, failed: StarTransaction) -> bool:
        """Return whether the Stars of a failed withdrawal were listed as incoming since."""

    async def attribute(
        self, stranger: StarTransaction, *, top_up_id: UUID | None = None
    ) -> UUID | None:
        """Take what nobody named took for the chargeback of a top-up that lacks one.

        Of this top-up, or of the first one with the same amount; None if there is none.
        """

    async def differences(self, *, limit: int) -> Sequence[StarDifference]:
        """Find all on which Telegram and the ledger do not agree, in both directions."""

    async def balances(self) -> tuple[int, int]:
        """Sum the Stars of all bots up, in nanostars: as they were booked, and as listed."""
