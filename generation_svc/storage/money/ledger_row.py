"""Rows of the ledger as values."""

from typing import Any

from generation_svc.domain.cost_excess import CostExcess
from generation_svc.domain.ledger import (
    AccountKind,
    Currency,
    Grant,
    Transfer,
    TransferKind,
    Wallet,
)
from generation_svc.storage.connection import Row


def transfer_columns(transfer: Transfer) -> dict[str, Any]:
    """Return the columns of a new transfer."""
    return {
        "currency": transfer.currency,
        "amount": transfer.amount,
        "source": transfer.source,
        "target": transfer.target,
        "owner": transfer.owner,
        "change": transfer.change,
        "kind": transfer.kind,
        "cause": transfer.cause,
        "actor": transfer.actor,
        "reason": transfer.reason,
        "detail": dict(transfer.detail),
    }


def transfer_from_row(row: Row) -> Transfer:
    """Read a transfer."""
    return Transfer(
        id=row["id"],
        time=row["time"],
        kind=TransferKind(row["kind"]),
        source=AccountKind(row["source"]),
        target=AccountKind(row["target"]),
        amount=row["amount"],
        currency=Currency(row["currency"]),
        owner=row["owner"],
        cause=row["cause"],
        actor=row["actor"],
        reason=row["reason"],
        detail=row["detail"],
        balance_after=row["balance_after"],
    )


def excess_from_row(row: Row) -> CostExcess:
    """Read a cost beyond its quote."""
    return CostExcess(
        attempt_id=row["attempt_id"],
        model_id=row["model_id"],
        quoted=row["quoted"],
        taken=row["taken"],
    )


def wallet_from_row(row: Row) -> Wallet:
    """Read a wallet."""
    return Wallet(
        owner=row["owner"],
        granted=row["granted"],
        paid=row["paid"],
        held=row["held"],
        debt=row["debt"],
        is_blocked=row["is_blocked"],
        lent=row["lent"],
        lent_month=row["lent_month"],
    )


def grant_from_row(row: Row) -> Grant:
    """Read a grant."""
    return Grant(
        id=row["id"],
        owner=row["owner"],
        credits=row["credits"],
        actor=row["actor"],
        reason=row["reason"],
    )
