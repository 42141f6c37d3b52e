"""What happens when a user does something."""

from edge_bot.handler.acknowledge import acknowledge
from edge_bot.handler.conversation import apologize, handle_update

__all__ = ["acknowledge", "apologize", "handle_update"]
