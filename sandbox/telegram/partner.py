"""Everyone who may be at the other end of a transaction in Stars, in the Bot API's own shapes.

Only `amount`s are positive in both directions; the direction is told by `source` or `receiver`.
"""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Nanostars = Annotated[int, Field(gt=-(10**9), lt=10**9)]


class Shape(BaseModel):
    """An object of the Bot API of which every field is known."""

    model_config = ConfigDict(extra="forbid", strict=True)


class OpenShape(BaseModel):
    """An object of the Bot API of which only what is always there is named."""

    model_config = ConfigDict(extra="allow", strict=True)


class UserShape(OpenShape):
    """A `User`."""

    id: int
    is_bot: bool
    first_name: str


class ChatShape(OpenShape):
    """A `Chat`."""

    id: int
    type: Literal["private", "group", "supergroup", "channel"]


class StickerShape(OpenShape):
    """A `Sticker`."""

    file_id: str
    file_unique_id: str
    type: Literal["regular", "mask", "custom_emoji"]
    width: int
    height: int
    is_animated: bool
    is_video: bool


class GiftShape(OpenShape):
    """A `Gift`."""

    id: str
    sticker: StickerShape
    star_count: int


class AffiliateShape(Shape):
    """An `AffiliateInfo`; its amounts are negative where a payment was refunded."""

    affiliate_user: UserShape | None = None
    affiliate_chat: ChatShape | None = None
    commission_per_mille: int
    amount: int
    nanostar_amount: Nanostars | None = None


class Pending(Shape):
    """A `RevenueWithdrawalStatePending`."""

    type: Literal["pending"]


class Succeeded(Shape):
    """A `RevenueWithdrawalStateSucceeded`."""

    type: Literal["succeeded"]
    date: int
    url: str


class Failed(Shape):
    """A `RevenueWithdrawalStateFailed`."""

    type: Literal["failed"]


WithdrawalState: TypeAlias = Annotated[Pending | Succeeded | Failed, Field(discriminator="type")]

ONLY_FOR: dict[str, set[str]] = {
    "affiliate": {"invoice_payment", "paid_media_payment"},
    "invoice_payload": {"invoice_payment"},
    "subscription_period": {"invoice_payment"},
    "paid_media": {"paid_media_payment"},
    "paid_media_payload": {"paid_media_payment"},
    "gift": {"gift_purchase"},
    "premium_subscription_duration": {"premium_purchase"},
}
"""The fields of a user's transaction that only some types have (Bot API)."""


class UserPartner(Shape):
    """A `TransactionPartnerUser`."""

    type: Literal["user"]
    transaction_type: Literal[
        "invoice_payment",
        "paid_media_payment",
        "gift_purchase",
        "premium_purchase",
        "business_account_transfer",
    ]
    user: UserShape
    affiliate: AffiliateShape | None = None
    invoice_payload: str | None = None
    subscription_period: int | None = None
    paid_media: list[dict[str, Any]] | None = None
    paid_media_payload: str | None = None
    gift: GiftShape | None = None
    premium_subscription_duration: int | None = None

    @model_validator(mode="after")
    def check_type(self) -> Self:
        """Refuse fields that transactions of another type have."""
        given = self.model_dump(exclude_none=True)
        wrong = {
            name
            for name, types in ONLY_FOR.items()
            if name in given and self.transaction_type not in types
        }
        if wrong:
            raise ValueError(f"{', '.join(sorted(wrong))}: not for {self.transaction_type}")
        return self


class ChatPartner(Shape):
    """A `TransactionPartnerChat`."""

    type: Literal["chat"]
    chat: ChatShape
    gift: GiftShape | None = None


class AffiliateProgramPartner(Shape):
    """A `TransactionPartnerAffiliateProgram`."""

    type: Literal["affiliate_program"]
    sponsor_user: UserShape | None = None
    commission_per_mille: int


class FragmentPartner(Shape):
    """A `TransactionPartnerFragment`; a failed withdrawal comes back without a state."""

    type: Literal["fragment"]
    withdrawal_state: WithdrawalState | None = None


class AdsPartner(Shape):
    """A `TransactionPartnerTelegramAds`."""

    type: Literal["telegram_ads"]


class ApiPartner(Shape):
    """A `TransactionPartnerTelegramApi`, which takes the fee for paid broadcasts."""

    type: Literal["telegram_api"]
    request_count: int


class OtherPartner(Shape):
    """A `TransactionPartnerOther`."""

    type: Literal["other"]


Partner: TypeAlias = Annotated[
    UserPartner
    | ChatPartner
    | AffiliateProgramPartner
    | FragmentPartner
    | AdsPartner
    | ApiPartner
    | OtherPartner,
    Field(discriminator="type"),
]
