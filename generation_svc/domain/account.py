"""An account at a provider: what limits, breakers and attempts are counted by."""

from dataclasses import dataclass

DEFAULT_ACCOUNT = "default"
"""What the account is called where the operator gives only one and no name."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account at a provider, by name: its key is known to the adapter alone."""

    provider: str
    name: str

    def __str__(self) -> str:
        """Return its name as people read it, such as `provider/second`."""
        return f"{self.provider}/{self.name}"


@dataclass(frozen=True, slots=True)
class AccountLoad:
    """What an account has to do at this moment."""

    claims: int = 0
    """Claimed jobs that will soon take one of its calls."""
    active: int = 0
    """Tasks that it has at the provider, and jobs that are about to become one."""
