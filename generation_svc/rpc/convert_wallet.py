"""Converts wallets and transfers to the messages of the contract."""

from atelier.wallet.v1 import transfer_pb2, wallet_pb2
from generation_svc.domain.ledger import Transfer, Wallet
from generation_svc.rpc.convert import time_to_proto


def wallet_to_proto(wallet: Wallet) -> wallet_pb2.Wallet:
    """Write what an owner has."""
    return wallet_pb2.Wallet(
        owner=wallet.owner,
        balance=wallet.balance,
        granted_credits=wallet.granted,
        held_credits=wallet.held,
        debt=wallet.debt,
        is_blocked=wallet.is_blocked,
    )


def transfer_to_proto(transfer: Transfer) -> transfer_pb2.Transfer:
    """Write a movement of an owner's credits."""
    return transfer_pb2.Transfer(
        id=transfer.id,
        create_time=time_to_proto(transfer.time),
        kind=transfer_pb2.TransferKind.Value(f"TRANSFER_KIND_{transfer.kind.name}"),
        amount=transfer.change,
        balance_after=transfer.balance_after or 0,
        cause_id=transfer.cause,
        model_id=transfer.detail.get("model_id", ""),
        actor=transfer.actor,
        reason=transfer.reason,
    )
