"""What a run will do, all of it drawn from its seed before anything starts."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import cycle

from tests.chaos.fault_rule import KIE, TELEGRAM, Rule
from tests.chaos.sale import (
    FREE,
    SALES,
    SHOP_SHARE,
    SOLD,
    Gift,
    Margin,
    Purchase,
    Sale,
    gifts_of,
    margins_of,
    purchases_of,
)

HOUR_S = 3600.0
JOB_EVERY_S = 0.4
WARM_UP_PACE_S = 0.1
HASTE = 0.25
"""The share of kills after which a process may die while it starts."""


class Kind(StrEnum):
    """Who asks for a job, and where its result goes."""

    PERSON = "person"
    """A person at Telegram, who gets it in the chat."""
    QUEUE = "queue"
    """A gRPC caller with a feed of its own."""
    STREAM = "stream"
    """A gRPC caller without a destination, who follows the job."""
    WAIT = "wait"
    """A gRPC caller without a destination, who waits for its end."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One job that is asked for."""

    number: int
    at_s: float
    kind: Kind
    cancel_after_s: float | None = None
    is_repeated: bool = False
    """Whether the person presses, or the caller asks, once more than needed."""
    has_photo: bool = False
    sale: Sale = FREE
    """What is asked for."""
    is_of_shop: bool = False
    """Whether the caller asks whose jobs one wallet pays."""
    blocks_after_s: float | None = None
    """When the person blocks the bot."""


class Part(StrEnum):
    """What can be killed."""

    SERVICE = "service"
    GATEWAY = "gateway"
    EDGE = "edge"
    POSTMASTER = "postmaster"


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One process ends at this instruction and comes back later."""

    at_s: float
    part: Part
    number: int
    down_s: float
    is_hasty: bool
    """Whether it may be killed again before it was ready, as soon as that is its turn."""


class Impact(StrEnum):
    """What happens to the connections of a proxy."""

    CUT = "cut"
    STALL = "stalled"
    REFUSE = "refusing"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A proxy between two parts is bad for a moment."""

    at_s: float
    proxy: int
    """Which of the proxies, counted round."""
    impact: Impact
    seconds: float
    share: float


