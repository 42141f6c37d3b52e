"""Imports balances of an earlier bot, and takes a batch of them back.

Both go in transactions of some hundred rows, each of which is whole: what was killed midway goes on
when it is asked for again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

import structlog

from generation_svc.domain.caller import Caller
from generation_svc.domain.imported_balance import (
    ImportedBalance,
    ImportRow,
    Key,
    KnownImport,
    import_transfer,
    is_repeated,
    judged,
    objection,
    undo_transfer,
)
from generation_svc.domain.ledger import Transfer
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money
from generation_svc.usecase.money.transfer import move_all

PIECE = 200
"""How many rows are imported or undone in one transaction."""
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ImportBatch:
    """What an operator wants to import."""

    id: UUID
    balances: Sequence[ImportedBalance]
    rate: Decimal
    reason: str


@dataclass(slots=True)
class ImportOutcome:
    """What was imported, or would be."""

    count: int = 0
    credits: int = 0
    repeated: int = 0
    rejects: dict[int, str] = field(default_factory=dict)
    """What is wrong, by the place of the row."""


@dataclass(slots=True)
class UndoOutcome:
    """What of a batch was taken back."""

    undone: int = 0
    spent: int = 0


Placed = tuple[int, ImportRow]


async def import_balances(
    deps: Dependencies, caller: Caller, *, batch: ImportBatch, apply: bool
) -> ImportOutcome:
    """Import what was not imported yet, or only tell what would be. Raises MoneyOff."""
    check_money(deps)
    rows, rejects = judged(batch.balances, rate=batch.rate)
    outcome = ImportOutcome(rejects=dict(rejects))
    for piece in _pieces(sorted(rows.items(), key=lambda placed: placed[1].key)):
        async with deps.database.transaction() as tx:
            new = await _new(tx, batch, piece=piece, outcome=outcome, apply=apply)
            if apply and new:
                await _give(tx, caller, batch=batch, new=new)
        outcome.count += len(new)
        outcome.credits += sum(row.credits for row, _ in new)
    if apply:
        _logger.warning(
            "balances were imported",
            batch_id=str(batch.id),
            rows=outcome.count,
            credits=outcome.credits,
            actor=caller.name,
            reason=batch.reason,
        )
    return outcome


async def undo_import(
    deps: Dependencies, caller: Caller, *, batch_id: UUID, reason: str
) -> UndoOutcome:
    """Take back what a batch gave to owners whose granted credits cover it. Raises MoneyOff."""
    check_money(deps)
    outcome, after = UndoOutcome(), None
    while True:
        async with deps.database.transaction() as tx:
            await tx.imports.take_turn()
            found = await tx.imports.of_batch(batch_id, after=after, limit=PIECE)
            taken = await _take_back(tx, found, actor=caller.name, reason=reason)
        outcome.undone += taken
        outcome.spent += len(found) - taken
        if len(found) < PIECE:
            break
        after = found[-1].row.key
    _logger.warning(
        "an import was undone",
        batch_id=str(batch_id),
        rows=outcome.undone,
        spent=outcome.spent,
        actor=caller.name,
        reason=reason,
    )
    return outcome


async def _new(
    tx: Transaction,
    batch: ImportBatch,
    *,
    piece: Sequence[Placed],
    outcome: ImportOutcome,
    apply: bool,
) -> Sequence[tuple[ImportRow, int]]:
    """Return which rows are to be imported, each with the number of its import."""
    if apply:
        await tx.imports.take_turn()
    known = await tx.imports.known([row.key for _, row in piece])
    new: list[tuple[ImportRow, int]] = []
    for index, row in piece:
        earlier = known.get(row.key)
        if earlier and is_repeated(row, earlier):
            outcome.repeated += 1
        elif earlier and (problem := objection(earlier, batch=batch.id)):
            outcome.rejects[index] = problem
        else:
            new.append((row, earlier.round + 1 if earlier else 1))
    return new


async def _give(
    tx: Transaction, caller: Caller, *, batch: ImportBatch, new: Sequence[tuple[ImportRow, int]]
) -> None:
    await tx.imports.add([row for row, _ in new], batch=batch.id, actor=caller.name)
    transfers = [
        import_transfer(row, number=number, actor=caller.name, reason=batch.reason)
        for row, number in new
    ]
    await tx.ledger.lock([row.owner for row, _ in new])
    await move_all(tx, transfers)


async def _take_back(
    tx: Transaction, found: Sequence[KnownImport], *, actor: str, reason: str
) -> int:
    """Take back what the owners have not spent; return how many rows that were."""
    wallets = await tx.ledger.lock([each.row.owner for each in found])
    left = {owner: wallet.granted for owner, wallet in wallets.items()}
    keys: list[Key] = []
    transfers: list[Transfer] = []
    for each in found:
        if left[each.row.owner] < each.row.credits:
            continue
        left[each.row.owner] -= each.row.credits
        keys.append(each.row.key)
        transfers.append(undo_transfer(each, actor=actor, reason=reason))
    await tx.imports.undo(keys)
    await move_all(tx, transfers)
    return len(keys)


def _pieces(rows: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    yield from (rows[start : start + PIECE] for start in range(0, len(rows), PIECE))
