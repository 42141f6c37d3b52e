"""A backup that is restored after people paid, were refunded and charged, with real programs."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest

from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.money import MoneyMode
from generation_svc.storage.embedded.server import running_url
from tests.e2e.person import Person
from tests.e2e.program import Program, until
from tests.e2e.stack import BOT_ID, Shape, Stack
from tests.e2e.test_buy import (
    PACK_CREDITS,
    PACK_STARS,
    invoice,
    orders,
    pays,
    refund_everywhere,
    until_paid,
    wallet,
)

SHAPE = Shape(
    service={
        "MONEY": MoneyMode.TEST,
        "STAR_PACKS": f"small={PACK_CREDITS}:{PACK_STARS}",
        "KIE_MAX_CONCURRENT": "1",
        "DATABASE_URL": "",  # it keeps its own, which is backed up as files
    },
    time_scale=0.1,
)
RECEIPTS = """
SELECT receipt AS number FROM top_up WHERE receipt IS NOT NULL
UNION ALL SELECT refund_receipt FROM top_up WHERE refund_receipt IS NOT NULL
"""
RUNNING, QUEUED, LOST = "a bridge under way", "a tower in the queue", "a boat after the backup"
SENDING = ("sendPhoto", "sendDocument", "sendMessage", "sendMediaGroup")


class Recover(Program):
    """The operator's command, beside the service."""

    def __init__(self, stack: Stack, *, number: int) -> None:
        name, service = f"recover-{number}", stack.service
        super().__init__(
            name=name,
            module="generation_svc.recover",
            folder=service.folder.with_name(name),
            env=service.env | {"DATA_FOLDER": str(data_folder(stack))},
            is_ready=self.is_waiting,
        )

    async def is_waiting(self) -> bool:
        return "Waiting for the edges" in self.log

    async def ended(self) -> str:
        """Wait until it has ended well, and return what it said."""

        async def is_over() -> bool:
            return not self.is_alive

        await until(is_over, within_s=40, what=f"the end of {self.name}")
        assert self.exit_code == 0, self.log
        return self.log


@dataclass(frozen=True)
class Past:
    """What was so when the database was lost."""

    ada: Person
    bob: Person
    cyd: Person
    price: int
    lost: str
    """The job that the backup does not know."""
    known: set[str]
    """The receipts of the backup."""
    given: set[str]
    refunds: int
    messages: Counter[tuple[str, str]]


def data_folder(stack: Stack) -> Path:
    return stack.service.folder / ".atelier"


async def copy(source: Path, target: Path) -> None:
    """Replace a folder by another one, with its owners and modes."""
    await asyncio.to_thread(shutil.rmtree, target, ignore_errors=True)
    await asyncio.to_thread(subprocess.run, ["cp", "-a", str(source), str(target)], check=True)


async def start_service(stack: Stack) -> None:
    """Start the service, and look into the database that it runs."""
    stack.service.start()
    await stack.service.ready()
    await look_inside(stack)


async def look_inside(stack: Stack) -> None:
    url = running_url(data_folder(stack) / "postgres")
    assert url
    await stack.history.reconnect(url.get_secret_value())


async def buys(stack: Stack, name: str) -> tuple[Person, str]:
    """Have somebody buy a pack; return the charge."""
    person = await stack.telegram.person(first_name=name, language_code="en")
    payment = await until_paid(person, await pays(person, await invoice(person)))
    await person.reads(f"You have {PACK_CREDITS} credits.")
    return person, str(payment["charge_id"])


async def receipts(stack: Stack, *, least: int = 0) -> set[str]:
    """Return the numbers of all receipts, once there are so many; none is there twice."""

    async def found() -> list[str] | None:
        numbers = [each["number"] for each in await stack.history.rows(RECEIPTS)]
        return numbers if len(numbers) >= least else None

    numbers = await until(found, within_s=30, what=f"{least} receipts") if least else await found()
    assert numbers is not None
    assert len(numbers) == len(set(numbers))
    return set(numbers)


async def until_sent(stack: Stack, prompt: str) -> None:
    async def is_sent() -> bool:
        return bool(await stack.kie.creations(prompt))

    await until(is_sent, within_s=20, what=f"{prompt} at KIE")


async def gets(person: Person, count: int) -> None:
    """Wait until the person has so many pictures."""

    async def is_so() -> bool:
        return len(await person.pictures()) >= count

    await until(is_so, within_s=60, what=f"{count} pictures for {person.number}")


async def messages(*people: Person) -> Counter[tuple[str, str]]:
    """Return how often the bot sent them what, by its method and text."""
    return Counter(
        [
            (kind, str(call["params"].get("text") or call["params"].get("caption") or ""))
            for kind in SENDING
            for each in people
            for call in await each.calls(kind)
        ]
    )


