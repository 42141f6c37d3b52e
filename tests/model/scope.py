"""How large the part of the world is that a search visits in full."""

from dataclasses import dataclass

SWEEPS = ("mark_orphans", "end_unstarted", "end_overdue", "apply_pending")
WORKERS = ("dispatch", "poll", "fetch", "edge", *SWEEPS)
KINDS = frozenset({*WORKERS, "receive", "cancel"})


@dataclass(frozen=True, slots=True)
class Scope:
    """How many of each may be at work at once, and how much may happen or go wrong in all."""

    name: str = ""
    busy: int = 2
    """How many may be in the middle of something at once, whoever they are."""
    dispatch: int = 1
    receive: int = 1
    poll: int = 1
    fetch: int = 1
    edge: int = 1
    sweep: int = 1
    stall: int = 2
    """How many ticks somebody in the middle of something may live: a lease is one."""
    faults: int = 1
    """Deaths in the middle of something, and answers from outside that are not the good ones."""
    posts: int = 1
    """Callbacks for one task."""
    forged: int = 0
    """Callbacks that came with nobody's, or with another attempt's token."""
    cancels: int = 1
    has_chat: bool = False
    """Whether there is a progress message to edit; otherwise the outcome goes to a feed."""
    is_taken: bool = False
    """Whether the provider has the job from the start."""
    halted: frozenset[str] = KINDS
    """Who can be in the middle of something; all others do what they do in one go."""

    def has_room(self, name: str, busy: list[str]) -> bool:
        """Return whether one more of these may begin, beside those who are busy."""
        kin = SWEEPS if name in SWEEPS else (name,)
        most: int = getattr(self, "sweep" if name in SWEEPS else name)
        if name not in self.halted:
            return most > 0
        return len(busy) < self.busy and sum(each in kin for each in busy) < most
