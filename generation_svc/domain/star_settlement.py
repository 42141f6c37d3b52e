"""What an operator says of Stars that Telegram's list leaves open."""

from dataclasses import dataclass

from generation_svc.domain.caller import Caller
from generation_svc.domain.star import StarDirection


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an operator says of a transaction in Stars: nothing else is the bot owner's own."""

    caller: Caller
    bot_id: int
    star_id: str
    direction: StarDirection
    reason: str
    owner: str = ""
    """Whose wallet gets the credits of what came."""
    pack_id: str = ""
    credits: int = 0
    top_up_id: str = ""
    """Whose chargeback it is that Stars went."""
    is_to_return: bool = False
    """Whether the bot is to return the payment once more."""

    @property
    def verdict(self) -> str:
        """What is noted of it."""
        if self.owner:
            return f"owner {self.owner} {self.pack_id or self.credits}"
        if self.is_to_return:
            return "return_again"
        return f"chargeback {self.top_up_id}" if self.top_up_id else "bot_owner"