@dataclass(frozen=True, kw_only=True)
class FaultWindow:
    """A sandbox misbehaves for a while."""

    at_s: float
    seconds: float
    party: str
    """`kie` or `telegram`."""
    fault: Rule = field(hash=False)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much happens and how fast."""

    jobs: int
    feed_s: float
    """How long jobs come in, and how long things go wrong."""
    outage_s: float
    """How long KIE is down."""
    time_scale: float = 0.02
    start_deadline_s: float = 3 * HOUR_S
    """Unscaled, as the service is told."""
    drain_s: float = 330.0
    """How long everything may take to come to rest once nothing goes wrong any more."""
    warm_up_jobs: int = 24
    kill_every_s: float = 6.0
    blow_every_s: float = 2.5
    spell_every_s: float = 6.0
    longest_spell_s: float = 10.0


SHORT = Size(
    jobs=70,
    feed_s=15.0,
    outage_s=4.0,
    start_deadline_s=1500.0,
    drain_s=120.0,
    warm_up_jobs=8,
    kill_every_s=3.5,
    spell_every_s=4.0,
    longest_spell_s=5.0,
)
"""What is a test: seconds of each, an outage of minutes."""


def long_size(jobs: int) -> Size:
    """Return a run for so many jobs, which come in at the rate of a busy hour."""
    feed_s = jobs * JOB_EVERY_S
    outage_s = min(HOUR_S * Size.time_scale, feed_s / 2)
    # A job that never starts ends with its deadline: in a short run nobody waits as long as that.
    start_deadline_s = min(Size.start_deadline_s, (2 * feed_s + 20) / Size.time_scale)
    return Size(jobs=jobs, feed_s=feed_s, outage_s=outage_s, start_deadline_s=start_deadline_s)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a run will do."""

    seed: int
    size: Size
    warm_up: tuple[Order, ...]
    """What is asked for before anything goes wrong."""
    orders: tuple[Order, ...]
    kills: tuple[Kill, ...]
    faults: tuple[Fault, ...]
    windows: tuple[FaultWindow, ...]
    gifts: tuple[Gift, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    margins: tuple[Margin, ...] = ()


def plan_of(seed: int, size: Size) -> Plan:
    """Draw a run."""
    rng, money = random.Random(f"chaos {seed}"), random.Random(f"chaos {seed} money")
    return Plan(
        seed=seed,
        size=size,
        warm_up=tuple(_calm_order(n) for n in range(1, size.warm_up_jobs + 1)),
        orders=tuple(_sold(money, each) for each in _orders(rng, size)),
        kills=tuple(_kills(rng, size)),
        faults=tuple(_faults(rng, size)),
        windows=(_outage(rng, size), *_windows(rng, size)),
        gifts=tuple(gifts_of(money, feed_s=size.feed_s)),
        purchases=tuple(purchases_of(money, feed_s=size.feed_s)),
        margins=tuple(margins_of(money, feed_s=size.feed_s)),
    )


def _sold(rng: random.Random, order: Order) -> Order:
    """Have a caller pay for its job, perhaps, or cancel it while it is made."""
    if order.kind is Kind.PERSON or rng.random() >= SOLD:
        return order
    is_alone = order.kind in (Kind.STREAM, Kind.WAIT)
    return replace(
        order,
        sale=rng.choice(SALES),
        is_of_shop=is_alone and rng.random() < SHOP_SHARE,
        cancel_after_s=rng.uniform(0, 2.5) if rng.random() < 0.15 else order.cancel_after_s,
    )


def _orders(rng: random.Random, size: Size) -> list[Order]:
    count = size.jobs - size.warm_up_jobs
    moments = sorted(rng.uniform(0, size.feed_s) for _ in range(count))
    first = size.warm_up_jobs + 1
    return [_order(rng, number=n, at_s=at_s) for n, at_s in enumerate(moments, first)]


def _calm_order(number: int) -> Order:
    kinds = list(Kind)
    return Order(number=number, at_s=number * WARM_UP_PACE_S, kind=kinds[number % len(kinds)])


def _order(rng: random.Random, *, number: int, at_s: float) -> Order:
    kind = rng.choices(list(Kind), weights=(45, 30, 13, 12))[0]
    is_person, draw = kind is Kind.PERSON, rng.random()
    return Order(
        number=number,
        at_s=at_s,
        kind=kind,
        cancel_after_s=rng.uniform(0, 6) if draw < 0.1 else None,
        blocks_after_s=rng.uniform(0, 6) if is_person and 0.1 <= draw < 0.16 else None,
        has_photo=is_person and rng.random() < 0.1,
        is_repeated=rng.random() < 0.25,
    )


def _kills(rng: random.Random, size: Size) -> list[Kill]:
    """Draw the kills: every process in turn in a random order, so that none is spared."""
    parts = [(part, number) for part in Part for number in (0, 1)]
    kills: list[Kill] = []
    for at_s in _moments(rng, size, every_s=size.kill_every_s):
        if not kills or len(kills) % len(parts) == 0:
            rng.shuffle(parts)
        part, number = parts[len(kills) % len(parts)]
        down_s, is_hasty = rng.uniform(0, 4), rng.random() < HASTE
        kills.append(Kill(at_s=at_s, part=part, number=number, down_s=down_s, is_hasty=is_hasty))
    return kills


def _faults(rng: random.Random, size: Size) -> list[Fault]:
    return [
        Fault(
            at_s=at_s,
            proxy=rng.randrange(1 << 16),
            impact=rng.choice(list(Impact)),
            seconds=rng.uniform(0.3, 6),
            share=rng.choice((0.3, 0.7, 1.0)),
        )
        for at_s in _moments(rng, size, every_s=size.blow_every_s)
    ]


def _windows(rng: random.Random, size: Size) -> list[FaultWindow]:
    windows = [("kie", each) for each in KIE]
    windows += [("telegram", each) for each in TELEGRAM] * 2
    rng.shuffle(windows)
    return [
        FaultWindow(
            at_s=at_s, seconds=rng.uniform(3, size.longest_spell_s), party=party, fault=dict(fault)
        )
        for at_s, (party, fault) in zip(
            _moments(rng, size, every_s=size.spell_every_s), cycle(windows), strict=False
        )
    ]


def _outage(rng: random.Random, size: Size) -> FaultWindow:
    latest = max(size.feed_s - size.outage_s, 0.0)
    down: Rule = {"name": "down", "match": "/api/"}
    at_s = rng.uniform(min(10.0, latest), latest)
    return FaultWindow(at_s=at_s, seconds=size.outage_s, party="kie", fault=down)


def _moments(rng: random.Random, size: Size, *, every_s: float) -> list[float]:
    count = int(size.feed_s / every_s)
    return sorted(rng.uniform(1, size.feed_s) for _ in range(count))
