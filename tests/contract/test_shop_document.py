"""docs/money.md for another service: its lines run as they stand, its reasons are real ones."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from generation_svc.rpc.error_table import TABLE
from tests.contract.service import serving
from tests.contract.tool import SCRIPTS, documents

DOCUMENT = Path("docs/money.md").read_text().partition("## Other services")[2]
ADDRESS = "127.0.0.1:50051"
TOKEN = ".atelier/caller/local"
REASONS = {entry.reason for entry in TABLE.values()}


def script() -> str:
    """Return the lines to paste."""
    found = re.search(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found
    return found[1]


async def pasted(lines: str, *, folder: Path) -> str:
    """Run lines as somebody who pastes them; return what they say."""
    (folder / TOKEN).parent.mkdir(parents=True)
    (folder / TOKEN).write_text("a token")
    environment = os.environ | {"PATH": f"{SCRIPTS}:{os.environ['PATH']}"}
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", lines),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await shell.communicate()
    assert (shell.returncode, err.decode()) == (0, "")
    return out.decode()


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
async def test_each_line_runs_as_it_stands(database_url: str, tmp_path: Path, times: int) -> None:
    served = serving(database_url, tmp_path / "media", more_settings={"money": "test"})
    async with served as service:
        lines = script().replace(ADDRESS, service.address) * times
        said = documents(await pasted(lines, folder=tmp_path))
    paid, quote, made, has, moved, statement, top_ups, given = said[-8:]
    assert paid.get("is_new", False) is (times == 1)
    assert quote["price"]["credits"] == "8"
    assert made["job"]["price"]["credits"] == "8"
    assert has["wallet"]["owner"] == "shop:anna"
    assert [each["kind"] for each in moved["transfers"]][-2:] == [
        "TRANSFER_KIND_HOLD",
        "TRANSFER_KIND_TOP_UP",
    ]
    assert statement["mime_type"].startswith("text/csv")
    assert len(top_ups["top_ups"]) == 1
    assert given["wallet"]["balance"] == "100"


def test_the_reasons_that_it_explains_are_sent() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|", DOCUMENT, re.MULTILINE)
    assert len(rows) > 5
    assert set(rows) <= REASONS
