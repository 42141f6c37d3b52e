"""`make check-stars`: every call about Stars and its answer are what aiogram's models know.

aiogram lives in an environment of its own, since it pins other versions than the product does.
python-telegram-bot and aiogram make calls to the sandbox; each call, answer and update is written
down and validated there, and so are copies that were spoiled, which must not pass.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import venv
from pathlib import Path

from tests.integration.sandbox_telegram import Sandbox, sandbox
from tests.package.wheel import pip
from tests.stars.scenario import CHAT, run_scenario
from tests.stars.spoil import spoiled

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
FOLDER = Path(".atelier/check-stars").absolute()
METHODS = {
    "sendInvoice",
    "createInvoiceLink",
    "answerPreCheckoutQuery",
    "refundStarPayment",
    "getStarTransactions",
    "getMyStarBalance",
    "getUpdates",
}


def main() -> int:
    """Run everything; return 0 only if all fits."""
    return asyncio.run(_check(_environment()))


def _environment() -> Path:
    """Return the Python that has aiogram, installed if its requirements are new."""
    folder, installed = FOLDER / "env", FOLDER / "env/requirements.txt"
    if not installed.is_file() or installed.read_text() != REQUIREMENTS.read_text():
        venv.create(folder, with_pip=True, clear=True)
        pip("install", "-r", str(REQUIREMENTS), python=str(folder / "bin/python"))
        installed.write_text(REQUIREMENTS.read_text())
    return folder / "bin/python"


async def _check(python: Path) -> int:
    async with sandbox(checkout_timeout_s=0.3) as telegram:
        exchanges = await run_scenario(telegram)
        client = await _run(python, "client.py", telegram.url, str(CHAT))
        await _expect_calls(telegram)
    missing = METHODS - {one.method for one in exchanges}
    assert not missing, f"never called: {', '.join(sorted(missing))}"
    path = FOLDER / "exchanges.json"
    path.write_text(json.dumps([one.to_json() for one in (*exchanges, *spoiled(exchanges))]))
    return client or await _run(python, "shape.py", str(path))


async def _expect_calls(telegram: Sandbox) -> None:
    calls = await telegram.calls("sendInvoice")
    assert calls[-1]["params"]["payload"] == "from aiogram", "aiogram has sold nothing"


async def _run(python: Path, script: str, *arguments: str) -> int:
    command = [str(python), str(HERE / script), *arguments]
    done = await asyncio.to_thread(subprocess.run, command, check=False, timeout=120)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