async def refusal(stack: Stack) -> str:
    """Return what a dear picture is refused for."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stack.create("dear", model_id="google/imagen4", options={}, agreed_credits=1)
    return f"{refused.value.details()} {refused.value.trailing_metadata()}"


async def until_confirmed(stack: Stack) -> None:
    """Wait until the edge has handled all that people did: what is not confirmed comes again."""

    async def is_so() -> bool:
        path = f"/sandbox/updates?bot={BOT_ID}"
        waiting: int = (await stack.telegram.send("GET", path))["waiting"]
        return not waiting

    await until(is_so, within_s=60, what="all updates confirmed")


async def lives_on(stack: Stack, ada: Person, *, price: int, known: set[str]) -> Past:
    """Do in the hour after the backup what can be done."""
    await stack.kie.configure(duration_s=0.2)
    (bob, _), (cyd, charge) = await asyncio.gather(buys(stack, "Bob"), buys(stack, "Cyd"))
    await asyncio.gather(refund_everywhere(stack, charge, times=2), orders(bob, LOST))
    await asyncio.gather(gets(ada, 2), gets(bob, 1))
    await until_confirmed(stack)
    assert await wallet(stack, ada) == (PACK_CREDITS - 2 * price, 0, 1)
    return Past(
        ada,
        bob,
        cyd,
        price,
        lost=await stack.history.job_of(LOST),
        known=known,
        given=await receipts(stack, least=4),
        refunds=len(await stack.telegram.calls("refundStarPayment")),
        messages=await messages(ada, bob),
    )


@pytest.fixture
async def past(running: Stack, tmp_path: Path) -> Past:
    """The service runs on the backup of an hour ago, in which a job ran and one was queued."""
    await look_inside(running)
    ada, _ = await buys(running, "Ada")
    known = await receipts(running, least=1)
    await running.kie.configure(duration_s=20)  # it outlasts the order and the stop
    price = await orders(ada, RUNNING)
    await until_sent(running, RUNNING)
    await orders(ada, QUEUED)
    await running.history.job_of(QUEUED)
    await running.service.stop()
    await copy(data_folder(running) / "postgres", tmp_path / "backup")
    assert await running.kie.creations(QUEUED) == []
    await start_service(running)

    found = await lives_on(running, ada, price=price, known=known)
    await running.edge.stop()
    running.service.kill()
    await copy(tmp_path / "backup", data_folder(running) / "postgres")
    await start_service(running)
    return found


async def test_what_happened_since_a_backup_happens_no_second_time(
    running: Stack, past: Past
) -> None:
    await nothing_is_sold(running)
    assert await receipts(running) == past.known
    killed = Recover(running, number=1)
    killed.start()
    await killed.ready()
    killed.kill()
    both = [Recover(running, number=number) for number in (2, 3)]  # by two operators
    for each in both:
        each.start()
    await asyncio.gather(*(each.ready() for each in both))
    running.edge.start()
    said = "".join(await asyncio.gather(*(each.ended() for each in both)))

    queued = await running.history.job_of(QUEUED)
    assert f"job {past.lost}: results are kept of attempts that the database does not" in said
    assert f"job {queued}: it was queued and may have been sent since" in said
    assert "Receipts are numbered from 2-000001 on." in said
    await nobody_paid_twice(running, past)
    await nothing_came_twice(running, past)
    await it_is_sold_again(running)
    again = Recover(running, number=4)
    again.start()
    assert "Nothing to recover" in await again.ended()


async def nothing_is_sold(stack: Stack) -> None:
    """Try to buy and to open sales; what is free runs."""
    sales = (await stack.client.wallet.GetSales(pb.GetSalesRequest())).sales
    assert sales.closed_reason.startswith("The database is older than the media store")
    opened = pb.SetSalesRequest(is_open=True, reason="the operator is in a hurry")
    with pytest.raises(grpc.aio.AioRpcError, match=r"generation_svc\.recover"):
        await stack.client.wallet.SetSales(opened)
    assert "SALES_CLOSED" in await refusal(stack)
    free = await stack.create("a free leaf")
    assert (await stack.history.settled(free.id))["state"] == "succeeded"


async def it_is_sold_again(stack: Stack) -> None:
    """Wait until the service has heard of it, which the recovery told to the database."""

    async def is_so() -> bool:
        return "PRICE_CHANGED" in await refusal(stack)

    await until(is_so, within_s=20, what="a sale")


async def nobody_paid_twice(stack: Stack, past: Past) -> None:
    """Look at the wallets, the numbers and the ledger."""
    assert await wallet(stack, past.ada) == (PACK_CREDITS - past.price, 0, 1)
    assert await wallet(stack, past.bob) == (PACK_CREDITS, 0, 1)
    assert await wallet(stack, past.cyd) == (0, 0, 1)
    assert len(await stack.telegram.calls("refundStarPayment")) == past.refunds
    fresh = await receipts(stack, least=4) - past.known
    assert len(fresh) == 3
    assert not fresh & past.given
    report = await stack.client.wallet.CheckLedger(pb.CheckLedgerRequest())
    assert list(report.differences) == []


async def nothing_came_twice(stack: Stack, past: Past) -> None:
    """Look at KIE and the chats."""
    for prompt in (RUNNING, QUEUED, LOST):
        assert len(await stack.kie.creations(prompt)) == 1, prompt
    await past.ada.reads(f"{QUEUED}\n\nNothing was charged.")
    assert await messages(past.ada, past.bob) == past.messages
