"""Turns Telegram's transactions in Stars into the contract's."""

from __future__ import annotations

import json

from telegram import StarTransaction, TransactionPartner, TransactionPartnerUser

from atelier.wallet.v1 import star_transaction_pb2 as pb

MAX_DOCUMENT_BYTES = 16 * 2**10
"""The size of a transaction as JSON (StarTransaction.document_json)."""

_PARTNERS = {
    "user": pb.STAR_PARTNER_USER,
    "chat": pb.STAR_PARTNER_CHAT,
    "fragment": pb.STAR_PARTNER_FRAGMENT,
    "telegram_ads": pb.STAR_PARTNER_TELEGRAM_ADS,
    "telegram_api": pb.STAR_PARTNER_TELEGRAM_API,
    "affiliate_program": pb.STAR_PARTNER_AFFILIATE_PROGRAM,
    "other": pb.STAR_PARTNER_OTHER,
}
"""The kinds of partner by their names in the Bot API (TransactionPartner)."""


def star_transaction_to_proto(transaction: StarTransaction) -> pb.StarTransaction:
    """Write a transaction as the contract has it; a partner of a kind to come is unspecified."""
    told = pb.StarTransaction(
        id=transaction.id,
        is_incoming=transaction.source is not None,
        amount=transaction.amount,
        nanostar_amount=transaction.nanostar_amount or 0,
        document_json=_document(transaction),
    )
    told.time.FromDatetime(transaction.date)
    _tell_partner(told, transaction.source or transaction.receiver)
    return told


def _tell_partner(told: pb.StarTransaction, partner: TransactionPartner | None) -> None:
    told.partner = _PARTNERS.get(partner.type if partner else "", pb.STAR_PARTNER_UNSPECIFIED)
    if isinstance(partner, TransactionPartnerUser):
        told.user_id = partner.user.id
        told.transaction_type = str(partner.transaction_type)
        told.invoice_payload = partner.invoice_payload or ""


def _document(transaction: StarTransaction) -> str:
    """Return all that Telegram said; of what is too long without what was sold."""
    whole = transaction.to_dict()
    document = json.dumps(whole, ensure_ascii=False)
    if len(document.encode()) <= MAX_DOCUMENT_BYTES:
        return document
    for side in ("source", "receiver"):
        shown = whole.get(side, {})
        for name in ("gift", "paid_media", "paid_media_payload"):
            shown.pop(name, None)
    return json.dumps(whole, ensure_ascii=False)
