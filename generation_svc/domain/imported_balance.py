"""Balances of an earlier bot: what they are worth here, and which of them cannot be imported."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from enum import StrEnum
from uuid import UUID

from generation_svc.domain.ledger import AccountKind, Transfer, TransferKind
from generation_svc.domain.limit import MAX_ID_LENGTH

LONGEST = {"source": 64, "user_id": 64, "amount": 32, "currency": 16, "owner": MAX_ID_LENGTH}
"""The members of a balance, and how many characters each may have."""
MAX_CREDITS = 1_000_000_000
"""The most that one balance may be worth."""
MAX_ROUNDS = 9
"""How often one balance may be imported, with an undo after each but the last."""
MOST_USER = 2**52 - 1
"""Telegram's ids have at most 52 significant bits."""
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_USER = re.compile(r"[1-9][0-9]{0,15}")
# An amount and a rate have 31 digits each, and no digit of their product is lost.
_EXACT = Context(prec=64, rounding=ROUND_FLOOR)

Key = tuple[str, str]
"""The source and the user, by which a balance is imported once."""


class ImportState(StrEnum):
    """The states of an imported balance."""

    IMPORTED = "imported"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class ImportedBalance:
    """What somebody had, as the earlier bot wrote it."""

    source: str
    user_id: str
    amount: str
    currency: str
    owner: str = ""
    """Who gets it; empty for the user of Telegram with that number."""


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A balance in credits."""

    source: str
    user_id: str
    owner: str
    credits: int

    @property
    def key(self) -> Key:
        """What it is unique by."""
        return self.source, self.user_id


@dataclass(frozen=True, slots=True)
class KnownImport:
    """A balance that was imported before."""

    row: ImportRow
    batch: UUID
    state: ImportState
    round: int
    """How often it was imported, this time included."""


def parse_decimal(text: str) -> Decimal | None:
    """Return a number that is written with digits and at most one point; None for all else."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def credits_of(amount: Decimal, *, rate: Decimal) -> int:
    """Return what an amount is worth in whole credits, rounded down once."""
    return int(_EXACT.multiply(amount, rate).to_integral_value(ROUND_FLOOR))


def judged(
    balances: Sequence[ImportedBalance], *, rate: Decimal
) -> tuple[Mapping[int, ImportRow], Mapping[int, str]]:
    """Return by their places the rows that are good, and what is wrong with the others."""
    rows: dict[int, ImportRow] = {}
    rejects: dict[int, str] = {}
    seen: set[Key] = set()
    for index, each in enumerate(balances):
        row = _row(each, rate=rate, currency=balances[0].currency)
        if isinstance(row, ImportRow) and row.key in seen:
            row = "The same user of this source is there twice."
        if isinstance(row, str):
            rejects[index] = row
            continue
        seen.add(row.key)
        rows[index] = row
    return rows, rejects


def cause_of(row: ImportRow, *, number: int) -> str:
    """Return what the transfers of a balance name as their cause; no two balances share one."""
    cause = f"{row.source}/{row.user_id}"
    return cause if number == 1 else f"{cause}/{number}"


def import_transfer(row: ImportRow, *, number: int, actor: str, reason: str) -> Transfer:
    """Return the transfer that gives a balance to its owner."""
    return Transfer(
        TransferKind.IMPORT,
        AccountKind.OPENING,
        AccountKind.GRANTED,
        row.credits,
        cause=cause_of(row, number=number),
        owner=row.owner,
        actor=actor,
        reason=reason,
    )


def undo_transfer(known: KnownImport, *, actor: str, reason: str) -> Transfer:
    """Return the transfer that takes an imported balance back."""
    return Transfer(
        TransferKind.IMPORT_UNDO,
        AccountKind.GRANTED,
        AccountKind.OPENING,
        known.row.credits,
        cause=cause_of(known.row, number=known.round),
        owner=known.row.owner,
        actor=actor,
        reason=reason,
    )


def objection(known: KnownImport, *, batch: UUID) -> str | None:
    """Return why a balance that was imported before is not imported now; None if it can be."""
    if known.state is ImportState.IMPORTED:
        return f"{known.row.credits} credits were imported for {known.row.owner} before."
    if known.batch == batch:
        return "It was undone with this batch; only another batch imports it again."
    if known.round >= MAX_ROUNDS:
        return f"It was imported and undone {MAX_ROUNDS} times: grant the credits instead."
    return None


def is_repeated(row: ImportRow, known: KnownImport) -> bool:
    """Return whether a balance is there exactly as it is wanted."""
    return known.state is ImportState.IMPORTED and known.row == row


def _row(balance: ImportedBalance, *, rate: Decimal, currency: str) -> ImportRow | str:
    """Return a balance in credits, or what is wrong with it."""
    if "/" in balance.source or "/" in balance.user_id:
        return "A source and a user_id must not contain '/'."
    if balance.currency != currency:
        return f"The rate is for {currency}, and this is {balance.currency}."
    if not balance.owner and not _is_telegram(balance.user_id):
        return "The user_id is no number of a user at Telegram, and no owner is named."
    worth = _worth(balance.amount, rate=rate)
    if isinstance(worth, str):
        return worth
    owner = balance.owner or f"telegram:{balance.user_id}"
    return ImportRow(balance.source, balance.user_id, owner, worth)


def _is_telegram(user_id: str) -> bool:
    return bool(_USER.fullmatch(user_id)) and int(user_id) <= MOST_USER


def _worth(text: str, *, rate: Decimal) -> int | str:
    if text.startswith("-") and parse_decimal(text[1:]) is not None:
        return f"The amount is below zero: {text}."
    amount = parse_decimal(text)
    if amount is None:
        return f"The amount must be digits with at most one point, such as 12.50, not {text}."
    worth = credits_of(amount, rate=rate)
    if worth < 1:
        return "It is worth less than 1 credit."
    return worth if worth <= MAX_CREDITS else f"It is worth more than {MAX_CREDITS} credits."
