"""Tracks handled updates, and hence the offset that may be confirmed."""

from __future__ import annotations

WINDOW_SIZE = 100
"""The number of unconfirmed updates that getUpdates shows at most."""


class OffsetWindow:
    """The updates from the first unhandled one on, by id.

    The offset passes what is handled without a gap. One update that takes long holds it back, and
    with it, once the window is full, the sight of newer ones; then it has to be parked.
    """

    def __init__(self, *, size: int = WINDOW_SIZE) -> None:
        self.offset = 0
        """The offset for getUpdates; 0 means all unconfirmed updates."""
        self._size = size
        self._is_handled: dict[int, bool] = {}

    def __len__(self) -> int:
        return len(self._is_handled)

    @property
    def is_clogged(self) -> bool:
        """Whether newer updates are out of sight, and most of those in sight are handled."""
        is_full = len(self) >= self._size
        # Below that most of them are really under way, and parking would only move the load.
        return is_full and 2 * sum(self._is_handled.values()) >= len(self)

    def add(self, update_id: int) -> bool:
        """Take an update in; False if it is known."""
        if update_id < self.offset or update_id in self._is_handled:
            return False
        self._is_handled[update_id] = False
        return True

    def handled(self, update_id: int) -> None:
        """Note that an update needs no more handling, and move the offset."""
        if update_id not in self._is_handled:
            return
        self._is_handled[update_id] = True
        # getUpdates confirms every update below its offset, so the offset stops at the first gap.
        while self._is_handled and (self._is_handled[first := min(self._is_handled)]):
            del self._is_handled[first]
            self.offset = first + 1

    def confirmed(self) -> None:
        """Note that Telegram has nothing left, so that ids may begin anywhere.

        After a week without updates Telegram starts from a random id, perhaps a lower one.
        """
        if not self._is_handled:
            self.offset = 0
