"""The check finds what is planted: a checker that cannot fail proves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.check import Bounds, check
from tests.chaos.evidence import (
    AttemptRecord,
    Chat,
    Creation,
    DeliveryRecord,
    EventRecord,
    Evidence,
    JobRecord,
)
from tests.chaos.ledger import Ledger
from tests.chaos.money import Charge, Money, Wallet
from tests.chaos.plan import Kind, Order
from tests.chaos.rest import Rest, Sample
from tests.chaos.sale import FREE, PACK, SALES, SHOP, SHOP_CREDITS, Gift, Purchase, Source
from tests.chaos.star import Payment, Stars, TopUp
from tests.chaos.traffic import Traffic

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BOUNDS = Bounds(
    hard_deadline=timedelta(minutes=30),
    creates_per_window=2,
    reads_per_window=2,
    database_connections=4,
)
PAYER = "telegram:900"
BUYER = "telegram:901"
CHARGE, BACK = "charge that was kept", "charge that went back"
CHAT, FEED = "job-in-chat", "job-in-feed"
Plant = Callable[[Evidence], None]


def evidence() -> Evidence:
    """A job of a person and one of a feed, both as they should be."""
    ledger = Ledger(seed=1)
    ledger.orders = {
        1: Order(number=1, at_s=0, kind=Kind.PERSON),
        2: Order(number=2, at_s=0, kind=Kind.QUEUE, sale=SALES[0]),
    }
    ledger.gifts = {
        1: Gift(number=1, at_s=0, owner=PAYER, source=Source.GRANT, credits=5, is_repeated=True),
        2: Gift(number=2, at_s=0, owner=PAYER, source=Source.CARD, credits=20, is_repeated=False),
    }
    ledger.presses[1].append("press")
    ledger.jobs[2], ledger.agreed[2] = FEED, 8
    ledger.purchases[CHARGE] = Purchase(number=1, at_s=0, user_id=901)
    ledger.feed_new[FEED] = 1
    ledger.revisions[2] = [1, 2, 3]
    at_rest = Rest(samples=(Sample(process="edge", tasks=9, fds=20, memory_bytes=1e8),))
    return Evidence(
        ledger=ledger,
        traffic=Traffic(creates=[0.0, 1.0, 11.0], reads=[0.0, 0.5, 1.5]),
        jobs=[job(CHAT, ledger.prompt_of(1), "telegram"), job(FEED, ledger.prompt_of(2), "queue")],
        events={CHAT: story(), FEED: story()},
        attempts=[
            AttemptRecord(job_id=each, number=1, state="settled", token_hash=f"token of {each}")
            for each in (CHAT, FEED)
        ],
        deliveries=[DeliveryRecord(job_id=each, state="sent") for each in (CHAT, FEED)],
        creations=[
            Creation(prompt=ledger.prompt_of(number), token_hash=f"token of {each}")
            for number, each in ((1, CHAT), (2, FEED))
        ],
        task_prompts=[ledger.prompt_of(1), ledger.prompt_of(2)],
        callback_statuses={"200": 2, "none": 1},
        chats={1: Chat(new_outcomes=1, edited_outcomes=0)},
        answered={1},
        money=money(ledger),
        stars=stars(),
        before=at_rest,
        after=at_rest,
    )


def money(ledger: Ledger) -> Money:
    """A job that costs 8 credits, paid from 25."""
    charge = Charge(
        job_id=FEED,
        prompt=ledger.prompt_of(2),
        state="succeeded",
        owner=PAYER,
        hold_state="captured",
        held=8,
        kept=8,
        captured=8,
    )
    return Money(
        charges=[charge],
        wallets=[Wallet(owner=PAYER, balance=17), Wallet(owner=BUYER, balance=PACK)],
        accounts=Counter(
            {
                ("credit", "grants"): -5,
                ("credit", "exchange"): -20 - PACK,
                ("credit", "income"): 8,
                ("credit", "paid"): 17 + PACK,
                ("xtr", "telegram"): -PACK,
                ("xtr", "exchange"): PACK,
            }
        ),
    )


def stars() -> Stars:
    """Two payments of a person, of which one went back."""
    balances = frozenset({PACK, 2 * PACK})
    return Stars(
        payments=[
            Payment(charge_id=CHARGE, user_id=901),
            Payment(charge_id=BACK, user_id=901, is_refunded=True, is_told=False),
        ],
        top_ups=[
            TopUp(id="1", external_id=CHARGE, owner=BUYER, balances=balances),
            TopUp(
                id="2",
                external_id=BACK,
                owner=BUYER,
                state="refunded",
                back=PACK,
                balances=balances,
            ),
        ],
        moved=Counter({(CHARGE, True): 1, (BACK, True): 1, (BACK, False): 1}),
        balance=PACK,
        told={"1": {PACK}},
        shown={BUYER: PACK},
    )


def job(job_id: str, prompt: str, destination: str) -> JobRecord:
    return JobRecord(
        id=job_id,
        prompt=prompt,
        state="succeeded",
        revision=3,
        destination=destination,
        create_time=NOW,
        update_time=NOW + timedelta(seconds=9),
    )


def story(*between: EventRecord) -> list[EventRecord]:
    return [
        EventRecord(kind="accepted", state="queued", revision=1),
        EventRecord(kind="submitting", state="queued"),
        *between,
        EventRecord(kind="taken", state="running", revision=2),
        EventRecord(kind="callback", state="running"),
        EventRecord(kind="settled", state="succeeded", revision=3),
        EventRecord(kind="delivery_begun", state="succeeded"),
    ]


def test_a_system_that_keeps_its_promises_breaks_none() -> None:
    assert check(evidence(), BOUNDS) == []


def test_a_second_task_is_allowed_where_the_first_was_unknown() -> None:
    found = evidence()
    unknown = EventRecord(kind="unknown", state="queued", revision=2)
    again = EventRecord(kind="submitting", state="queued")
    found.events[FEED] = [*story(unknown, again)]
    found.events[FEED][-3:] = []
    found.events[FEED][-1] = replace(found.events[FEED][-1], revision=3)
    found.events[FEED].append(EventRecord(kind="settled", state="succeeded", revision=4))
    found.jobs[1] = replace(found.jobs[1], revision=4)
    found.task_prompts.append(found.ledger.prompt_of(2))
    assert check(found, BOUNDS) == []


def _has_no_row(found: Evidence) -> None:
    found.ledger.jobs[3] = "job-that-vanished"


def _press_made_nothing(found: Evidence) -> None:
    found.ledger.orders[3] = Order(number=3, at_s=0, kind=Kind.PERSON)
    found.ledger.presses[3].append("lost press")


def _is_two_jobs(found: Evidence) -> None:
    found.jobs.append(replace(found.jobs[1], id="job-in-feed-2", destination=""))
    found.events["job-in-feed-2"] = story()


def _never_ends(found: Evidence) -> None:
    found.jobs[0] = replace(found.jobs[0], state="running", revision=2)
    found.events[CHAT] = story()[:-3]


def _ends_too_late(found: Evidence) -> None:
    found.jobs[0] = replace(found.jobs[0], update_time=NOW + timedelta(minutes=31))


def _has_no_delivery(found: Evidence) -> None:
    del found.deliveries[0]


def _is_given_up(found: Evidence) -> None:
    found.deliveries[0] = DeliveryRecord(job_id=CHAT, state="impossible", reason="why")


def _is_sent_nowhere(found: Evidence) -> None:
    found.chats[1] = Chat(new_outcomes=0, edited_outcomes=0)


def _comes_twice(found: Evidence) -> None:
    found.chats[1] = Chat(new_outcomes=2, edited_outcomes=0)


def _comes_twice_in_the_feed(found: Evidence) -> None:
    found.ledger.feed_new[FEED] = 2


def _comes_though_cancelled(found: Evidence) -> None:
    found.jobs[1] = replace(found.jobs[1], state="cancelled")
    found.events[FEED] = [
        replace(each, state="cancelled") if each.state == "succeeded" else each for each in story()
    ]


def _is_sent_to_kie_twice(found: Evidence) -> None:
    found.creations.append(found.creations[0])


def _is_sent_without_attempt(found: Evidence) -> None:
    found.creations.append(Creation(prompt="", token_hash="token of nobody"))


def _is_sent_blindly(found: Evidence) -> None:
    found.events[CHAT] = story(EventRecord(kind="submitting", state="queued"))


def _is_drawn_twice(found: Evidence) -> None:
    found.task_prompts.append(found.ledger.prompt_of(1))


def _skips_a_revision(found: Evidence) -> None:
    found.events[CHAT] = [each for each in story() if each.revision != 2]


def _goes_back(found: Evidence) -> None:
    found.events[CHAT].append(EventRecord(kind="callback_late", state="running"))


def _is_revised_after_its_end(found: Evidence) -> None:
    found.events[CHAT].append(EventRecord(kind="settled", state="succeeded", revision=4))
    found.jobs[0] = replace(found.jobs[0], revision=4)


def _stream_has_a_gap(found: Evidence) -> None:
    found.ledger.revisions[2] = [1, 3]


def _creates_too_fast(found: Evidence) -> None:
    found.traffic.creates.append(9.9)


def _reads_too_fast(found: Evidence) -> None:
    found.traffic.reads.append(0.99)


def _callback_is_refused(found: Evidence) -> None:
    found.callback_statuses["404"] = 1


def _keeps_tasks(found: Evidence) -> None:
    found.after = Rest(samples=(Sample(process="edge", tasks=60, fds=20, memory_bytes=1e8),))


def _keeps_files(found: Evidence) -> None:
    found.after = Rest(samples=(Sample(process="edge", tasks=9, fds=90, memory_bytes=1e8),))


def _keeps_memory(found: Evidence) -> None:
    found.after = Rest(samples=(Sample(process="edge", tasks=9, fds=20, memory_bytes=5e8),))


def _keeps_connections(found: Evidence) -> None:
    found.after = replace(found.after, database_connections=5)


def _keeps_transactions(found: Evidence) -> None:
    found.after = replace(found.after, open_transactions=1)


def _falls(found: Evidence) -> None:
    found.fallen.append("edge: Traceback")


def _breaks_a_promise(found: Evidence) -> None:
    found.ledger.complain(2, "the same request made two jobs")


def _changed(found: Evidence, **changes: Any) -> None:
    found.money.charges[0] = replace(found.money.charges[0], **changes)


def _still_holds(found: Evidence) -> None:
    _changed(found, hold_state="open", captured=0, captures=0, state="failed")
    found.money.wallets[0] = Wallet(owner=PAYER, balance=17, held=8)
    found.money.accounts["credit", "income"] = 0


def _is_charged_twice(found: Evidence) -> None:
    _changed(found, captures=2)


def _is_charged_for_nothing(found: Evidence) -> None:
    _changed(found, is_stored=False)


def _gives_back_too_much(found: Evidence) -> None:
    _changed(found, released=3)


def _costs_less_than_agreed(found: Evidence) -> None:
    _changed(found, captured=7, released=1)
    found.money.wallets[0] = Wallet(owner=PAYER, balance=18)
    found.money.accounts["credit", "income"] = 7


def _costs_a_free_job(found: Evidence) -> None:
    _changed(found, is_free=True)


def _kept_too_much(found: Evidence) -> None:
    _changed(found, kept=16)


def _was_refused_and_made(found: Evidence) -> None:
    found.ledger.refused[2] = "3"


def _was_refused_without_need(found: Evidence) -> None:
    found.ledger.refused[3] = "0"


def _was_made_at_another_price(found: Evidence) -> None:
    found.ledger.agreed[2] = 10


def _was_made_at_no_price_of_its_model(found: Evidence) -> None:
    found.ledger.orders[2] = replace(found.ledger.orders[2], sale=SALES[3])


def _was_paid_by_another_wallet(found: Evidence) -> None:
    found.ledger.orders[2] = replace(found.ledger.orders[2], is_of_shop=True)


def _was_lent_too_much(found: Evidence) -> None:
    shop = Charge(
        job_id="job-of-shop",
        prompt="",
        state="succeeded",
        owner=SHOP,
        hold_state="captured",
        held=SHOP_CREDITS + 1,
        kept=SHOP_CREDITS + 1,
        captured=SHOP_CREDITS + 1,
        lent=SHOP_CREDITS + 1,
    )
    found.money.charges.append(shop)
    found.money.wallets.append(Wallet(owner=SHOP, balance=0, debt=shop.lent))
    found.money.accounts["credit", "income"] += shop.lent


def _was_lent_to_a_person(found: Evidence) -> None:
    _changed(found, lent=1)


def _costs_all_though_a_part_is_missing(found: Evidence) -> None:
    _changed(found, promised=2)


def _was_made_for_nothing(found: Evidence) -> None:
    found.ledger.orders[2] = replace(found.ledger.orders[2], sale=FREE)
    found.ledger.agreed[2] = 0


def _lost_a_credit(found: Evidence) -> None:
    found.ledger.gifts[1] = replace(found.ledger.gifts[1], credits=6)


def _is_out_of_balance(found: Evidence) -> None:
    found.money.accounts["credit", "income"] = 9


def _is_found_by_the_service(found: Evidence) -> None:
    found.money.differences.append("wallet_is_sum_of_transfers: telegram:900: 1 is not 2")


def _topped(found: Evidence, at: int, **changes: Any) -> None:
    found.stars.top_ups[at] = replace(found.stars.top_ups[at], **changes)


def _is_paid_and_not_credited(found: Evidence) -> None:
    del found.stars.top_ups[0]


def _is_credited_to_another(found: Evidence) -> None:
    _topped(found, 0, owner=PAYER)


def _is_credited_twice(found: Evidence) -> None:
    _topped(found, 0, credited=2 * PACK)


def _is_credited_and_not_paid(found: Evidence) -> None:
    found.stars.top_ups.append(TopUp(id="3", external_id="nobody's", owner=BUYER))


def _is_paid_and_not_listed(found: Evidence) -> None:
    found.ledger.purchases["lost"] = Purchase(number=2, at_s=0, user_id=901)


def _goes_back_at_telegram_alone(found: Evidence) -> None:
    _topped(found, 1, state="credited", back=PACK)


def _goes_back_in_the_ledger_alone(found: Evidence) -> None:
    _topped(found, 0, state="refunded")


def _is_still_going_back(found: Evidence) -> None:
    _topped(found, 1, state="refunding")


def _keeps_its_credits(found: Evidence) -> None:
    _topped(found, 1, back=0)


def _goes_back_twice_in_credits(found: Evidence) -> None:
    _topped(found, 1, back=2 * PACK)


def _goes_back_twice_in_stars(found: Evidence) -> None:
    found.stars.moved[BACK, False] = 2


def _is_never_returned(found: Evidence) -> None:
    found.ledger.refunds.add(CHARGE)


def _person_is_told_nothing(found: Evidence) -> None:
    found.stars.told.clear()


def _person_is_told_nonsense(found: Evidence) -> None:
    found.stars.told["1"].add(7)


def _person_reads_another_balance(found: Evidence) -> None:
    found.stars.shown[BUYER] = PACK + 1


def _person_gets_no_balance(found: Evidence) -> None:
    found.stars.shown[BUYER] = None


def _has_more_stars_than_booked(found: Evidence) -> None:
    found.stars.balance += 1


def _has_stars_in_suspense(found: Evidence) -> None:
    found.money.accounts["xtr", "suspense"] = 5


PLANTS: dict[Plant, str] = {
    _has_no_row: "lost",
    _press_made_nothing: "lost",
    _is_two_jobs: "lost",
    _never_ends: "unfinished",
    _ends_too_late: "unfinished",
    _has_no_delivery: "undelivered",
    _is_given_up: "undelivered",
    _is_sent_nowhere: "undelivered",
    _comes_twice: "doubled",
    _comes_twice_in_the_feed: "doubled",
    _comes_though_cancelled: "doubled",
    _is_sent_to_kie_twice: "resubmitted",
    _is_sent_without_attempt: "resubmitted",
    _is_sent_blindly: "resubmitted",
    _is_drawn_twice: "resubmitted",
    _skips_a_revision: "order",
    _goes_back: "order",
    _is_revised_after_its_end: "order",
    _stream_has_a_gap: "order",
    _creates_too_fast: "budget",
    _reads_too_fast: "budget",
    _callback_is_refused: "callback",
    _keeps_tasks: "leak",
    _keeps_files: "leak",
    _keeps_memory: "leak",
    _keeps_connections: "leak",
    _keeps_transactions: "leak",
    _falls: "fallen",
    _breaks_a_promise: "promise",
    _still_holds: "credits",
    _is_charged_twice: "credits",
    _is_charged_for_nothing: "credits",
    _gives_back_too_much: "credits",
    _costs_less_than_agreed: "credits",
    _costs_a_free_job: "credits",
    _kept_too_much: "credits",
    _was_refused_and_made: "credits",
    _was_refused_without_need: "credits",
    _was_made_at_another_price: "credits",
    _was_made_for_nothing: "credits",
    _was_made_at_no_price_of_its_model: "credits",
    _was_paid_by_another_wallet: "credits",
    _was_lent_too_much: "credits",
    _was_lent_to_a_person: "credits",
    _costs_all_though_a_part_is_missing: "credits",
    _is_paid_and_not_credited: "stars",
    _is_credited_to_another: "stars",
    _is_credited_twice: "stars",
    _is_credited_and_not_paid: "stars",
    _is_paid_and_not_listed: "stars",
    _goes_back_at_telegram_alone: "stars",
    _goes_back_in_the_ledger_alone: "stars",
    _is_still_going_back: "stars",
    _keeps_its_credits: "stars",
    _goes_back_twice_in_credits: "stars",
    _goes_back_twice_in_stars: "stars",
    _is_never_returned: "stars",
    _person_is_told_nothing: "stars",
    _person_is_told_nonsense: "stars",
    _person_reads_another_balance: "stars",
    _person_gets_no_balance: "stars",
    _has_more_stars_than_booked: "stars",
    _has_stars_in_suspense: "stars",
    _lost_a_credit: "credits",
    _is_out_of_balance: "credits",
    _is_found_by_the_service: "credits",
}


@pytest.mark.parametrize("plant", PLANTS, ids=[each.__name__.strip("_") for each in PLANTS])
def test_a_planted_violation_is_found_and_nothing_else(plant: Plant) -> None:
    found = evidence()
    plant(found)
    assert Counter(each.rule for each in check(found, BOUNDS)) == {PLANTS[plant]: 1}
