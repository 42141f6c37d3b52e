"""The caller of the service and its rights: invariant 10 in one value."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from generation_svc.domain.error import PermissionDenied


class Scope(StrEnum):
    """What a caller may do, beyond the owners and bots that are its own."""

    OWN_JOBS = "own_jobs"
    """Make jobs, and see and cancel what it made."""
    ALL_JOBS = "all_jobs"
    """See and cancel the jobs of all callers."""
    CALLBACKS = "callbacks"
    """Report what the provider posted."""
    DELIVERIES = "deliveries"
    """Lease, begin and report deliveries."""
    SESSIONS = "sessions"
    """Keep conversations, and poll for its bots."""
    MONEY = "money"
    """An earlier name, which callers' documents may still hold; it grants nothing."""
    OPERATOR_FIELDS = "operator_fields"
    """Set the fields of a model that are the operator's: safety, watermarks, fallbacks."""
    CATALOG = "catalog"
    """Import models, override them, and switch them off and on."""
    WALLET_READ = "wallet_read"
    """See what its owners have."""
    WALLET_TOPUP = "wallet_topup"
    """Record what its owners paid, and return it when asked to."""
    WALLET_OPERATE = "wallet_operate"
    """Give and take credits of every owner, set prices, and close sales."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, as its token proved; by default it may do nothing."""

    name: str
    scopes: frozenset[Scope] = frozenset()
    owner_prefixes: tuple[str, ...] = ()
    """The prefixes of the owners that it acts for; an empty prefix matches every owner."""
    bot_ids: frozenset[int] | None = frozenset()
    """The bots that it sends for; None means every bot."""
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    """The keys that sign what is posted to it, newest first (Standard Webhooks: `whsec_…`)."""
    wallet: str | None = None
    """The owner whose wallet pays for all of its jobs; None leaves each to the job's own owner."""
    monthly_credits: int = 0
    """How many credits that wallet may use in a month (UTC) beyond what it has, and owe."""
    daily_top_up_credits: int | None = None
    """Credits that it may record in a day (UTC) before a list confirms them; None is as usual."""

    @classmethod
    def trusted(cls, name: str) -> Self:
        """Return a caller that may do everything, as one who reaches our loopback may."""
        return cls(name, scopes=frozenset(Scope), owner_prefixes=("",), bot_ids=None)

    @property
    def sees(self) -> str | None:
        """The caller whose jobs it sees: itself, or None for those of all callers."""
        return None if Scope.ALL_JOBS in self.scopes else self.name

    @property
    def own_wallet(self) -> str:
        """The owner whose wallet is meant where it names none: the one that pays, else itself."""
        return self.wallet or self.name

    def require(self, *any_of: Scope) -> None:
        """Raise PermissionDenied unless it has one of these scopes."""
        if not self.scopes.intersection(any_of):
            wanted = " or ".join(any_of)
            raise PermissionDenied(f"The caller needs the scope {wanted}.", missing=wanted)

    def acts_for(self, owner: str) -> bool:
        """Return whether an owner is itself or one of its prefixes."""
        return owner == self.name or owner.startswith(self.owner_prefixes)

    def require_owner(self, owner: str) -> None:
        """Raise PermissionDenied unless it acts for this owner: itself, or one of its prefixes."""
        if not self.acts_for(owner):
            raise PermissionDenied(f"The caller may not act for owner {owner!r}.", owner=owner)

    def require_bot(self, bot_id: int) -> None:
        """Raise PermissionDenied unless it sends for this bot."""
        if self.bot_ids is not None and bot_id not in self.bot_ids:
            raise PermissionDenied(f"The caller may not act for bot {bot_id}.", bot_id=str(bot_id))
