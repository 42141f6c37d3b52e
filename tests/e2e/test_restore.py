"""A backup that is restored after people paid, were refunded and charged, with real programs."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import grpc.aio
import psycopg
import pytest
from psycopg import sql

from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.money import MoneyMode
from generation_svc.storage.embedded.program import wheel_bin_folder
from tests.e2e.history import history
from tests.e2e.person import Person
from tests.e2e.program import Program, until
from tests.e2e.stack import Shape, Stack
from tests.e2e.test_buy import (
    PACK_CREDITS,
    PACK_STARS,
    differences,
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
    },
    time_scale=0.1,
)
RECEIPTS = """
SELECT receipt AS number FROM top_up WHERE receipt IS NOT NULL
UNION ALL SELECT refund_receipt FROM top_up WHERE refund_receipt IS NOT NULL
"""
RUNNING, QUEUED, LOST = "a bridge under way", "a tower in the queue", "a boat after the backup"


class Backup:
    """A backup of the stack's database, made and restored by PostgreSQL's own programs."""

    def __init__(self, postgres: psycopg.Connection, *, url: str, file: Path) -> None:
        self._postgres, self.url, self._file = postgres, url, file

    async def make(self) -> None:
        await self._run("pg_dump", "--format=custom", f"--file={self._file}", self.url)

    async def restore(self) -> None:
        name = sql.Identifier(urlsplit(self.url).path[1:])
        self._postgres.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        self._postgres.execute(sql.SQL("CREATE DATABASE {}").format(name))
        await self._run("pg_restore", "--exit-on-error", f"--dbname={self.url}", str(self._file))

    async def _run(self, program: str, *arguments: str) -> None:
        command = [str(wheel_bin_folder() / program), *arguments]
        await asyncio.to_thread(subprocess.run, command, check=True)


@pytest.fixture
def backup(postgres: psycopg.Connection, running: Stack, tmp_path: Path) -> Backup:
    return Backup(postgres, url=running.service.env["DATABASE_URL"], file=tmp_path / "backup")


async def receipts(stack: Stack) -> list[str]:
    return [each["number"] for each in await stack.history.rows(RECEIPTS)]


async def buys(stack: Stack, name: str) -> tuple[Person, str]:
    """Have somebody buy a pack; return the charge."""
    person = await stack.telegram.person(first_name=name, language_code="en")
    payment = await until_paid(person, await pays(person, await invoice(person)))
    await person.reads(f"You have {PACK_CREDITS} credits.")
    return person, str(payment["charge_id"])


async def numbered(stack: Stack, count: int) -> list[str]:
    """Wait until there are so many receipts."""

    async def found() -> list[str] | None:
        numbers = await receipts(stack)
        return numbers if len(numbers) >= count else None

    return await until(found, within_s=30, what=f"{count} receipts")


async def got(person: Person, count: int) -> None:
    """Wait until the person has so many pictures."""

    async def is_so() -> bool:
        return len(await person.pictures()) >= count

    await until(is_so, within_s=30, what=f"{count} pictures for {person.number}")


async def until_sent(stack: Stack, prompt: str) -> None:
    async def is_sent() -> bool:
        return bool(await stack.kie.creations(prompt))

    await until(is_sent, within_s=20, what=f"{prompt} at KIE")


async def messages(person: Person) -> Counter[str]:
    """Return how many new messages the bot sent, by their kind."""
    kinds = ("sendPhoto", "sendDocument", "sendMessage", "sendMediaGroup")
    return Counter({kind: len(await person.calls(kind)) for kind in kinds})


async def is_refused(stack: Stack, reason: str) -> bool:
    """Return whether a dear picture is refused for this reason."""
    try:
        await stack.create("dear", model_id="google/imagen4", options={}, agreed_credits=1)
    except grpc.aio.AioRpcError as error:
        return reason in str(error.trailing_metadata()) + str(error.details())
    return False


class Recover(Program):
    """The operator's command, beside the service."""

    def __init__(self, stack: Stack, *, name: str) -> None:
        folder = stack.service.folder.with_name(name)
        super().__init__(
            name=name,
            module="generation_svc.recover",
            folder=folder,
            env=stack.service.env,
            is_ready=self.has_begun,
        )

    async def has_begun(self) -> bool:
        return "Waiting for the edges" in self.log

    async def ended(self) -> int | None:
        """Wait for its end and return its exit code."""

        async def is_over() -> bool:
            return not self.is_alive

        await until(is_over, within_s=40, what=f"the end of {self.name}: {self.log}")
        return self.exit_code


