"""Takes in a bot's Star transactions page by page, as an edge reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from generation_svc.domain.caller import Caller
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.star import UNCOMPARED, StarDifference, StarTransaction
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.check_top_up import check_host
from generation_svc.usecase.money.judge_star import judge
from generation_svc.usecase.money.permission import check_money

PAGE = 100
"""How many transactions Telegram lists at once; fewer are the end (getStarTransactions)."""
OVERLAP = 20
"""How many are read again: the last ones may have changed."""
MOST_OPEN = 100
"""How many differences are looked at again with each page."""


@dataclass(frozen=True, slots=True)
class StarPage:
    """What an edge read from an offset on."""

    bot_id: int
    telegram_host: str
    offset: int
    transactions: Sequence[StarTransaction]
    heal: bool = False
    """Whether what the ledger lacks is booked."""

    @property
    def is_last(self) -> bool:
        """Whether nothing comes after it."""
        return len(self.transactions) < PAGE

    @property
    def next_offset(self) -> int:
        """Where to read on."""
        return max(0, self.offset + len(self.transactions) - OVERLAP)


@dataclass(frozen=True, slots=True)
class TakenPage:
    """What became of a page."""

    next_offset: int
    differences: Sequence[StarDifference]


@dataclass(frozen=True, slots=True)
class _Moved:
    """Where a page led."""

    next_offset: int
    is_ordered: bool
    """Whether an operator ordered the list to be healed."""
    is_end: bool
    """Whether the list was read to its end."""
    time: datetime


async def star_cursor(deps: Dependencies, caller: Caller, *, bot_id: int) -> int:
    """Return from which offset on to read. Raises PermissionDenied and MoneyOff."""
    caller.require_bot(bot_id)
    check_money(deps)
    return await deps.database.read(lambda tx: tx.stars.cursor(bot_id))


async def wants_stars(deps: Dependencies, *, bot_id: int) -> bool:
    """Return whether a bot's list of Stars is to be read now, as an operator ordered."""
    return await deps.database.read(lambda tx: tx.stars.is_ordered(bot_id))


async def report_stars(deps: Dependencies, caller: Caller, *, page: StarPage) -> TakenPage:
    """Compare a page with the ledger, and book what it lacks.

    A page may come again. Raises PermissionDenied, MoneyOff and MoneyModeMismatch.
    """
    caller.require_bot(page.bot_id)
    check_money(deps)
    check_host(deps, page.telegram_host)
    async with deps.database.transaction() as tx:
        # Looked at in the bot's turn: an order that comes later has all read once more.
        moved = await _move_cursor(tx, page)
        listed = await tx.stars.keep(_unique(page.transactions), offset=page.offset)
        earlier = await tx.stars.open(page.bot_id, limit=MOST_OPEN)
    heal, host = page.heal or moved.is_ordered, page.telegram_host
    differences = [
        found
        for each in _unique([*earlier, *listed])
        if (found := await judge(deps, caller, told=each, host=host, heal=heal))
    ]
    if moved.is_end:  # only now: whoever waits for it looks at what still differs
        async with deps.database.transaction() as tx:
            await tx.stars.note_end(page.bot_id, time=moved.time, is_ordered=moved.is_ordered)
    if page.is_last:
        differences += await _unlisted(deps, page.bot_id, known=differences)
    return TakenPage(moved.next_offset, differences[:PAGE])


async def _move_cursor(tx: Transaction, page: StarPage) -> _Moved:
    """Say where to read on: from the start where the list is not what it was.

    A transaction that is entered late moves all after it, and would never be read.
    """
    cursor = await tx.stars.take_turn(page.bot_id)
    is_ordered = await tx.stars.is_ordered(page.bot_id)
    if page.offset > cursor:  # another edge reads again from further ahead
        return _Moved(cursor, is_ordered, False, tx.now())
    next_offset = page.next_offset if await _fits(tx, page) else 0
    await tx.stars.set_cursor(page.bot_id, next_offset)
    is_end = page.is_last and bool(next_offset or not page.offset)
    return _Moved(next_offset, is_ordered, is_end, tx.now())


async def _fits(tx: Transaction, page: StarPage) -> bool:
    """Return whether a page begins where it did when its first transaction was read before."""
    if not page.offset:
        return True
    first = page.transactions[0] if page.transactions else None
    return first is not None and await tx.stars.position(first) == page.offset


def _unique(transactions: Sequence[StarTransaction]) -> list[StarTransaction]:
    """Return each once, the later told for the earlier, in order of their times."""
    found = {(each.id, each.direction): each for each in transactions}
    return sorted(found.values(), key=lambda each: each.time)


async def _unlisted(
    deps: Dependencies, bot_id: int, *, known: Sequence[StarDifference]
) -> list[StarDifference]:
    """Return what the ledger has of a bot and the list, once read to its end, has not."""
    told = {(each.transaction.id, each.transaction.direction) for each in known}
    async with deps.database.transaction() as tx:
        found = await tx.stars.differences(limit=PAGE)
    return [
        each
        for each in found
        if each.transaction.bot_id == bot_id
        and each.problem != UNCOMPARED
        and (each.transaction.id, each.transaction.direction) not in told
    ]
