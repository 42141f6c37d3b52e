"""Says in SQL which attempts may still bring a result.

Stores need it as well as the tables, whose library takes long to load and which only a migration
needs. So it stands here.
"""

from generation_svc.domain.attempt import LIVE_STATES


def is_live(prefix: str = "state") -> str:
    """Return the rule that an attempt may still bring a result."""
    return f"{prefix} IN ({', '.join(repr(str(state)) for state in sorted(LIVE_STATES))})"
