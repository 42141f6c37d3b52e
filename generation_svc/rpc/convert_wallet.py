"""Converts wallets and transfers to the messages of the contract."""

from atelier.wallet.v1 import top_up_pb2, transfer_pb2, wallet_pb2
from generation_svc.domain.ledger import Transfer, Wallet
from generation_svc.domain.top_up import Pack, TopUp
from generation_svc.rpc.convert import time_to_proto
from generation_svc.usecase.money.read_wallet import CreditLimit, FreeAllowance


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


def allowance_to_proto(allowance: FreeAllowance) -> wallet_pb2.FreeAllowance:
    """Write what is left of an owner's free jobs of today."""
    return wallet_pb2.FreeAllowance(
        daily_count=allowance.daily_count,
        remaining_count=allowance.remaining_count,
        reset_time=time_to_proto(allowance.reset_time),
    )


def limit_to_proto(limit: CreditLimit) -> wallet_pb2.CreditLimit:
    """Write what a wallet may still owe."""
    return wallet_pb2.CreditLimit(
        monthly_credits=limit.monthly_credits,
        remaining_credits=limit.remaining_credits,
        reset_time=time_to_proto(limit.reset_time),
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
        credits=transfer.amount,
    )


def pack_to_proto(pack: Pack) -> top_up_pb2.Pack:
    """Write what is sold."""
    return top_up_pb2.Pack(id=pack.id, credits=pack.credits, stars=pack.stars)


def top_up_to_proto(top_up: TopUp) -> top_up_pb2.TopUp:
    """Write a payment and what became of it."""
    return top_up_pb2.TopUp(
        id=str(top_up.id),
        owner=top_up.owner,
        provider=top_up.provider,
        external_id=top_up.external_id,
        pack_id=top_up.pack_id,
        credits=top_up.credits,
        amount=top_up.amount,
        currency=top_up.currency,
        state=top_up_pb2.TopUpState.Value(f"TOP_UP_STATE_{top_up.state.name}"),
        create_time=time_to_proto(top_up.create_time),
        refund_time=time_to_proto(top_up.refund_time),
        is_refundable=top_up.is_refundable,
        receipt_number=top_up.receipt,
        refund_receipt_number=top_up.refund_receipt,
        bot_id=top_up.bot_id or 0,
    )


def leased_refund_to_proto(top_up: TopUp) -> top_up_pb2.LeasedRefund:
    """Write a payment that a bot is to return."""
    return top_up_pb2.LeasedRefund(
        top_up=top_up_to_proto(top_up),
        lease_token=str(top_up.lease_token or ""),
        user_id=top_up.user_id or 0,
    )
