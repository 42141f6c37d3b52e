"""Transactions in Stars with every kind of partner, as tests enter them into the sandbox."""

from typing import Any

USER = {"id": 7, "is_bot": False, "first_name": "Alice"}
BOT = {"id": 99, "is_bot": True, "first_name": "Sponsor"}
STICKER = {
    "file_id": "CAACAgIAAx",
    "file_unique_id": "AgADx",
    "type": "regular",
    "width": 512,
    "height": 512,
    "is_animated": True,
    "is_video": False,
}
GIFT = {"id": "5170145012310081615", "sticker": STICKER, "star_count": 15}
CHANNEL = {"id": -1001, "type": "channel", "title": "News"}
PHOTO = {"file_id": "AgACAgIAAx", "file_unique_id": "AQADx", "width": 90, "height": 60}


def _user(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "user", "transaction_type": kind, "user": USER, **fields}


AFFILIATE = {"affiliate_user": BOT, "commission_per_mille": 100, "amount": 10, "nanostar_amount": 5}
WITHDRAWN = {"type": "succeeded", "date": 1_700_000_000, "url": "https://fragment.com/tx/1"}

TRANSACTIONS: dict[str, dict[str, Any]] = {
    "payment": {
        "amount": 100,
        "source": _user("invoice_payment", invoice_payload="pack:100"),
    },
    "payment of an affiliate's": {
        "amount": 89,
        "nanostar_amount": 999_999_995,
        "source": _user("invoice_payment", invoice_payload="pack:100", affiliate=AFFILIATE),
    },
    "subscription": {
        "amount": 50,
        "source": _user("invoice_payment", invoice_payload="s", subscription_period=2_592_000),
    },
    "paid media": {
        "amount": 5,
        "source": _user(
            "paid_media_payment",
            paid_media=[{"type": "photo", "photo": [PHOTO]}],
            paid_media_payload="m",
        ),
    },
    "business transfer": {"amount": 7, "source": _user("business_account_transfer")},
    "gift": {"amount": 15, "receiver": _user("gift_purchase", gift=GIFT)},
    "premium": {
        "amount": 1000,
        "receiver": _user("premium_purchase", premium_subscription_duration=3),
    },
    "gift to a channel": {
        "amount": 15,
        "receiver": {"type": "chat", "chat": CHANNEL, "gift": GIFT},
    },
    "affiliate share": {
        "amount": 3,
        "nanostar_amount": 500_000_000,
        "source": {"type": "affiliate_program", "sponsor_user": BOT, "commission_per_mille": 100},
    },
    "withdrawal on its way": {
        "amount": 1000,
        "receiver": {"type": "fragment", "withdrawal_state": {"type": "pending"}},
    },
    "withdrawal": {
        "amount": 1000,
        "receiver": {"type": "fragment", "withdrawal_state": WITHDRAWN},
    },
    "failed withdrawal": {
        "amount": 1000,
        "receiver": {"type": "fragment", "withdrawal_state": {"type": "failed"}},
    },
    "return of a failed withdrawal": {"amount": 1000, "source": {"type": "fragment"}},
    "advertising": {"amount": 200, "receiver": {"type": "telegram_ads"}},
    "paid broadcast": {
        "amount": 0,
        "nanostar_amount": 300_000_000,
        "receiver": {"type": "telegram_api", "request_count": 3},
    },
    "unknown giver": {"amount": 1, "source": {"type": "other"}},
    "unknown taker": {"amount": 2, "receiver": {"type": "other"}},
}
"""One of each kind that the Bot API knows of, by what it is."""
