"""Who makes room at the gateway: the silent ones, of the same address first."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

import pytest

from callback_gateway.connection import AddressLimit, ConnectionLimiter

PROXY = ip_network("10.0.0.0/8")


@dataclass(eq=False)
class Visitor:
    is_waiting: bool = True
    has_left: bool = False
    is_hurried: bool = False

    def leave(self) -> None:
        self.has_left = True

    def shed(self) -> None:
        self.is_hurried = True


def entered(
    limiter: ConnectionLimiter, host: str, *, count: int, is_waiting: bool = True
) -> list[Visitor]:
    visitors = [Visitor(is_waiting) for _ in range(count)]
    for each in visitors:
        limiter.enter(each, host=host)
    return visitors


def limited(count: int) -> ConnectionLimiter:
    return ConnectionLimiter(10, per_address=AddressLimit(count, exempt=(PROXY,)))


def test_an_address_with_too_many_connections_makes_room_itself() -> None:
    limiter = limited(3)
    other = entered(limiter, "203.0.113.9", count=2)
    greedy = entered(limiter, "203.0.113.7", count=5)
    assert [each.has_left for each in greedy] == [True, True, False, False, False]
    assert not any(each.has_left for each in other)


def test_where_an_address_is_at_work_its_newcomer_is_answered_unheard() -> None:
    limiter = limited(2)
    greedy = entered(limiter, "203.0.113.7", count=3, is_waiting=False)
    assert [each.is_hurried for each in greedy] == [False, False, True]
    assert not entered(limiter, "203.0.113.9", count=1)[0].is_hurried


@pytest.mark.parametrize(
    ("hosts", "left"),
    [
        (("203.0.113.7", "::ffff:203.0.113.7"), 1),
        (("2001:db8::1", "2001:db8::ffff:2"), 1),
        (("2001:db8:0:1::1", "2001:db8:0:2::1"), 0),
        (("10.0.0.1", "10.0.0.1"), 0),
        (("", ""), 0),
    ],
    ids=["mapped", "one network", "two networks", "a proxy", "a Unix socket"],
)
def test_what_counts_as_one_address(hosts: tuple[str, str], left: int) -> None:
    limiter = limited(1)
    visitors = [entered(limiter, host, count=1)[0] for host in hosts]
    assert sum(each.has_left for each in visitors) == left


def test_who_has_left_takes_no_place() -> None:
    limiter = limited(1)
    for _ in range(5):
        (visitor,) = entered(limiter, "203.0.113.7", count=1, is_waiting=False)
        assert not visitor.is_hurried
        limiter.exit(visitor)
        limiter.exit(visitor)
