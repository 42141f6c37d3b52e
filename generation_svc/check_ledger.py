"""Check the ledger: `python -m generation_svc.check_ledger`, in the database of the settings.

It names each difference in a line and ends with 1 if there is one, with 2 if it could not look. It
changes nothing of the ledger and keeps nobody waiting, also beside a service that keeps a database
of its own under DATA_FOLDER.
"""

import asyncio
import sys
from pathlib import Path

from pydantic import Field

from generation_svc.domain.error import Unavailable
from generation_svc.domain.ledger_audit import LedgerReport
from generation_svc.lifecycle.ledger_audit import check_ledger
from generation_svc.settings import DatabaseUrl
from generation_svc.storage.embedded.server import running_url
from generation_svc.storage.start import started_database
from runtime.command_line import SETTINGS, take_no_arguments
from runtime.process import StartError, cause_of
from runtime.settings import ProcessSettings

HELP = f"Check the ledger, and name each difference in a line; nothing is changed. {SETTINGS}"
DIFFERENT = 1
"""How the command ends where the ledger has differences."""
NOT_CHECKED = 2
"""How it ends where nobody knows whether it has."""


class CheckSettings(ProcessSettings):
    """Which database is looked at: that of the service with the same settings."""

    database_url: DatabaseUrl | None = Field(
        None, examples=["postgresql://user:password@host/name"]
    )
    """The PostgreSQL database; when empty the one that the service keeps under DATA_FOLDER."""

    data_folder: str = ".atelier"
    """Where a database of our own keeps its files."""


async def check(settings: CheckSettings) -> LedgerReport:
    """Open the database of the settings and check its ledger. Raises StartError, Unavailable."""
    folder = Path(settings.data_folder) / "postgres"
    async with started_database(
        settings.database_url or running_url(folder),
        folder=folder,
        max_connections=2,
        stop=asyncio.Event(),
    ) as database:
        return await check_ledger(database)


def main() -> None:
    """Read the settings, check, and say what was found."""
    take_no_arguments("generation_svc.check_ledger", description=HELP)
    try:
        report = asyncio.run(check(CheckSettings.load()))
    except (StartError, Unavailable, ExceptionGroup) as error:
        reason = cause_of(error, StartError, Unavailable)
        if reason is None:
            raise
        sys.stderr.write(f"The ledger was not checked: {reason}\n")
        sys.exit(NOT_CHECKED)
    for each in report.differences:
        sys.stdout.write(f"{each.rule}: {each.subject}: {each.problem}\n")
    rows = ", ".join(f"{count} {part}" for part, count in report.counts.items())
    sys.stdout.write(f"{len(report.differences)} differences in {rows} rows\n")
    sys.exit(DIFFERENT if report.differences else 0)


if __name__ == "__main__":
    main()
