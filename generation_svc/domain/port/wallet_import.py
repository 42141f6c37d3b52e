"""Balances of an earlier bot, each of which is imported once."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from generation_svc.domain.imported_balance import ImportRow, Key, KnownImport


class WalletImportStore(Protocol):
    """Keeps which balances were imported. Its locks are taken before those of wallets."""

    async def take_turn(self) -> None:
        """Wait until nobody else imports or undoes, until the end of the transaction."""

    async def known(self, keys: Sequence[Key]) -> Mapping[Key, KnownImport]:
        """Read what was imported before of some balances."""

    async def add(self, rows: Sequence[ImportRow], *, batch: UUID, actor: str) -> None:
        """Note balances as imported that never were, or that were undone, in one's turn."""

    async def of_batch(
        self, batch: UUID, *, after: Key | None, limit: int
    ) -> Sequence[KnownImport]:
        """Read what a batch imported and nobody undid, by source and user, from after one on."""

    async def undo(self, keys: Sequence[Key]) -> None:
        """Note imported balances as undone, in one's turn."""
