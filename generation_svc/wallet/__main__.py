"""Import balances of an earlier bot: `python -m generation_svc.wallet import FILE`; `undo BATCH`.

An import only tells what it would do, with totals, until it has `--apply`. A balance is imported
once by its source and user, so what was stopped midway goes on when it is run again. The service is
found by GENERATION_ADDRESS and called with GENERATION_TOKEN, whose scope is `wallet_operate`.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from atelier.wallet.v1 import imported_balance_pb2
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import ClientSettings, GenerationClient, GenerationError, connect, translated
from generation_svc.domain.imported_balance import ImportedBalance
from generation_svc.wallet.balance_file import BalanceFile, BalanceFileError, read_balances
from runtime.process import StartError

ROWS_A_CALL = 1000
DEADLINE_S = 300
"""How long a call may take that moves many rows."""


@dataclass(slots=True)
class Totals:
    """What came of all calls."""

    rows: int = 0
    credits: int = 0
    repeated: int = 0
    rejects: dict[int, str] = field(default_factory=dict)
    """What is wrong, by the line of the file."""


def main(arguments: Sequence[str]) -> None:
    """Read the command line and do it; end with one sentence if that fails."""
    options = _parser().parse_args(arguments)
    work = _import if options.command == "import" else _undo
    try:
        is_whole = asyncio.run(work(options))
    except (BalanceFileError, OSError) as error:
        sys.exit(f"Nothing was imported: {options.file}: {_words(error)}")
    except (GenerationError, StartError) as error:
        sys.exit(f"It was not finished: {error}")
    sys.exit(0 if is_whole else 1)


def _words(error: BalanceFileError | OSError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="generation_svc.wallet", description="Balances of an earlier bot."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    importing = commands.add_parser("import", help="import a file of balances as granted credits")
    importing.add_argument("file", type=Path, help="CSV with a header, or JSON lines")
    importing.add_argument("--source", default="", help="the earlier bot, where a row names none")
    importing.add_argument("--rate", default="1", help="the credits for one unit of the currency")
    importing.add_argument("--batch", type=UUID, help="the id of the batch; else from the file")
    importing.add_argument("--apply", action="store_true", help="import, and not only tell")
    importing.add_argument("--reason", default="balances of an earlier bot", help="why")
    undoing = commands.add_parser("undo", help="take back what a batch gave and nobody spent")
    undoing.add_argument("batch", type=UUID, help="the id of the batch")
    undoing.add_argument("--reason", default="an import was undone", help="why")
    return parser


async def _import(options: argparse.Namespace) -> bool:
    """Import a file or tell what that would do; return whether no row was rejected."""
    found = read_balances(options.file, source=options.source)
    totals = Totals(rejects=dict(found.rejects))
    batch_id = str(options.batch or _batch_id(found, options))
    async with _connected() as client:
        for lines in _calls(found):
            request = pb.ImportBalancesRequest(
                batch_id=batch_id,
                balances=[_balance_to_proto(found.balances[line]) for line in lines],
                rate=options.rate,
                apply=options.apply,
                reason=options.reason,
            )
            with translated():
                answer = await client.wallet.ImportBalances(request, timeout=DEADLINE_S)
            _add(totals, answer, lines=lines)
    for line in _report(totals, batch_id=batch_id, is_applied=options.apply):
        sys.stdout.write(f"{line}\n")
    return not totals.rejects


async def _undo(options: argparse.Namespace) -> bool:
    """Take a batch back; return whether nothing of it was spent."""
    request = pb.UndoImportRequest(batch_id=str(options.batch), reason=options.reason)
    async with _connected() as client:
        with translated():
            answer = await client.wallet.UndoImport(request, timeout=DEADLINE_S)
    sys.stdout.write(f"{answer.undone_count} rows were undone.\n")
    if answer.spent_count:
        sys.stdout.write(f"{answer.spent_count} rows stay, since something of them is spent.\n")
    return not answer.spent_count


def _connected() -> AbstractAsyncContextManager[GenerationClient]:
    settings = ClientSettings.load()
    return connect(
        settings.generation_address,
        token=settings.generation_token,
        transport=settings.transport,
    )


def _batch_id(found: BalanceFile, options: argparse.Namespace) -> UUID:
    """Return an id that is the same when the same file is imported in the same way again."""
    return uuid5(NAMESPACE_URL, f"import/{found.digest}/{options.source}/{options.rate}")


def _calls(found: BalanceFile) -> Iterator[Sequence[int]]:
    lines = list(found.balances)
    yield from (lines[start : start + ROWS_A_CALL] for start in range(0, len(lines), ROWS_A_CALL))


def _balance_to_proto(balance: ImportedBalance) -> imported_balance_pb2.ImportedBalance:
    return imported_balance_pb2.ImportedBalance(**asdict(balance))


def _add(totals: Totals, answer: pb.ImportBalancesResponse, *, lines: Sequence[int]) -> None:
    totals.rows += answer.imported_count
    totals.credits += answer.imported_credits
    totals.repeated += answer.repeated_count
    totals.rejects |= {lines[each.index]: each.problem for each in answer.rejects}


def _report(totals: Totals, *, batch_id: str, is_applied: bool) -> Iterator[str]:
    for line, problem in sorted(totals.rejects.items()):
        yield f"line {line}: {problem}"
    verb = "were" if is_applied else "would be"
    yield f"{totals.rows} rows {verb} imported: {totals.credits} credits."
    yield f"{totals.repeated} rows were imported before."
    yield f"{len(totals.rejects)} rows are rejected."
    if is_applied:
        yield f"Undo it with: python -m generation_svc.wallet undo {batch_id}"
    else:
        yield "Nothing was changed: --apply imports what is good."


if __name__ == "__main__":
    main(sys.argv[1:])
