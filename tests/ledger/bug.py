"""Guards of the product that are taken away, to see that the search finds what breaks then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from uuid import UUID

from generation_svc.domain.job import Job, Result
from generation_svc.domain.ledger import Delivered, Wallet
from generation_svc.domain.top_up import TopUp, TopUpState
from generation_svc.lifecycle import charge
from generation_svc.storage.money import ledger_store
from generation_svc.storage.money.hold import END, LOWER
from generation_svc.storage.money.ledger_store import PostgresLedgerStore
from generation_svc.storage.money.top_up_store import PostgresTopUpStore
from generation_svc.usecase import create_job
from generation_svc.usecase.money import refund_top_up
from tests.ledger.ground import Ground

Patch = tuple[Any, str, Any]
"""Where a guard is, what it is called there, and what is there instead."""
_capture, _delivered_of = charge.capture, charge.delivered_of
_lock = PostgresTopUpStore.lock


@dataclass(frozen=True, slots=True)
class Bug:
    """A guard that is taken away."""

    guard: str
    patches: Callable[[Ground], Sequence[Patch]]

    @contextmanager
    def planted(self, ground: Ground) -> Iterator[None]:
        """Take the guard away."""
        with ExitStack() as stack:
            for target, name, instead in self.patches(ground):
                stack.enter_context(patch.object(target, name, instead))
            yield


def _instead(target: Any, name: str, instead: Any) -> Callable[[Ground], Sequence[Patch]]:
    return lambda _: ((target, name, instead),)


def _without(guard: str, *, put: str = "") -> Callable[[Ground], Sequence[Patch]]:
    """Take a part out of the statements that end holds."""
    patches = [
        (ledger_store, name, statement.replace(guard, put))
        for name, statement in (("END", END), ("LOWER", LOWER))
    ]
    assert any(guard in statement for statement in (END, LOWER))
    return lambda _: patches


async def _nothing(*_: object, **__: object) -> None:
    """Do nothing instead."""


def _in_full(job: Job, result: Result, *, cost: Decimal | None) -> Delivered:
    delivered = _delivered_of(job, result, cost=cost)
    return replace(delivered, count=max(delivered.count, 4), missing=0)


async def _look(self: PostgresLedgerStore, owners: Sequence[str]) -> dict[str, Wallet]:
    """Read the wallets without their locks, and only see that they are there."""
    await self._connection.execute(
        "INSERT INTO wallet (owner, update_time) SELECT owner, now() FROM"
        " unnest(%s::text[]) AS given (owner) ON CONFLICT DO NOTHING",
        (sorted(set(owners)),),
    )
    return {owner: await self.wallet(owner) for owner in owners}


async def _still_credited(self: PostgresTopUpStore, top_up_id: UUID) -> TopUp | None:
    top_up = await _lock(self, top_up_id)
    return replace(top_up, state=TopUpState.CREDITED) if top_up else None


_OWED = "least(wallet.debt, ended.paid)"
BUGS = (
    Bug(
        "a cancelled job keeps its hold while the provider works",
        _instead(charge, "release_cancelled", charge.release),
    ),
    Bug("who moves credits locks the wallet", _instead(PostgresLedgerStore, "lock", _look)),
    Bug("a payment is known by its id", _instead(PostgresTopUpStore, "find", _nothing)),
    Bug("a top-up goes back once", _instead(PostgresTopUpStore, "lock", _still_credited)),
    Bug(
        "what is spent becomes a debt",
        _instead(refund_top_up, "taken_back", lambda amount, *, paid: (amount, 0)),
    ),
    Bug("what comes back pays the debt", _without(_OWED, put="0")),
    Bug("a loan that comes back can be lent again", _without("ended.unused", put="0")),
    Bug(
        "the price is the one that was agreed",
        _instead(create_job, "_check_agreed", lambda *_: None),
    ),
)
RARE = (
    Bug("a ceiling is not exceeded", _without("least(granted + paid, greatest", put="(greatest")),
    Bug("a cancelled job pays for what came", _instead(charge, "capture_late", _nothing)),
    Bug("only what was delivered is paid", _instead(charge, "delivered_of", _in_full)),
)
"""Which may take the search minutes: it comes later to where they matter."""
