"""The errors of prices, wallets and payments."""

from datetime import UTC, timedelta

from generation_svc.domain.error import AtelierError
from generation_svc.domain.money import ClosedSales

_CAPS = {"free": "free jobs", "all": "jobs", "top_up": "payments"}
"""What the limits of a day are for, by the names that programs are told."""


class InsufficientCredits(AtelierError):
    """The payer's balance does not cover the price of a job."""

    def __init__(self, *, price: int, balance: int) -> None:
        self.price, self.balance = price, balance
        super().__init__(
            f"The job costs {price} credits, and the balance is {balance}:"
            f" {self.missing} are missing. Top up, or take something cheaper."
        )

    @property
    def missing(self) -> int:
        """How many credits are missing."""
        return self.price - self.balance


class PriceChanged(AtelierError):
    """The price of a job is not the one that was agreed to."""

    def __init__(self, *, price: int, agreed: int) -> None:
        self.price, self.agreed = price, agreed
        super().__init__(f"The job costs {price} credits, not {agreed}. Ask the owner again.")


class OwnerBlocked(AtelierError):
    """The operator blocked an owner, or the wallet that pays for it."""

    def __init__(self, owner: str, *, payer: str | None = None) -> None:
        self.owner = owner
        self.payer = payer if payer != owner else None
        """The wallet that is blocked, where it is not the owner's."""
        blocked = f"The wallet {payer!r}, which pays for" if self.payer else "Owner"
        end = ", is blocked" if self.payer else " is blocked"
        super().__init__(f"{blocked} {owner!r}{end}. Ask the operator.")


class SalesClosed(AtelierError):
    """Nothing is sold at the moment."""

    def __init__(self, closed: ClosedSales) -> None:
        self.closed = closed
        super().__init__("Nothing is sold at the moment. Free models can be used.")

    @property
    def detail(self) -> dict[str, str]:
        """What is told beside the sentence: not the operator's own words, which are no client's."""
        why = {"why": "restored" if self.closed.is_restored else "operator"}
        if self.closed.time is None:
            return why
        time = self.closed.time.astimezone(UTC).replace(microsecond=0, tzinfo=None)
        return why | {"close_time": f"{time.isoformat()}Z"}


class RecoveryMissing(AtelierError):
    """Sales are not to be opened before a restored database is recovered."""

    def __init__(self) -> None:
        super().__init__(
            "The database was restored from a backup. Run python -m generation_svc.recover, which"
            " finds what is missing and opens sales."
        )


class MoneyModeMismatch(AtelierError):
    """Real money and test money do not mix."""

    def __init__(self, mode: str, *, advice: str) -> None:
        self.mode = mode
        super().__init__(f"The money here is {mode}: {advice}")


class ProviderBalanceLow(AtelierError):
    """The operator's balance at the provider does not cover a job."""

    def __init__(self, model_id: str) -> None:
        self.model_id = model_id
        super().__init__(
            f"Model {model_id!r} cannot be used at the moment. The operator was told; try later."
        )


class DailyCapReached(AtelierError):
    """The operator's limit for a day is reached."""

    def __init__(self, cap: str, *, retry_after: timedelta) -> None:
        self.cap, self.retry_after = cap, retry_after
        words = _CAPS.get(cap, cap)
        super().__init__(f"Today's limit for {words} has been reached. Try again tomorrow.")

    @property
    def detail(self) -> dict[str, str]:
        """What is told beside the sentence."""
        return {"cap": self.cap}


class TopUpCapReached(DailyCapReached):
    """A payment is more than its caller may still record today."""

    def __init__(self, *, limit: int, used: int, credits_: int, retry_after: timedelta) -> None:
        super().__init__("top_up", retry_after=retry_after)
        self.limit, self.left = limit, max(0, limit - used)
        minutes = -(-retry_after // timedelta(minutes=1))
        advice = (
            f"The next day begins in {minutes} minutes; record the payment again then."
            if credits_ <= limit
            else f"{credits_} are more than any day has: have an operator record the payment."
        )
        self.args = (
            f"At most {limit} credits are recorded a day (UTC), and {self.left} of them are left."
            f" {advice}",
        )

    @property
    def detail(self) -> dict[str, str]:
        """What is told beside the sentence."""
        return super().detail | {"limit": str(self.limit), "left": str(self.left)}


class FreeAllowanceUsed(AtelierError):
    """An owner has used the free jobs of a day."""

    def __init__(self, *, daily_count: int, retry_after: timedelta) -> None:
        self.daily_count, self.retry_after = daily_count, retry_after
        words = "free job has" if daily_count == 1 else f"{daily_count} free jobs have"
        super().__init__(f"Today's {words} been used. Try again tomorrow.")


class TopUpInvalid(AtelierError):
    """A payment does not fit what is sold."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"The payment does not fit what is sold: {problem}.")


class TopUpReused(AtelierError):
    """A provider's id was used before for a different payment."""

    def __init__(self, provider: str, *, external_id: str, field: str) -> None:
        self.provider, self.external_id, self.field = provider, external_id, field
        super().__init__(
            f"{provider} has another payment with the id {external_id!r}: it differs in {field}."
        )


class GrantReused(AtelierError):
    """A caller's request_id was used before for a different grant."""

    def __init__(self, request_id: str, *, field: str) -> None:
        self.request_id, self.field = request_id, field
        super().__init__(
            f"The request_id {request_id!r} was used for another grant: it differs in {field}."
        )


class TopUpNotFound(AtelierError):
    """The caller has no such top-up."""

    def __init__(self, top_up_id: str) -> None:
        self.top_up_id = top_up_id
        super().__init__(f"Top-up {top_up_id!r} not found.")


class TopUpSpent(AtelierError):
    """Something of a top-up is spent."""

    def __init__(self, top_up_id: str) -> None:
        self.top_up_id = top_up_id
        super().__init__(
            f"Part of top-up {top_up_id!r} has been spent. It can only be refunded by force,"
            " which leaves a debt."
        )


class StarNotFound(AtelierError):
    """A bot has no such transaction in Stars."""

    def __init__(self, transaction_id: str) -> None:
        self.transaction_id = transaction_id
        super().__init__(f"The bot has no transaction {transaction_id!r} in this direction.")


class StarNotSettled(AtelierError):
    """A transaction in Stars cannot be settled as it was asked for."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"The transaction cannot be settled this way: {problem}.")


class MoneyOff(AtelierError):
    """The operator sells nothing here."""

    def __init__(self) -> None:
        super().__init__("The operator sells nothing here: MONEY is not set.")
