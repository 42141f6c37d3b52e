"""Recover after a backup was restored: `python -m generation_svc.recover`, beside the service.

Sales are closed until it has ended well. It has the edges read all Stars again, asks the provider
for the tasks that were under way, ends the jobs that were queued, lists what was spent since the
backup, begins a new series of receipts, and opens sales. It may be stopped and run again.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from generation_svc.domain.error import Unavailable
from generation_svc.domain.star import StarDifference, StarState
from generation_svc.engine import recovery
from generation_svc.engine.recovery import Recovery, Spent
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.server.wiring import open_dependencies
from generation_svc.settings import GenerationSettings
from generation_svc.storage.embedded.server import running_url
from generation_svc.storage.start import started_database
from runtime.process import StartError, cause_of
from runtime.wait import Deadline

ASK_AGAIN_SECONDS = 1.0
HEAL_SECONDS = 30.0
"""How long the service may take to book the last page that an edge read."""
CONNECTIONS = 4


class RecoveryFailed(Exception):
    """Something has to be done first; sales stay closed."""


_REASONS = (RecoveryFailed, StartError, Unavailable)


async def recover(
    deps: Dependencies,
    *,
    bots: Sequence[int] = (),
    wait_seconds: float,
    has_stars: bool = True,
    has_provider: bool = True,
) -> None:
    """Recover, and say what was done. Raises RecoveryFailed."""
    if deps.money.unread:
        raise RecoveryFailed("the media store does not answer, so nobody knows what is missing")
    begun = await recovery.begin_recovery(deps, bots=bots)
    if begun is None:
        _say("Nothing to recover: database and media store belong together.")
        return
    _say(f"{begun.restored.time:%Y-%m-%d %H:%M:%S} UTC: {begun.restored.reason}")
    if has_stars:
        await _read_stars(deps, begun, wait_seconds=wait_seconds)
    await _read_provider(deps, begun, has_provider=has_provider)
    for job_id in await recovery.end_queued(deps):
        _say(f"job {job_id}: it was queued and may have been sent since; it ended without a charge")
    series = await recovery.end_recovery(deps)
    if series is None:
        _say("Another recovery has ended meanwhile, and this one with it.")
        return
    _say(f"Receipts are numbered from {series}-000001 on. Sales are open unless you closed them.")


async def _read_provider(deps: Dependencies, begun: Recovery, *, has_provider: bool) -> None:
    """Read what was under way, and say what was spent. Raises RecoveryFailed."""
    count = await recovery.read_tasks(deps)
    spent = await recovery.find_spent(deps, begun)
    unknown = ", ".join(account for account, (_, now) in spent.balances.items() if now is None)
    if unknown and has_provider:
        raise RecoveryFailed(f"the provider does not answer for {unknown}, so its tasks are unread")
    _say(f"{count} tasks were under way, and the provider was asked for them.")
    for line in spent_lines(spent):
        _say(line)


async def _read_stars(deps: Dependencies, begun: Recovery, *, wait_seconds: float) -> None:
    """Wait until the edges have read all Stars again. Raises RecoveryFailed."""
    if not begun.bots:
        raise RecoveryFailed(
            "the database knows no bot: name yours with --bot, or say --without-stars if there is"
            " none"
        )
    _say(f"Waiting for the edges to read the Stars of {len(begun.bots)} bots.")
    deadline = Deadline(wait_seconds)
    while left := await recovery.unread_bots(deps, begun):
        if deadline.is_over:
            names = ", ".join(map(str, left))
            raise RecoveryFailed(
                f"no edge has read the Stars of these bots to the end: {names}; run the edges, and"
                " see in their logs whether Telegram answers"
            )
        await asyncio.sleep(ASK_AGAIN_SECONDS)
    found = await _differences(deps, Deadline(min(HEAL_SECONDS, wait_seconds)))
    for each in found:
        _say(_line(each))
    if any(map(_is_missing, found)):
        raise RecoveryFailed("Telegram and the ledger differ; let an edge heal it, or decide it")


async def _differences(deps: Dependencies, deadline: Deadline) -> Sequence[StarDifference]:
    """Return what differs still; the last page is noted as read before all of it is booked."""
    while any(map(_is_missing, found := await recovery.remaining_differences(deps))):
        if deadline.is_over:
            break
        await asyncio.sleep(ASK_AGAIN_SECONDS)
    return found


def _is_missing(each: StarDifference) -> bool:
    return each.transaction.state is StarState.MISSING


def spent_lines(spent: Spent) -> Iterator[str]:
    """Yield what was spent since the backup as lines that a person reads."""
    for account, (before, now) in spent.balances.items():
        yield f"account {account}: {_balance(before)} at the backup, {_balance(now)} now" + (
            f", {before - now} spent since" if before is not None and now is not None else ""
        )
    for job_id, attempts in spent.results.items():
        ids = ", ".join(map(str, attempts))
        yield f"job {job_id}: results are kept of attempts that the database does not know: {ids}"


def _balance(value: Decimal | None) -> str:
    return "unknown" if value is None else str(value)


def _line(each: StarDifference) -> str:
    told = each.transaction
    return f"bot {told.bot_id}: {told.id} ({told.direction}, {told.amount} Stars): {each.problem}"


async def _main(options: argparse.Namespace) -> None:
    settings = GenerationSettings.load()
    folder = Path(settings.data_folder) / "postgres"
    # The service that runs beside it may keep a database of its own.
    url = settings.database_url or running_url(folder)
    if url is None and not options.without_stars:
        raise StartError("the service does not run: start it and the edges first")
    async with (
        started_database(
            url,
            folder=folder,
            max_connections=CONNECTIONS,
            stop=asyncio.Event(),
        ) as database,
        open_dependencies(settings, database, takes_store=options.take_store) as deps,
    ):
        await recover(
            deps,
            bots=options.bot,
            wait_seconds=options.wait,
            has_stars=not options.without_stars,
            has_provider=not options.without_provider,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and recover; end with one sentence if that fails."""
    parser = argparse.ArgumentParser(
        prog="generation_svc.recover", description="Recover after a backup was restored."
    )
    parser.add_argument("--wait", type=float, default=900.0, help="how long edges may take, in s")
    parser.add_argument("--bot", type=int, action="append", default=[], help="a bot to read, too")
    words = "open sales although Stars were not read or differ"
    parser.add_argument("--without-stars", action="store_true", help=words)
    words = "open sales although the provider was not read"
    parser.add_argument("--without-provider", action="store_true", help=words)
    words = "let the database take over a media store that belonged to another one"
    parser.add_argument("--take-store", action="store_true", help=words)
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_main(options))
    except (*_REASONS, ExceptionGroup) as error:
        reason = cause_of(error, *_REASONS)
        if reason is None:
            raise
        sys.exit(f"Not recovered, and sales stay closed: {reason}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()  # it waits for minutes, and says for what


if __name__ == "__main__":
    main()