async def test_what_happened_since_a_backup_happens_no_second_time(
    running: Stack, backup: Backup
) -> None:
    ada, _ = await buys(running, "Ada")
    known = await numbered(running, 1)
    await running.kie.configure(duration_s=8)
    price = await orders(ada, RUNNING)
    await until_sent(running, RUNNING)
    await orders(ada, QUEUED)
    await running.history.job_of(QUEUED)
    assert await running.kie.creations(QUEUED) == []
    await backup.make()

    # The hour that the backup does not know.
    await running.kie.configure(duration_s=0.2)
    bob, _ = await buys(running, "Bob")
    cyd, charge = await buys(running, "Cyd")
    await refund_everywhere(running, charge, times=2)
    await orders(bob, LOST)
    await asyncio.gather(got(ada, 2), got(bob, 1))
    lost = await running.history.job_of(LOST)
    given = await numbered(running, 4)
    assert await wallet(running, ada) == (PACK_CREDITS - 2 * price, 0, 1)
    refunds = len(await running.telegram.calls("refundStarPayment"))
    seen = await messages(ada), await messages(bob)

    await running.edge.stop()
    running.service.kill()
    await backup.restore()
    async with AsyncExitStack() as stack:
        running.history = await stack.enter_async_context(history(backup.url))
        running.service.start()
        await running.service.ready()
        # Nothing is sold, numbered or sent; what is free runs.
        sales = (await running.client.wallet.GetSales(pb.GetSalesRequest())).sales
        assert "The database is older than the media store" in sales.closed_reason
        await running.client.wallet.SetSales(pb.SetSalesRequest(is_open=True, reason="now"))
        assert await is_refused(running, "SALES_CLOSED")
        free = await running.create("a free leaf")
        assert (await running.history.settled(free.id))["state"] == "succeeded"
        assert await receipts(running) == known

        recover = Recover(running, name="recover")
        recover.start()
        await recover.ready()
        recover.kill()  # and once more, two of them at once
        both = [Recover(running, name="recover-2"), Recover(running, name="recover-3")]
        for each in both:
            each.start()
        await asyncio.gather(*(each.ready() for each in both))
        running.edge.start()
        codes = await asyncio.gather(*(each.ended() for each in both))
        said = "".join(each.log for each in both)
        assert codes == [0, 0], said
        assert f"job {lost}: results are kept of attempts that the database does not know" in said
        queued = await running.history.job_of(QUEUED)
        assert f"job {queued}: it was queued and may have been sent since" in said
        assert "Receipts are numbered from 2-000001 on." in said

        # Each payment once, each number once, and nobody is charged for what was not proven.
        assert await wallet(running, ada) == (PACK_CREDITS - price, 0, 1)
        assert await wallet(running, bob) == (PACK_CREDITS, 0, 1)
        assert await wallet(running, cyd) == (0, 0, 1)
        fresh = set(await numbered(running, 4)) - set(known)
        assert len(fresh) == 3
        assert not fresh & set(given)
        assert len(await running.telegram.calls("refundStarPayment")) == refunds
        for prompt in (RUNNING, QUEUED, LOST):
            assert len(await running.kie.creations(prompt)) == 1, prompt
        await ada.reads(f"{QUEUED}\n\nNothing was charged.")
        assert (await messages(ada), await messages(bob)) == seen
        assert await differences(running) == []
        assert await is_refused(running, "PRICE_CHANGED")  # it is sold again

        again = Recover(running, name="recover-4")
        again.start()
        assert await again.ended() == 0
        assert "Nothing to recover" in again.log
