"""How large the part of the world is that a search visits in full."""

from dataclasses import dataclass, replace

SWEEPS = ("mark_orphans", "end_unstarted", "end_overdue", "apply_pending")
WORKERS = ("dispatch", "poll", "fetch", "cost", "edge", *SWEEPS)
MONEY = ("refund", "charge_back", "top_up")
"""What happens to the owner's top-ups, each in one go: it is one transaction."""
KINDS = frozenset({*WORKERS, "receive", "cancel", *MONEY})


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
    cost: int = 0
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
    refunds: int = 0
    """How often the top-up that pays for the job is asked back, whatever was spent of it."""
    charge_backs: int = 0
    """How often the provider of payments says that it took the payment back."""
    top_ups: int = 0
    """How often another payment of the owner is told of; all tell of the same one."""
    is_paid: bool = False
    """Whether credits are held for the job."""
    costs: tuple[int, ...] = ()
    """What a task may take, where that decides what is paid: then the price is a ceiling."""
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


RACE = Scope("race", edge=0, stall=1, faults=0)
"""Callback, poll, fetch, cancel, sweep and a dispatcher, two of them in the middle of something."""
MISHAP = Scope("mishap", edge=0, stall=1, busy=1, cancels=0)
"""One after the other, but anybody may die in the middle, and any answer be the wrong one."""
CHAT = Scope(
    "chat",
    busy=2,
    edge=2,
    dispatch=0,
    poll=0,
    sweep=0,
    stall=1,
    cancels=0,
    has_chat=True,
    is_taken=True,
    halted=frozenset({"edge"}),
)
"""Two edges that send the progress and the outcome, with a mishap."""
LATE = replace(MISHAP, name="late answer", busy=2, halted=frozenset({"dispatch", "end_overdue"}))
"""A dispatcher whose answer comes when the hard stop does."""
PAID = replace(RACE, name="race, paid", is_paid=True)
"""The race for a job that credits are held for."""
PAID_MISHAP = replace(MISHAP, name="mishap, paid", is_paid=True, cancels=1)
"""The mishap for such a job, which may be cancelled as well."""
REFUND = replace(PAID, name="refund, paid", cancels=0, refunds=2)
"""The race, while what pays for the job is returned, twice if that is possible.

Whether the hold is released before or after that, the owner ends with the same: what comes back
pays the debt. So there are fewer states than if it left both.
"""
CHARGEBACK = replace(
    PAID,
    name="chargeback",
    busy=1,
    poll=0,
    sweep=0,
    cancels=0,
    refunds=1,
    charge_backs=2,
    top_ups=2,
)
"""The payment for a job is taken back and asked back, and another one made, each told twice."""
CEILING = replace(PAID, name="ceiling", dispatch=0, sweep=0, cost=1, costs=(3, 20), is_taken=True)
"""The race for a job under a ceiling: it takes less or more, which is told at once or late."""
TWO_TASKS = replace(
    MISHAP,
    name="ceiling, two tasks",
    sweep=0,
    poll=0,
    cost=1,
    costs=(3,),
    is_paid=True,
    halted=frozenset(),
)
"""A job under a ceiling that may be sent twice, so that both tasks bring a result and a cost."""
LATE_PAID = replace(LATE, name="late answer, paid", is_paid=True, cancels=1)
"""An answer that comes with the hard stop, for a job that is paid for and may be cancelled."""
SMALL = (
    RACE,
    replace(RACE, name="race, two dispatchers", dispatch=2, cancels=0),
    MISHAP,
    CHAT,
    replace(CHAT, name="feed", cancels=1, has_chat=False),
    PAID,
    PAID_MISHAP,
    REFUND,
    CHARGEBACK,
    CEILING,
    TWO_TASKS,
)
"""Those of `make test`."""
LARGE = (
    replace(RACE, name="race, three at once", busy=3),
    replace(RACE, name="race, two ticks long", stall=2),
    replace(RACE, name="race, two callbacks", posts=2, receive=2),
    replace(RACE, name="race, forged callback", forged=1),
    replace(RACE, name="race and a mishap", faults=1),
    LATE,
    LATE_PAID,
    replace(PAID, name="charge, cancel, three at once", busy=3),
    replace(PAID, name="charge, cancel, refund", refunds=1),
    replace(PAID, name="charge, cancel, a mishap", faults=1),
    replace(PAID, name="chargeback, race", cancels=0, charge_backs=2, top_ups=2),
    replace(CEILING, name="ceiling, two callbacks, a mishap", posts=2, faults=1),
    replace(MISHAP, name="mishap, ceiling", cost=1, costs=(3, 20), is_paid=True),
    replace(PAID_MISHAP, name="refund and two mishaps, paid", refunds=1, faults=2),
    replace(MISHAP, name="two mishaps", faults=2),
    replace(MISHAP, name="mishap, cancel, two ticks", cancels=1, stall=2),
    replace(CHAT, name="chat, cancel", cancels=1),
    replace(CHAT, name="chat, two mishaps, cancel", cancels=1, faults=2),
    replace(
        CHAT,
        name="chat, race to the outcome",
        edge=1,
        poll=1,
        faults=0,
        cancels=1,
        halted=frozenset({"edge", "fetch", "receive", "poll"}),
    ),
)
"""Those of `make model`, beside the small ones."""
